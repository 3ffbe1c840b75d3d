"""A mergeable histogram of latencies: logarithmic buckets, so that every quantile is right to 1 %.

Key k holds values in (BASE * GAMMA^(k-1), BASE * GAMMA^k] milliseconds, and a quantile answers with the middle of its
bucket: with GAMMA = 1.02 the relative error is at most (GAMMA - 1) / (GAMMA + 1) < 1 % (the bound of DDSketch, Masson
et al. 2019). Merging adds counts, exactly, in any order. Values that are not finite are ignored.

A few counts are kept by key. Many are kept as one big integer with 32 bits per key, so merging two full histograms is
one addition and a refresh costs the same at any traffic.
"""

from __future__ import annotations

import math
import struct
from array import array
from bisect import bisect_left
from collections.abc import Iterable
from itertools import accumulate

GAMMA = 1.02
BASE_MS = 0.01  # a frequency extraction takes less than a millisecond, and is measured as well
LAST = 1300  # 18 days: whatever is longer shares the last bucket
FEW = 24  # used buckets up to which they are written one by one
_U32, _U16, _U8 = 1, 2, 3
WIDTHS = {_U32: 4, _U16: 2, _U8: 1}  # bytes
FEW_TO_ADD = 6  # counts that are sooner added one by one

_PER_LOG = 1.0 / math.log(GAMMA)
_SHIFT = -math.log(BASE_MS) * _PER_LOG
_MIDDLE = 2.0 / (1.0 + GAMMA)
_ROUNDING = 1e-9  # a value on a bucket's upper edge stays in it, whichever way its logarithm was rounded
_PAIR = struct.Struct("<HI")
_FIRST = struct.Struct("<BH")

_log, _ceil = math.log, math.ceil


def key_of(ms: float) -> int:
    """The bucket of a finite value; all up to BASE_MS share bucket 0."""
    if ms <= BASE_MS:
        return 0
    key = _ceil(_log(ms) * _PER_LOG + _SHIFT - _ROUNDING)
    return key if key < LAST else LAST


class Histogram:
    """Counts of milliseconds by bucket: the sum of `counts`, by key, and of `bulk`, 32 bits a key (up to 4 * 10^9 in
    each)."""

    __slots__ = ("bulk", "counts")

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}
        self.bulk = 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Histogram) and self._whole() == other._whole()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Histogram(n={self.n})"

    def add(self, ms: float) -> None:
        """Add a value; ignores one that is not finite."""
        if math.isfinite(ms):
            key = key_of(ms)
            self.counts[key] = self.counts.get(key, 0) + 1

    def merge(self, other: Histogram) -> None:
        counts = self.counts
        for key, count in other.counts.items():
            counts[key] = counts.get(key, 0) + count
        if other.bulk:
            self.bulk += other.bulk

    def pack(self) -> None:
        """Switch to one big integer, so that merging costs the same however many values there are."""
        self.bulk, self.counts = self._whole(), {}

    @property
    def n(self) -> int:
        return self._sums()[1][-1]

    def quantile(self, q: float) -> float | None:
        """The value in ms of rank ceil(q n), q in 0..1, right to 1 %; None without values."""
        return self.quantiles((q,))[0]

    def quantiles(self, of: Iterable[float]) -> list[float | None]:
        """Several quantiles for the cost of one."""
        first, sums = self._sums()
        total = sums[-1]
        if not total:
            return [None for _ in of]
        keys = (first + bisect_left(sums, min(total, max(1, math.ceil(q * total)))) for q in of)
        return [BASE_MS * GAMMA**key * _MIDDLE if key else BASE_MS for key in keys]

    def cumulative(self, limits: Iterable[float]) -> list[int]:
        """How many values are at most each limit (ms); values of its own bucket, less than 2 % above it, count too."""
        first, sums = self._sums()
        places = ((key_of(ms) if ms < math.inf else LAST) - first for ms in limits)
        return [sums[min(place, len(sums) - 1)] if place >= 0 else 0 for place in places]

    def encode(self) -> bytes:
        """b"" without values; else 0 and (u16 key, u32 count) pairs; or one of WIDTHS, the first key (u16), and its
        count and each after it as an unsigned integer of that width, the narrowest that holds them all."""
        if not self.bulk and len(self.counts) <= FEW:
            if not self.counts:
                return b""
            return b"\0" + b"".join(_PAIR.pack(key, count) for key, count in self.counts.items())
        first, dense = _dense(self._whole())
        mark = _U32 if any(dense[2::4]) or any(dense[3::4]) else _U16 if any(dense[1::4]) else _U8
        return _FIRST.pack(mark, first) + _resized(dense, 4, WIDTHS[mark])

    @classmethod
    def decode(cls, body: bytes) -> Histogram:
        """ValueError: not what `encode` wrote."""
        made = cls()
        if not body:
            return made
        if body[0] == 0 and len(body) % 6 == 1:
            made.counts = dict(_PAIR.iter_unpack(memoryview(body)[1:]))
        elif body[0] in WIDTHS and len(body) > 3:
            width = WIDTHS[body[0]]
            if (len(body) - 3) % width == 0:  # else it is left empty, which is not sane
                dense = _resized(body[3:], width, 4)
                made.bulk = int.from_bytes(dense, "little") << 32 * min(body[1] + 256 * body[2], LAST + 1)
        if not made._sane():
            raise ValueError("a stored histogram is damaged; put back the last `rollout backup`")
        return made

    @classmethod
    def of(cls, values: Iterable[float]) -> Histogram:
        made = cls()
        for ms in values:
            made.add(ms)
        return made

    def _sane(self) -> bool:
        return (
            bool(self.counts or self.bulk) and self.bulk >> 32 * (LAST + 1) == 0 and max(self.counts, default=0) <= LAST
        )

    def _whole(self) -> int:
        """All counts packed into one number, 32 bits a key."""
        if len(self.counts) <= FEW_TO_ADD:
            return self.bulk + sum(count << 32 * key for key, count in self.counts.items())
        slots = array("I", bytes(4 * (LAST + 1)))
        for key, count in self.counts.items():
            slots[key] = count
        return self.bulk + int.from_bytes(slots.tobytes(), "little")

    def _sums(self) -> tuple[int, list[int]]:
        """The first key in use, and how many values there are up to it, up to the next, ... and in all."""
        whole = self._whole()
        if not whole:
            return 0, [0]
        first, dense = _dense(whole)
        slots = array("I", dense)
        return first, list(accumulate(slots))


def _resized(little: bytes, old: int, new: int) -> bytes:
    """Little-endian unsigned integers of `old` bytes each, in `new` bytes each; what they lose must be zero."""
    if old == new:
        return little
    made = bytearray(len(little) // old * new)
    for byte in range(min(old, new)):
        made[byte::new] = little[byte::old]
    return bytes(made)


def _dense(whole: int) -> tuple[int, bytes]:
    """The first key in use, and the u32 counts from there on."""
    first = ((whole & -whole).bit_length() - 1) // 32
    cut = whole >> 32 * first
    return first, cut.to_bytes(4 * ((cut.bit_length() + 31) // 32), "little")
