"""Counts and sums of a set of extractions, mergeable by addition. This file alone decides what counts.

- Error rate = LLM attempts that ended without usable keywords / LLM attempts. A document turned away by an open breaker
is an
  attempt; a cache hit, a document too short for the LLM and a call that a rollback cancelled are not.
- Latency = fresh LLM calls, wall time seen by the document (see `timed`): our queue and the calls where a client waits
for it, the
  calls alone for bulk work. The service's own latency, without the queue, is a second figure.
- Cache hit rate = hits / lookups.
- Shadow calls have separate fields and count in none of these.
- The same figures of the frequency arm are in the `plain` fields, for attribution and the A/B test.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec

from engine.decoding import msgpack_decoder
from engine.measures.histogram import Histogram, key_of
from engine.measures.record import Arm, Extraction


def timed(r: Extraction) -> float | None:
    """The milliseconds that a record adds to the LLM's latency, or None when it adds nothing.

    Answered fresh calls count, and so do calls that hit their deadline: they took at least that long, and without them
    a service would look faster the more of its answers are late. Other failures don't count: refused connections would
    make a dead service look fast.
    """
    if not r.attempted or r.shadow or not 0.0 <= r.ms < math.inf:
        return None
    if r.error is None or (r.error == "timeout" and r.ms > 0.0):
        return r.ms
    return None


class Bucket(msgspec.Struct, array_like=True):
    """Counters, sums and histograms of milliseconds. The field order is the stored format: append new fields, with
    defaults."""

    n: int = 0  # documents; llm + frequency
    llm: int = 0  # served by the LLM, from its cache or fresh
    frequency: int = 0  # served by frequency, fallbacks and skipped ones included
    attempts: int = 0
    errors: int = 0
    lookups: int = 0
    hits: int = 0
    fallbacks: int = 0
    skipped: int = 0
    fresh: int = 0  # calls in ms_sum, ms_sq and histogram
    ms_sum: float = 0.0
    ms_sq: float = 0.0
    queue_sum: float = 0.0  # ms that attempts spent in our queue
    keywords: int = 0
    keywords_sq: int = 0
    proposed: int = 0
    ungrounded: int = 0
    shadow_n: int = 0
    shadow_errors: int = 0
    shadow_ms_sum: float = 0.0  # of those without error
    plain_n: int = 0  # frequency extractions on the frequency arm
    plain_errors: int = 0
    plain_ms_sum: float = 0.0
    plain_ms_sq: float = 0.0
    kinds: dict[str, int] = {}  # errors of LLM attempts by kind
    histogram: Histogram = msgspec.field(default_factory=Histogram)
    plain_histogram: Histogram = msgspec.field(default_factory=Histogram)
    service_n: int = 0  # calls in service_sum; fewer than `fresh` where a row is older than this field
    service_sum: float = 0.0  # ms of fresh calls without our queue
    shadow_ms_sq: float = 0.0
    shadow_proposed: int = 0
    shadow_ungrounded: int = 0
    shadow_kinds: dict[str, int] = {}
    shadow_histogram: Histogram = msgspec.field(default_factory=Histogram)
    short: int = 0  # LLM answers that were topped up from the frequency method

    def add(self, r: Extraction) -> None:
        if r.shadow:
            self._add_shadow(r)
            return
        self.n += 1
        if r.method == "llm":
            self.llm += 1
        else:
            self.frequency += 1
        if r.keywords:
            self.keywords += r.keywords
            self.keywords_sq += r.keywords * r.keywords
        if r.arm == "control" and not r.attempted:
            self._add_plain(r)
            return
        if r.lookup:
            self.lookups += 1
            if r.cached:
                self.hits += 1
        if r.fallback:
            self.fallbacks += 1
        if r.skipped:
            self.skipped += 1
        if r.attempted:
            self._add_attempt(r)

    def _add_attempt(self, r: Extraction) -> None:
        """A document that was sent to the LLM."""
        self.attempts += 1
        self.proposed += r.proposed
        self.ungrounded += r.ungrounded
        self.short += r.short
        if 0.0 < r.queue_ms < math.inf:
            self.queue_sum += r.queue_ms
        if r.error is not None:
            self.errors += 1
            self.kinds[r.error] = self.kinds.get(r.error, 0) + 1
        ms = timed(r)
        if ms is not None:
            self.fresh += 1
            self.ms_sum += ms
            self.ms_sq += ms * ms
            self.service_n += 1
            self.service_sum += max(0.0, ms - (r.queue_ms if 0.0 < r.queue_ms < math.inf else 0.0))
            counts, key = self.histogram.counts, key_of(ms)
            counts[key] = counts.get(key, 0) + 1

    def _add_shadow(self, r: Extraction) -> None:
        self.shadow_n += 1
        self.shadow_proposed += r.proposed
        self.shadow_ungrounded += r.ungrounded
        if r.error is not None:
            self.shadow_errors += 1
            self.shadow_kinds[r.error] = self.shadow_kinds.get(r.error, 0) + 1
        elif 0.0 <= r.ms < math.inf:
            self.shadow_ms_sum += r.ms
            self.shadow_ms_sq += r.ms * r.ms
            counts, key = self.shadow_histogram.counts, key_of(r.ms)
            counts[key] = counts.get(key, 0) + 1

    def _add_plain(self, r: Extraction) -> None:
        if r.error is not None:
            self.plain_n += 1
            self.plain_errors += 1
        elif 0.0 <= r.ms < math.inf:
            self.plain_n += 1
            self.plain_ms_sum += r.ms
            self.plain_ms_sq += r.ms * r.ms
            counts, key = self.plain_histogram.counts, key_of(r.ms)
            counts[key] = counts.get(key, 0) + 1

    def merge(self, other: Bucket) -> None:
        """Add another bucket. Fields that one arm never uses are skipped: this runs thousands of times per curve."""
        self.n += other.n
        self.llm += other.llm
        self.frequency += other.frequency
        self.keywords += other.keywords
        self.keywords_sq += other.keywords_sq
        if other.lookups or other.fallbacks or other.skipped:
            self.lookups += other.lookups
            self.hits += other.hits
            self.fallbacks += other.fallbacks
            self.skipped += other.skipped
        if other.attempts:
            self.attempts += other.attempts
            self.errors += other.errors
            self.proposed += other.proposed
            self.ungrounded += other.ungrounded
            self.short += other.short
            self.queue_sum += other.queue_sum
            for kind, count in other.kinds.items():
                self.kinds[kind] = self.kinds.get(kind, 0) + count
            if other.fresh:
                self.fresh += other.fresh
                self.ms_sum += other.ms_sum
                self.ms_sq += other.ms_sq
                self.histogram.merge(other.histogram)
                self.service_n += other.service_n
                self.service_sum += other.service_sum
        if other.plain_n:
            self.plain_n += other.plain_n
            self.plain_errors += other.plain_errors
            self.plain_ms_sum += other.plain_ms_sum
            self.plain_ms_sq += other.plain_ms_sq
            self.plain_histogram.merge(other.plain_histogram)
        if other.shadow_n:
            self.shadow_n += other.shadow_n
            self.shadow_errors += other.shadow_errors
            self.shadow_ms_sum += other.shadow_ms_sum
            self.shadow_ms_sq += other.shadow_ms_sq
            self.shadow_proposed += other.shadow_proposed
            self.shadow_ungrounded += other.shadow_ungrounded
            for kind, count in other.shadow_kinds.items():
                self.shadow_kinds[kind] = self.shadow_kinds.get(kind, 0) + count
            self.shadow_histogram.merge(other.shadow_histogram)

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

    def in_shadow(self) -> Bucket:
        """The shadow calls as if they were an arm: the same figures, of answers that were not served."""
        return Bucket(
            attempts=self.shadow_n,
            errors=self.shadow_errors,
            fresh=self.shadow_n - self.shadow_errors,
            ms_sum=self.shadow_ms_sum,
            ms_sq=self.shadow_ms_sq,
            proposed=self.shadow_proposed,
            ungrounded=self.shadow_ungrounded,
            kinds=self.shadow_kinds,
            histogram=self.shadow_histogram,
        )

    # -- derived; None where there is nothing to divide by -------------------------------------------------------------

    @property
    def error_rate(self) -> float | None:
        return self.errors / self.attempts if self.attempts else None

    @property
    def mean_ms(self) -> float | None:
        return self.ms_sum / self.fresh if self.fresh else None

    @property
    def service_mean_ms(self) -> float | None:
        """Mean milliseconds of fresh calls, without our queue; None without calls."""
        return self.service_sum / self.service_n if self.service_n else None

    @property
    def hit_rate(self) -> float | None:
        return self.hits / self.lookups if self.lookups else None

    @property
    def grounded_rate(self) -> float | None:
        return 1 - self.ungrounded / self.proposed if self.proposed else None

    @property
    def keywords_mean(self) -> float | None:
        return self.keywords / self.n if self.n else None

    @property
    def queue_mean_ms(self) -> float | None:
        return self.queue_sum / self.attempts if self.attempts else None

    @property
    def plain_error_rate(self) -> float | None:
        return self.plain_errors / self.plain_n if self.plain_n else None

    @property
    def plain_mean_ms(self) -> float | None:
        answered = self.plain_n - self.plain_errors
        return self.plain_ms_sum / answered if answered else None

    @property
    def shadow_mean_ms(self) -> float | None:
        answered = self.shadow_n - self.shadow_errors
        return self.shadow_ms_sum / answered if answered else None

    @property
    def breakdown(self) -> dict[str, int]:
        """Documents by how they got their keywords; the parts are disjoint and sum to `n`."""
        return {
            "llm": self.llm - self.hits,
            "frequency": self.frequency - self.fallbacks,
            "cached": self.hits,
            "fallback": self.fallbacks,
        }

    # -- one blob ------------------------------------------------------------------------------------------------------

    def encode(self) -> bytes:
        return _encode(self)

    @classmethod
    def decode(cls, body: bytes) -> Bucket:
        """msgspec.ValidationError: not what `encode` wrote."""
        return _decode(body)


class Arms(msgspec.Struct, array_like=True):
    """Both arms over one time span: one roll-up row, so the cost of a read depends on the span and not on the
    traffic."""

    treatment: Bucket = msgspec.field(default_factory=Bucket)
    control: Bucket = msgspec.field(default_factory=Bucket)

    def add(self, r: Extraction) -> None:
        (self.control if r.arm == "control" else self.treatment).add(r)

    def merge(self, other: Arms) -> None:
        self.treatment.merge(other.treatment)
        self.control.merge(other.control)

    @classmethod
    def merged(cls, of: Iterable[Arms]) -> Arms:
        made = cls()
        for arms in of:
            made.merge(arms)
        return made

    def of(self, arm: Arm | None) -> Bucket:
        """One arm's bucket, or both arms merged into a new one."""
        if arm is None:
            return Bucket.merged((self.treatment, self.control))
        return self.control if arm == "control" else self.treatment

    def encode(self) -> bytes:
        return _encode(self)

    @classmethod
    def decode(cls, body: bytes) -> Arms:
        """msgspec.ValidationError: not what `encode` wrote."""
        return _decode_arms(body)


