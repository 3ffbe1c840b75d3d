"""Figures of a stage or a window in words, with their evidence: shared by the report and by messages."""

from __future__ import annotations

import math
import sqlite3
from typing import Any

import msgspec

from engine import bounds
from engine.decoding import convert
from engine.measures.bucket import Bucket
from engine.measures.figure import MetricValue
from engine.plan.model import Metric, Plan, Stage
from engine.plan.units import measure
from engine.quality import review
from engine.quality.search import Scores
from engine.store import series
from engine.text import clean_line, rate_percent

SATISFIED = 4.0  # of 5: this rating and higher ones are positive


def stage_bucket(conn: sqlite3.Connection, stage: int) -> tuple[Bucket, Bucket]:
    """(LLM arm, both arms) of a stage over all its visits: the only source of the report's numbers."""
    return series.stage_summary(conn, stage, "treatment"), series.stage_summary(conn, stage)


def target(stage: Stage | None, metric: Metric) -> tuple[str, float] | None:
    """(op, value) of the gate's condition on this metric."""
    if stage is None:
        return None
    return next(((c.op, c.value) for c in stage.success if c.metric == metric), None)


def plan_target(plan: Plan, metric: Metric) -> float | None:
    """The target of the last stage that has one."""
    targets = (target(stage, metric) for stage in reversed(plan.stages))
    return next((wanted[1] for wanted in targets if wanted is not None), None)


def judge(
    value: float | None, wanted: tuple[str, float] | None, n: int = bounds.FEWEST, k: int | None = None
) -> bool | None:
    """`n`: the samples behind the figure, where it is not a bound of its own."""
    if value is None or wanted is None:
        return None
    op, limit = wanted
    return bounds.within(value, op, limit, n, k)


# -- what was measured -----------------------------------------------------------------------------------------------


def error_rate(bucket: Bucket, wanted: tuple[str, float] | None = None) -> MetricValue:
    """LLM attempts that failed, of all. `wanted`, here and below: the target as (op, value)."""
    n, k = bucket.attempts, bucket.errors
    if not n:
        return MetricValue(None, "no LLM documents")
    upper = rate_percent(bounds.rate_upper(k, n))
    return MetricValue.of(k / n, rate_percent(k / n), f"{k:,} of {n:,}, at most {upper}", judge(k / n, wanted, n, k))


def latency(bucket: Bucket, wanted: tuple[str, float] | None = None) -> MetricValue:
    """Mean milliseconds of fresh LLM calls."""
    mean = bucket.mean_ms
    if mean is None:
        return MetricValue(None, "no fresh LLM calls")
    return MetricValue.of(mean, _time(mean), f"n {bucket.fresh:,}", judge(mean, wanted, bucket.fresh))


def latency_p95(bucket: Bucket, wanted: tuple[str, float] | None = None) -> MetricValue:
    """95th percentile of fresh LLM calls, from the histogram: right to 1 %."""
    p95 = bucket.histogram.quantile(0.95)
    if p95 is None:
        return MetricValue(None, "no fresh LLM calls")
    return MetricValue.of(p95, _time(p95), f"n {bucket.fresh:,}", judge(p95, wanted, bucket.fresh))


def cache(bucket: Bucket, wanted: tuple[str, float] | None = None) -> MetricValue:
    """Cache hits of lookups."""
    n, k = bucket.lookups, bucket.hits
    if not n:
        return MetricValue(None, "no cache lookups")
    return MetricValue.of(k / n, rate_percent(k / n), f"{k:,} of {n:,}", judge(k / n, wanted, n, k))


def methods(bucket: Bucket) -> str:
    """ "LLM 142 (12 of them from the cache), frequency 1277 (3 of them fallbacks)"."""
    if not bucket.n:
        return "no documents"
    cached = f" ({bucket.hits:,} of them from the cache)" if bucket.hits else ""
    fell = f" ({bucket.fallbacks:,} of them fallbacks)" if bucket.fallbacks else ""
    return f"LLM {bucket.llm:,}{cached}, frequency {bucket.frequency:,}{fell}"


def _time(ms: float) -> str:
    return measure("latency_mean", ms)


# -- feedback and review ---------------------------------------------------------------------------------------------


