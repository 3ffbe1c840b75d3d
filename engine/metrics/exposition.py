"""GET /metrics: JSON for people and scripts, Prometheus or OpenMetrics text for scrapers. Pure: a snapshot in, bytes
out.

The plan's metric names are kept exactly, even `keyword_extraction_avg_time_ms`, although Prometheus prefers seconds;
the histogram has seconds. `labelled` adds series with labels beside them. An unknown number is null in JSON and absent
in the text (the family keeps its HELP and TYPE): a NaN would poison every avg_over_time that includes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgspec

from engine.measures.bucket import Bucket
from engine.measures.histogram import Histogram
from engine.metrics import labelled
from engine.metrics.exemplars import LIMITS
from engine.metrics.snapshot import MetricsSnapshot
from engine.plan.durations import iso

if TYPE_CHECKING:
    from prometheus_client.core import Metric

JSON = "application/json"
Samples = Iterable[tuple[str, float | None]]


def render(reading: MetricsSnapshot, accept: str, kinds: Iterable[str]) -> tuple[bytes, str]:
    """(body, content type) for an Accept header. `kinds`: error kinds to show at 0 before they first occur."""
    if wants_text(accept):
        return _text(reading, accept, kinds)
    return msgspec.json.encode(plain(reading)) + b"\n", JSON


def wants_text(accept: str) -> bool:
    """Whether the client asks for text by name and prefers it to JSON. `*/*`, no header and browsers get JSON."""
    text = json = 0.0
    for part in accept.lower().split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        weight = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    weight = float(parameter[2:])
                except ValueError:
                    weight = 0.0
        if name in ("text/plain", "application/openmetrics-text"):
            text = max(text, weight)
        elif name == JSON:
            json = max(json, weight)
    return text > json


# -- JSON --------------------------------------------------------------------------------------------------------------


def plain(reading: MetricsSnapshot) -> dict[str, Any]:
    """The JSON of /metrics as a dictionary: rates 0..1, durations in ms, None if nothing was measured."""
    return {
        "at": iso(reading.at),
        "current_rollout_percentage": _percent(reading.percent_bp),
        "decided_rollout_percentage": _percent(reading.decided_bp),
        "stage": reading.stage,
        "blind_s": round(reading.blind_s, 1),
        "keyword_extraction": {
            **numbers(reading.window),
            "total_extractions": reading.ever.n,
            "window_s": reading.window_s,
            "waiting": msgspec.structs.asdict(reading.backlog),
            "since_change": numbers(reading.since_change),
            "ever": numbers(reading.ever),
        },
    }


def numbers(bucket: Bucket) -> dict[str, Any]:
    """Every number of a bucket under its /metrics name. `n` counts documents; each rate comes with its own n."""
    return {
        "error_rate": bucket.error_rate,
        "avg_extraction_time_ms": rounded(bucket.mean_ms),
        "cache_hit_rate": bucket.hit_rate,
        "method_breakdown": bucket.breakdown,
        "n": bucket.n,
        "llm_attempts": bucket.attempts,
        "llm_errors": bucket.errors,
        "errors_by_kind": dict(sorted(bucket.kinds.items(), key=lambda item: (-item[1], item[0]))),
        "timed_calls": bucket.fresh,
        **quantiles(bucket.histogram),
        "avg_queue_time_ms": rounded(bucket.queue_mean_ms),
        "avg_service_time_ms": rounded(bucket.service_mean_ms),
        "cache_lookups": bucket.lookups,
        "cache_hits": bucket.hits,
        "fallbacks": bucket.fallbacks,
        "skipped": bucket.skipped,
        "short": bucket.short,
        "avg_keywords": rounded(bucket.keywords_mean),
        "grounded_rate": bucket.grounded_rate,
        "frequency_arm": {
            "n": bucket.plain_n,
            "error_rate": bucket.plain_error_rate,
            "avg_extraction_time_ms": rounded(bucket.plain_mean_ms),
            **quantiles(bucket.plain_histogram),
        },
        "shadow": {
            "n": bucket.shadow_n,
            "errors": bucket.shadow_errors,
            "avg_extraction_time_ms": rounded(bucket.shadow_mean_ms),
        },
    }


def quantiles(histogram: Histogram) -> dict[str, float | None]:
    values = histogram.quantiles((0.5, 0.95, 0.99))
    return {f"{name}_extraction_time_ms": rounded(q) for name, q in zip(("p50", "p95", "p99"), values, strict=True)}


def rounded(value: float | None) -> float | None:
    """A number to three decimals: more mean nothing for milliseconds or keywords."""
    return None if value is None else round(value, 3)


def _percent(basis_points: int) -> int | float:
    return basis_points // 100 if basis_points % 100 == 0 else basis_points / 100


# -- text --------------------------------------------------------------------------------------------------------------


def _text(reading: MetricsSnapshot, accept: str, kinds: Iterable[str]) -> tuple[bytes, str]:
    from prometheus_client.exposition import choose_encoder  # 40 ms to import, needed only when scraped

    encode, content_type = choose_encoder(accept)
    registry = SimpleNamespace(collect=lambda: families(reading, kinds))  # all that an encoder wants of one
    return encode(registry), content_type


def families(reading: MetricsSnapshot, kinds: Iterable[str] = ()) -> Iterator[Metric]:
    """Every series: those of the plan without labels of ours, then the labelled ones."""
    kinds = tuple(kinds)
    yield from _gauges(reading)
    yield from _counters(reading, kinds)
    yield _durations(reading.ever)
    yield from labelled.families(reading, kinds)


def _family(kind: str, name: str, documentation: str, samples: Samples, label: str = "") -> Metric:
    """A gauge or a counter. `samples`: (value of the label, number); one whose number is not known is absent."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    make = GaugeMetricFamily if kind == "gauge" else CounterMetricFamily
    family: GaugeMetricFamily | CounterMetricFamily = make(name, documentation, labels=[label] if label else [])
    for of, value in samples:
        if value is not None:
            family.add_metric([of] if label else [], float(value))
    return family


