"""What is counted of a set of extractions, mergeable by addition. What counts is decided here and nowhere else.

Error rate = LLM attempts that ended without usable keywords / LLM attempts; a document turned away by an open breaker is an
attempt. Latency = fresh calls of the LLM arm that answered. Cache hit rate = hits / look-ups on the LLM arm. Shadow calls count in
fields of their own and in none of these.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from engine.metrics.histogram import Histogram
from engine.store.records import Extraction


class Bucket:
    """Plain counters; `histogram` is of the fresh calls' milliseconds. On the control arm `ms` is of frequency extractions."""

    COUNTS = (
        "n", "attempts", "errors", "fresh", "lookups", "hits", "fallbacks", "skipped", "keywords", "proposed", "ungrounded",
        "shadow_n", "shadow_errors", "llm", "frequency",
    )  # fmt: skip
    SUMS = ("ms_sum", "ms_sq", "queue_sum", "keywords_sq")
    __slots__ = ("kinds", "histogram", *COUNTS, *SUMS)

    n: int
    attempts: int
    errors: int
    fresh: int
    lookups: int
    hits: int
    fallbacks: int
    skipped: int
    keywords: int
    proposed: int
    ungrounded: int
    shadow_n: int
    shadow_errors: int
    llm: int
    frequency: int
    ms_sum: float
    ms_sq: float
    queue_sum: float
    keywords_sq: float

    def __init__(self) -> None:
        for name in self.COUNTS:
            setattr(self, name, 0)
        for name in self.SUMS:
            setattr(self, name, 0.0)
        self.kinds: dict[str, int] = {}
        self.histogram = Histogram()

    def add(self, r: Extraction) -> None:
        if r.shadow:
            self.shadow_n += 1
            self.shadow_errors += r.error is not None
            return
        self.n += 1
        if r.method == "llm":
            self.llm += 1
        else:
            self.frequency += 1
        self.keywords += r.keywords
        self.keywords_sq += r.keywords * r.keywords
        self.lookups += r.lookup
        self.hits += r.cached
        self.fallbacks += r.fallback
        self.skipped += r.skipped
        self.proposed += r.proposed
        self.ungrounded += r.ungrounded
        if r.attempted:
            self.attempts += 1
            self.queue_sum += r.queue_ms
            if r.error is not None:
                self.errors += 1
                self.kinds[r.error] = self.kinds.get(r.error, 0) + 1
        fresh = r.attempted and r.error is None if r.arm == "treatment" else r.method == "frequency"
        if fresh:
            self.fresh += 1
            self.ms_sum += r.ms
            self.ms_sq += r.ms * r.ms
            self.histogram.add(r.ms)

    def merge(self, other: Bucket) -> None:
        for name in (*self.COUNTS, *self.SUMS):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for kind, count in other.kinds.items():
            self.kinds[kind] = self.kinds.get(kind, 0) + count
        self.histogram.merge(other.histogram)

    @classmethod
    def of(cls, records: Iterable[Extraction]) -> Bucket:
        made = cls()
        for record in records:
            made.add(record)
        return made

    @classmethod
    def merged(cls, buckets: Iterable[Bucket]) -> Bucket:
        made = cls()
        for bucket in buckets:
            made.merge(bucket)
        return made

    # -- derived; None where there is nothing to divide by ---------------------------------------------------------------

    @property
    def error_rate(self) -> float | None:
        return self.errors / self.attempts if self.attempts else None

    @property
    def mean_ms(self) -> float | None:
        return self.ms_sum / self.fresh if self.fresh else None

    @property
    def hit_rate(self) -> float | None:
        return self.hits / self.lookups if self.lookups else None

    @property
    def grounded_rate(self) -> float | None:
        return 1 - self.ungrounded / self.proposed if self.proposed else None

    # -- one blob ----------------------------------------------------------------------------------------------------------

    def encode(self) -> bytes:
        values: Sequence[object] = [getattr(self, name) for name in (*self.COUNTS, *self.SUMS)]
        return msgspec.msgpack.encode((values, self.kinds, self.histogram.encode()))

    @classmethod
    def decode(cls, body: bytes) -> Bucket:
        values, kinds, histogram = _decoder.decode(body)
        made = cls()
        for name, value in zip((*cls.COUNTS, *cls.SUMS), values, strict=True):
            setattr(made, name, value)
        made.kinds = kinds
        made.histogram = Histogram.decode(histogram)
        return made


_decoder = msgspec.msgpack.Decoder(tuple[list[float | int], dict[str, int], bytes])