def satisfaction(
    conn: sqlite3.Connection, stage: int, since: float = 0.0, wanted: tuple[str, float] | None = None
) -> MetricValue:
    """Ratings of `SATISFIED` or more, of all in a stage since this time."""
    row = conn.execute(
        "SELECT count(*), total(value >= ?) FROM feedback WHERE kind = 'rating' AND stage = ? AND at >= ?",
        (SATISFIED, stage, since),
    ).fetchone()
    n, k = int(row[0]), int(row[1])
    if not n:
        return MetricValue(None, "no ratings")
    return MetricValue.of(k / n, rate_percent(k / n), f"{k:,} of {n:,} ratings", judge(k / n, wanted, n, k))


COMPLAINED_OF = {"treatment": "LLM arm", "control": "frequency arm", None: "no known document"}


def complaints(conn: sqlite3.Connection, stage: int, since: float = 0.0) -> int:
    """How many complaints came in a stage since this time."""
    row = conn.execute(
        "SELECT count(*) FROM feedback WHERE kind = 'complaint' AND stage = ? AND at >= ?", (stage, since)
    ).fetchone()
    return int(row[0])


def complaints_by_arm(conn: sqlite3.Connection, stage: int, since: float) -> str:
    """ "4 (LLM arm 2, frequency arm 1, no known document 1)"; "0"."""
    by_arm = dict(
        conn.execute(
            "SELECT arm, count(*) FROM feedback WHERE kind = 'complaint' AND stage = ? AND at >= ? GROUP BY arm",
            (stage, since),
        ).fetchall()
    )
    parts = ", ".join(f"{name} {by_arm[arm]}" for arm, name in COMPLAINED_OF.items() if arm in by_arm)
    return f"{sum(by_arm.values())} ({parts})" if by_arm else "0"


def quality(conn: sqlite3.Connection, stage: int, wanted: tuple[str, float] | None = None) -> MetricValue:
    """Share of this stage's reviewed documents that most of their reviewers judged good."""
    verdict = review.verdict(conn, stage, 0.0)
    if not verdict.documents:
        return MetricValue(None, "no review")
    share = verdict.good / verdict.documents
    evidence = f"{verdict.good} of {verdict.documents} documents"
    return MetricValue.of(
        share, f"{rate_percent(share)} judged good", evidence, judge(share, wanted, verdict.documents, verdict.good)
    )


# -- what was computed -------------------------------------------------------------------------------------------------


def measures(
    conn: sqlite3.Connection, kinds: tuple[str, ...], since: float = 0.0, until: float = math.inf
) -> list[tuple[float, str, dict[str, Any]]]:
    """(at, kind, body) of stored measurements, oldest first."""
    marks = ",".join("?" * len(kinds))
    rows = conn.execute(
        f"SELECT at, kind, body FROM measure WHERE kind IN ({marks}) AND at >= ? AND at < ? ORDER BY at",
        (*kinds, since, until),
    ).fetchall()
    return [(at, kind, decode(body)) for at, kind, body in rows]


SEARCH = ("search_quality",)
EXPERIMENT = ("ab_report",)


def search(
    conn: sqlite3.Connection, visits: list[tuple[float, float]], wanted: tuple[str, float] | None = None
) -> MetricValue:
    """The last search measurement made during these spans of time."""
    results = [body for low, high in visits for _, _, body in measures(conn, SEARCH, low, high)]
    if not results:
        return MetricValue(None, "not measured")
    try:
        change = convert(results[-1].get("improvement"), Scores).mrr
    except msgspec.ValidationError:
        change = None
    if change is None:
        return MetricValue(None, sentence_of(results[-1]) or "not known")
    value, low, high = change.estimate, change.low, change.high
    between = f"{_change(low)} to {_change(high)}" if low is not None and high is not None else ""
    return MetricValue.of(value, _change(value), between, judge(value, wanted))


def _change(value: float) -> str:
    return measure("search_improvement", value)


def sentence_of(body: dict[str, Any]) -> str:
    """The sentence of a stored result, whichever field its kind keeps it in."""
    for key in ("sentence", "verdict"):
        part = body.get(key)
        if isinstance(part, dict):
            part = part.get("sentence")
        if isinstance(part, str) and part:
            return clean_line(part, 600)
    return ""


def decode(body: str | bytes) -> dict[str, Any]:
    """A stored JSON object; anything else becomes an empty one, so that a report can always be written."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