def _gauges(reading: MetricsSnapshot) -> Iterator[Metric]:
    b, triggers, backlog = reading.window, reading.triggers, reading.backlog
    window = f"over the last {reading.window_s:g} s, since the last change of percentage at most"
    absent = "absent while there are none"
    for name, value, documentation in (
        ("current_rollout_percentage", reading.percent_bp / 100,
         "Share of documents extracted by the LLM, 0..100, in force now."),
        ("decided_rollout_percentage", reading.decided_bp / 100,
         "The share as last decided; higher than what is in force while the armed file or the lease holds the LLM "
         "back."),
        ("rollout_blind_seconds", reading.blind_s,
         "How long the triggers have had no figures to judge; 0 while they have. Blind from [trigger_settings] "
         "blind_after on."),
        ("rollout_refusing_documents", reading.refusing,
         "1 while every document gets 503 because the store takes none, else 0."),
        ("current_rollout_stage", reading.stage, "Stage of the rollout plan, 0 is preparation."),
        ("keyword_extraction_error_rate", b.error_rate,
         f"Failed LLM attempts of LLM attempts, 0..1, {window}; {absent}."),
        ("keyword_extraction_avg_time_ms", b.mean_ms,
         f"Mean latency of LLM extractions in ms, including our queue for interactive documents, {window}; {absent}."),
        ("keyword_extraction_service_avg_seconds", None if b.service_mean_ms is None else b.service_mean_ms / 1000,
         f"Mean latency of the LLM service in seconds, without our queue, {window}; {absent}."),
        ("keyword_extraction_cache_hit_rate", b.hit_rate, f"Hits of cache lookups, 0..1, {window}; {absent}."),
        ("keyword_extraction_window_seconds", reading.window_s,
         "Length of the window of the rates, the mean and the method breakdown."),
        ("keyword_extraction_llm_available", reading.llm_available,
         "1 while a server of the LLM service answers probes, 0 while none does."),
        ("keyword_extraction_waiting_limit", backlog.limit,
         "How many of each lane may be queued. Beyond it interactive documents get frequency keywords, bulk ones 429."),
    ):  # fmt: skip
        yield _family("gauge", name, documentation, [("", value)])
    for name, label, samples, documentation in (
        ("keyword_extraction_method_breakdown", "method", list(b.breakdown.items()),
         f"Documents by how they got their keywords, {window}."),
        ("rollout_trigger_firing", "trigger", [(t.id, t.firing) for t in triggers],
         "1 while a trigger's condition has lasted long enough."),
        ("rollout_trigger_value", "trigger", [(t.id, t.value) for t in triggers],
         "The value a trigger compares with its threshold, in the plan's unit; absent while it cannot be judged."),
        ("keyword_extraction_waiting", "lane", [("interactive", backlog.interactive), ("bulk", backlog.bulk)],
         "Queued for the LLM now: interactive calls without a slot, and bulk documents until they are answered."),
    ):  # fmt: skip
        yield _family("gauge", name, documentation, samples, label)


