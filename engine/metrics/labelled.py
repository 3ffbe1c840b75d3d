"""The series of /metrics that carry labels: service and environment on all of them, stage and arm on what documents
did, one series a trigger on what the triggers see.

They complement the plan's own unlabelled series, which dashboards and alert rules rely on and which stay as they
are. A stage or an arm without documents has no series; a number that is not known is absent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from engine.measures.bucket import Arms, Bucket
from engine.measures.histogram import Histogram
from engine.measures.record import SeenArm
from engine.metrics.exemplars import LIMITS, Exemplar
from engine.metrics.snapshot import MetricsSnapshot, TriggerReading
from engine.triggers.wording import VERDICTS

if TYPE_CHECKING:
    from prometheus_client import Metric
    from prometheus_client.samples import Exemplar as Attached

WHERE = ("service", "environment")


def families(reading: MetricsSnapshot, kinds: Iterable[str]) -> Iterator[Metric]:
    """`kinds`: error kinds to show at 0 before they first occur."""
    where = (reading.of.service, reading.of.environment)
    yield from _rollout(reading, where)
    yield from _documents(reading, where, tuple(kinds))
    yield _times(reading, where)
    yield from _triggers(reading.triggers, where)


def _rollout(reading: MetricsSnapshot, where: tuple[str, str]) -> Iterator[Metric]:
    from prometheus_client.core import GaugeMetricFamily as Gauge
    from prometheus_client.core import InfoMetricFamily

    of = reading.of
    names = dict(zip(WHERE, where, strict=True))
    about = {"version": of.version, "stage": str(reading.stage), "stage_name": of.stage_name, "health": of.health}
    yield InfoMetricFamily("rollout", "What is rolled out, where, and how it is now.", value={**names, **about})
    share = Gauge(
        "rollout_ratio",
        "Share of documents for the LLM, 0..1: decided, and in force now.",
        labels=(*WHERE, "stage", "state"),
    )
    for state, basis_points in (("decided", reading.decided_bp), ("effective", reading.percent_bp)):
        share.add_metric([*where, str(reading.stage), state], basis_points / 10_000)
    yield share
    gate = Gauge(
        "rollout_gate_open",
        "1 while the gate to the next stage is open; absent after the last stage.",
        labels=(*WHERE, "stage"),
    )
    if of.gate_open is not None:
        gate.add_metric([*where, str(reading.stage)], float(of.gate_open))
    yield gate


def _documents(reading: MetricsSnapshot, where: tuple[str, str], kinds: tuple[str, ...]) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily as Counter

    labels = (*WHERE, "stage", "arm")
    documents = Counter(
        "rollout_documents", "Documents by stage, arm, and how they got their keywords.", labels=(*labels, "method")
    )
    attempts = Counter(
        "rollout_attempts", "Extractions that can fail: LLM attempts, or frequency's own.", labels=labels
    )
    errors = Counter("rollout_errors", "Those that failed, by kind.", labels=(*labels, "kind"))
    lookups = Counter("rollout_cache_lookups", "Documents whose answer was looked up in the cache.", labels=labels)
    hits = Counter("rollout_cache_hits", "Documents whose answer was in the cache.", labels=labels)
    for stage, arm, bucket in _seen(reading.by_stage):
        here = [*where, str(stage), arm]
        if arm != "shadow":
            for method, count in bucket.breakdown.items():
                documents.add_metric([*here, method], count)
        if arm == "treatment":
            lookups.add_metric(here, bucket.lookups)
            hits.add_metric(here, bucket.hits)
        tried, failed = _failures(arm, bucket, kinds)
        attempts.add_metric(here, tried)
        for kind, count in sorted(failed.items()):
            exemplar = reading.exemplars.of_error(stage, arm, kind) if reading.exemplars else None
            _add(errors, "_total", [*here, kind], count, exemplar)
    yield from (documents, attempts, errors, lookups, hits)


def _seen(by_stage: Sequence[tuple[int, Arms]]) -> Iterator[tuple[int, SeenArm, Bucket]]:
    """Each arm of each stage that has documents. Shadow calls of both arms are one arm of their own."""
    for stage, arms in by_stage:
        both = arms.of(None)
        if arms.treatment.n:
            yield stage, "treatment", arms.treatment
        if arms.control.n:
            yield stage, "control", arms.control
        if both.shadow_n:
            yield stage, "shadow", both


def _failures(arm: SeenArm, bucket: Bucket, kinds: tuple[str, ...]) -> tuple[int, dict[str, int]]:
    """(extractions that could fail, failed ones by kind)."""
    zero = dict.fromkeys(map(str, kinds), 0)
    if arm == "shadow":
        return bucket.shadow_n, zero | bucket.shadow_kinds
    if arm == "control":
        return bucket.plain_n, {"frequency": bucket.plain_errors}
    return bucket.attempts, zero | bucket.kinds


def _times(reading: MetricsSnapshot, where: tuple[str, str]) -> Metric:
    from prometheus_client.core import HistogramMetricFamily

    family = HistogramMetricFamily(
        "rollout_extraction_seconds",
        "Latency by stage and arm: of the treatment arm with our queue for interactive documents, of shadow "
        "calls without.",
        labels=(*WHERE, "stage", "arm"),
    )
    for stage, arm, bucket in _seen(reading.by_stage):
        histogram, total_ms = _timed(arm, bucket)
        if not histogram.n:
            continue
        counts = [*histogram.cumulative(limit * 1000 for limit in LIMITS), histogram.n]
        here = [*where, str(stage), arm]
        for place, count in enumerate(counts):
            limit = "+Inf" if place == len(LIMITS) else str(LIMITS[place])
            exemplar = reading.exemplars.of_time(stage, arm, place) if reading.exemplars else None
            _add(family, "_bucket", here, count, exemplar, {"le": limit})
        _add(family, "_count", here, histogram.n)
        _add(family, "_sum", here, total_ms / 1000)
    return family


def _timed(arm: SeenArm, bucket: Bucket) -> tuple[Histogram, float]:
    if arm == "shadow":
        return bucket.shadow_histogram, bucket.shadow_ms_sum
    if arm == "control":
        return bucket.plain_histogram, bucket.plain_ms_sum
    return bucket.histogram, bucket.ms_sum


def _triggers(triggers: Sequence[TriggerReading], where: tuple[str, str]) -> Iterator[Metric]:
    from prometheus_client.core import GaugeMetricFamily as Gauge

    labels = (*WHERE, "trigger")
    verdicts = Gauge(
        "rollout_trigger_state",
        "1 for the verdict on a trigger now, 0 for the others.",
        labels=(*labels, "severity", "action", "state"),
    )
    limits = Gauge("rollout_trigger_threshold", "What a trigger's value is compared with, in its unit.", labels=labels)
    counts = Gauge("rollout_trigger_samples", "Documents behind a trigger's value.", labels=labels)
    held = Gauge("rollout_trigger_held_seconds", "How long a trigger's condition has lasted.", labels=labels)
    wait = Gauge("rollout_trigger_for_seconds", "How long it must last for the trigger to act.", labels=labels)
    left = Gauge(
        "rollout_trigger_fires_in_seconds",
        "Time until a trigger acts if nothing changes; 0 while it fires, absent while it is not on its way to.",
        labels=labels,
    )
    for trigger in triggers:
        here = [*where, trigger.id]
        for verdict in VERDICTS:
            verdicts.add_metric([*here, trigger.severity, trigger.action, verdict], float(trigger.verdict == verdict))
        values = trigger.threshold, trigger.n, trigger.held_s, trigger.for_s, trigger.fires_in_s
        for family, value in zip((limits, counts, held, wait, left), values, strict=True):
            if value is not None:
                family.add_metric(here, value)
    yield from (verdicts, limits, counts, held, wait, left)


def _add(
    family: Metric,
    suffix: str,
    values: Sequence[str],
    value: float,
    exemplar: Exemplar | None = None,
    more: dict[str, str] | None = None,
) -> None:
    labels = dict(zip(family._labelnames, values, strict=True)) | (more or {})  # type: ignore[attr-defined]
    family.add_sample(family.name + suffix, labels, value, None, _attached(exemplar))


def _attached(exemplar: Exemplar | None) -> Attached | None:
    if exemplar is None:
        return None
    from prometheus_client.samples import Exemplar as Attached

    known = {"request_id": exemplar.request_id, "trace_id": exemplar.trace_id, "epoch": str(exemplar.epoch)}
    return Attached({name: value for name, value in known.items() if value}, exemplar.seconds, exemplar.at)
