"""A mergeable histogram of latencies: logarithmic buckets, so that every quantile is right to 1 %.

Key k holds values in (GAMMA^(k-1), GAMMA^k] milliseconds, and a quantile answers with the middle of its bucket: with
GAMMA = 1.02 the relative error is at most 1 % (the DDSketch bound). Merging adds counts, exactly, in any order.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable

GAMMA = 1.02
_LOG = math.log(GAMMA)
_MIDDLE = 2.0 / (1.0 + GAMMA)
_PAIR = struct.Struct("<HI")
_KEYS = 1000  # GAMMA^1000 ms is 110 hours


class Histogram:
    """Counts of milliseconds by bucket; values up to 1 ms share bucket 0."""

    __slots__ = ("counts",)

    def __init__(self, counts: dict[int, int] | None = None) -> None:
        self.counts = counts if counts is not None else {}

    def add(self, ms: float, count: int = 1) -> None:
        key = 0 if not ms > 1.0 else min(_KEYS, math.ceil(math.log(ms) / _LOG - 1e-9))
        self.counts[key] = self.counts.get(key, 0) + count

    def merge(self, other: Histogram) -> None:
        for key, count in other.counts.items():
            self.counts[key] = self.counts.get(key, 0) + count

    @property
    def n(self) -> int:
        return sum(self.counts.values())

    def quantile(self, q: float) -> float | None:
        """Milliseconds below which a share `q` (0..1) of the values lies; None without values."""
        total = self.n
        if not total:
            return None
        rank, seen = max(1, math.ceil(q * total)), 0
        for key in sorted(self.counts):
            seen += self.counts[key]
            if seen >= rank:
                return GAMMA**key * _MIDDLE if key else 1.0
        return None

    def up_to(self, ms: float) -> int:
        """How many values are at most `ms`, to the bucket's width."""
        limit = math.log(ms) / _LOG + 1e-9 if ms > 1.0 else 0.0
        return sum(count for key, count in self.counts.items() if key <= limit)

    def encode(self) -> bytes:
        """Six bytes a used bucket."""
        return b"".join(_PAIR.pack(key, min(count, 0xFFFFFFFF)) for key, count in sorted(self.counts.items()))

    @classmethod
    def decode(cls, body: bytes) -> Histogram:
        return cls(dict(_PAIR.iter_unpack(body)))

    @classmethod
    def of(cls, values: Iterable[float]) -> Histogram:
        made = cls()
        for ms in values:
            made.add(ms)
        return made