class Stored(msgspec.Struct, array_like=True):
    """The row with its arms still encoded: an arm that doesn't change is never decoded."""

    treatment: msgspec.Raw
    control: msgspec.Raw

    @classmethod
    def decode(cls, body: bytes) -> Stored:
        """msgspec.DecodeError: not what `encode` wrote."""
        return _decode_stored(body)

    def plus(self, more: Arms) -> bytes:
        """The row with `more` added. msgspec.DecodeError: an arm that is needed is damaged."""
        return _encode(Stored(_added(self.treatment, more.treatment), _added(self.control, more.control)))


def _added(stored: msgspec.Raw, more: Bucket) -> msgspec.Raw:
    if not more.n and not more.shadow_n:
        return stored
    bucket = _decode(stored)
    bucket.merge(more)
    return msgspec.Raw(_encode(bucket))


def _to_blob(value: object) -> bytes:
    if isinstance(value, Histogram):
        return value.encode()
    raise NotImplementedError(f"a bucket holds no {type(value).__name__}")


def _from_blob(_: type, body: bytes) -> Histogram:
    return Histogram.decode(body)


_encode = msgspec.msgpack.Encoder(enc_hook=_to_blob).encode
_decode = msgpack_decoder(Bucket, dec_hook=_from_blob).decode
_decode_stored = msgpack_decoder(Stored).decode
_decode_arms = msgpack_decoder(Arms, dec_hook=_from_blob).decode