def _counters(reading: MetricsSnapshot, kinds: Iterable[str]) -> Iterator[Metric]:
    ever = reading.ever
    failed = [(str(kind), count) for kind, count in sorted((dict.fromkeys(kinds, 0) | ever.kinds).items())]
    methods = "Documents by how they got their keywords."
    yield _family("counter", "keyword_extraction", methods, ever.breakdown.items(), "method")
    errors = "LLM attempts that ended without usable keywords, by kind."
    yield _family("counter", "keyword_extraction_errors", errors, failed, "kind")
    families = (
        ("attempts", "Documents sent to the LLM or rejected by an open breaker.", ever.attempts),
        ("bulk_refused", "Bulk documents refused with 429 since the engine started, because too many were waiting.",
         reading.bulk_refused),
        ("cache_lookups", "Documents whose answer was looked up in the cache.", ever.lookups),
        ("cache_hits", "Documents whose answer was in the cache.", ever.hits),
        ("fallbacks", "Documents of the LLM arm that got frequency keywords instead.", ever.fallbacks),
        ("short", "LLM answers with fewer keywords than the plan asks for, topped up by frequency.", ever.short),
        ("skipped", "Documents of the LLM arm that were too short for it.", ever.skipped),
        ("keywords", "Keywords served.", ever.keywords),
        ("proposed_keywords", "Keywords that the LLM proposed.", ever.proposed),
        ("ungrounded_keywords", "Proposed keywords that their document does not contain; dropped.", ever.ungrounded),
        ("queue_seconds", "Time interactive documents spent in our queue.", ever.queue_sum / 1000),
        ("service_seconds", "Time of fresh LLM calls without our queue.", ever.service_sum / 1000),
        ("frequency_errors", "Frequency extractions that failed, on the frequency arm.", ever.plain_errors),
        ("shadow", "LLM calls whose answers were stored and not served.", ever.shadow_n),
        ("shadow_errors", "Shadow calls that failed.", ever.shadow_errors),
    )  # fmt: skip
    for name, documentation, value in families:
        yield _family("counter", f"keyword_extraction_{name}", documentation, [("", value)])


def _durations(ever: Bucket) -> Metric:
    from prometheus_client.core import HistogramMetricFamily

    family = HistogramMetricFamily(
        "keyword_extraction_duration_seconds",
        "Latency of LLM extractions, including our queue for interactive documents, and of frequency extractions.",
        labels=["method"],
    )
    for method, histogram, total_ms in (
        ("llm", ever.histogram, ever.ms_sum),
        ("frequency", ever.plain_histogram, ever.plain_ms_sum),
    ):
        counts = histogram.cumulative(limit * 1000 for limit in LIMITS)
        buckets = [(str(limit), float(count)) for limit, count in zip(LIMITS, counts, strict=True)]
        family.add_metric([method], [*buckets, ("+Inf", float(histogram.n))], total_ms / 1000)
    return family
