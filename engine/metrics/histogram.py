"""A mergeable histogram of latencies: logarithmic buckets, so that every quantile is right to 1 %.

Key k holds values in (BASE * GAMMA^(k-1), BASE * GAMMA^k] milliseconds, and a quantile answers with the middle of its bucket:
with GAMMA = 1.02 the relative error is at most (GAMMA - 1) / (GAMMA + 1) < 1 % (the bound of DDSketch, Masson et al. 2019).
Merging adds counts, exactly, in any order. Values that are not finite were never measured and are not taken.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec

GAMMA = 1.02
BASE_MS = 0.01  # a frequency extraction takes less than a millisecond, and is measured as well
LAST = 1300  # 18 days: whatever is longer shares the last bucket

_PER_LOG = 1.0 / math.log(GAMMA)
_SHIFT = -math.log(BASE_MS) * _PER_LOG
_MIDDLE = 2.0 / (1.0 + GAMMA)
_ROUNDING = 1e-9  # a value on a bucket's upper edge stays in it, whichever way its logarithm was rounded

_log, _ceil = math.log, math.ceil


def key_of(ms: float) -> int:
    """The bucket of a finite value; all up to BASE_MS share bucket 0."""
    if ms <= BASE_MS:
        return 0
    key = _ceil(_log(ms) * _PER_LOG + _SHIFT - _ROUNDING)
    return key if key < LAST else LAST


class Histogram(msgspec.Struct, array_like=True):
    """Counts of milliseconds by bucket, sparse."""

    counts: dict[int, int] = {}

    def add(self, ms: float, count: int = 1) -> None:
        """Take a value; one that is not finite is left out."""
        if math.isfinite(ms):
            key = key_of(ms)
            self.counts[key] = self.counts.get(key, 0) + count

    def merge(self, other: Histogram) -> None:
        counts = self.counts
        for key, count in other.counts.items():
            counts[key] = counts.get(key, 0) + count

    @property
    def n(self) -> int:
        return sum(self.counts.values())

    def quantile(self, q: float) -> float | None:
        """The value in ms of rank ceil(q n), q in 0..1, right to 1 %; None without values."""
        total = self.n
        if total <= 0:
            return None
        rank, seen = min(total, max(1, math.ceil(q * total))), 0
        for key in sorted(self.counts):
            seen += self.counts[key]
            if seen >= rank:
                break
        return BASE_MS * GAMMA**key * _MIDDLE if key else BASE_MS

    def up_to(self, ms: float) -> int:
        """How many values are at most `ms`; those of its own bucket, less than 2 % above it, are among them."""
        limit = key_of(ms) if ms < math.inf else LAST
        return sum(count for key, count in self.counts.items() if key <= limit)

    def cumulative(self, limits: Iterable[float]) -> list[int]:
        """`up_to` of each of several limits that ascend, in one pass."""
        keys, found = sorted(self.counts), []
        at = seen = 0
        for limit in limits:
            last = key_of(limit)
            while at < len(keys) and keys[at] <= last:
                seen += self.counts[keys[at]]
                at += 1
            found.append(seen)
        return found

    def encode(self) -> bytes:
        """MessagePack, about five bytes a used bucket."""
        return _encode(self)

    @classmethod
    def decode(cls, body: bytes) -> Histogram:
        """msgspec.ValidationError: not what `encode` wrote."""
        return _decode(body)

    @classmethod
    def of(cls, values: Iterable[float]) -> Histogram:
        made = cls()
        for ms in values:
            made.add(ms)
        return made


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Histogram).decode
