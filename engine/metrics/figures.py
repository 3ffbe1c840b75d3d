"""Numbers of a stage or a window with what they rest on, in words: shared by the report and by messages."""

from __future__ import annotations

import math
import sqlite3
from typing import Any

import msgspec

from engine import bounds
from engine.measures.bucket import Bucket
from engine.measures.figure import Figure
from engine.plan.model import Metric, Plan, Stage
from engine.quality import review
from engine.store import series
from engine.text import clean_line
from engine.triggers import words

SATISFIED = 4.0  # of 5: ratings from here on are positive


def stage_bucket(conn: sqlite3.Connection, stage: int) -> tuple[Bucket, Bucket]:
    """(LLM arm, both arms) of a stage over all its visits. The one place where the report's numbers come from."""
    return series.stage_summary(conn, stage, "treatment"), series.stage_summary(conn, stage)


def target(stage: Stage | None, metric: Metric) -> tuple[str, float] | None:
    """(op, value) of the gate's condition on this metric."""
    if stage is None:
        return None
    return next(((c.op, c.value) for c in stage.success if c.metric == metric), None)


def plan_target(plan: Plan, metric: Metric) -> float | None:
    """What the plan asks for in any stage, the last stage's word first."""
    found = (target(stage, metric) for stage in reversed(plan.stages))
    return next((each[1] for each in found if each is not None), None)


def judge(value: float | None, wanted: tuple[str, float] | None) -> bool | None:
    if value is None or wanted is None:
        return None
    op, limit = wanted
    return bounds.compare(value, op, limit)


# -- what was measured -----------------------------------------------------------------------------------------------


def error_rate(bucket: Bucket, wanted: tuple[str, float] | None = None) -> Figure:
    n, k = bucket.attempts, bucket.errors
    if not n:
        return Figure(None, "no LLM documents")
    upper = words.percent(bounds.rate_upper(k, n))
    return Figure(k / n, f"{words.percent(k / n)} ({k} of {n}, at most {upper})", judge(k / n, wanted))


def latency(bucket: Bucket, wanted: tuple[str, float] | None = None) -> Figure:
    mean = bucket.mean_ms
    if mean is None:
        return Figure(None, "no fresh LLM calls")
    return Figure(mean, f"{_time(mean)} (n {bucket.fresh})", judge(mean, wanted))


def latency_p95(bucket: Bucket, wanted: tuple[str, float] | None = None) -> Figure:
    p95 = bucket.histogram.quantile(0.95)
    if p95 is None:
        return Figure(None, "no fresh LLM calls")
    return Figure(p95, f"{_time(p95)} (n {bucket.fresh})", judge(p95, wanted))


def cache(bucket: Bucket, wanted: tuple[str, float] | None = None) -> Figure:
    n, k = bucket.lookups, bucket.hits
    if not n:
        return Figure(None, "no cache look-ups")
    return Figure(k / n, f"{words.percent(k / n)} ({k} of {n})", judge(k / n, wanted))


def methods(bucket: Bucket) -> str:
    """ "LLM 142 (12 of them from the cache), frequency 1277 (3 of them fallbacks)"."""
    if not bucket.n:
        return "no documents"
    cached = f" ({bucket.hits:,} of them from the cache)" if bucket.hits else ""
    fell = f" ({bucket.fallbacks:,} of them fallbacks)" if bucket.fallbacks else ""
    return f"LLM {bucket.llm:,}{cached}, frequency {bucket.frequency:,}{fell}"


def _time(ms: float) -> str:
    return words.measure("latency_mean", ms)


# -- what people said ------------------------------------------------------------------------------------------------


def satisfaction(
    conn: sqlite3.Connection, stage: int, since: float = 0.0, wanted: tuple[str, float] | None = None
) -> Figure:
    row = conn.execute(
        "SELECT count(*), total(value >= ?) FROM feedback WHERE kind = 'rating' AND stage = ? AND at >= ?",
        (SATISFIED, stage, since),
    ).fetchone()
    n, k = int(row[0]), int(row[1])
    if not n:
        return Figure(None, "no ratings")
    return Figure(k / n, f"{words.percent(k / n)} ({k} of {n} ratings)", judge(k / n, wanted))


def complaints(conn: sqlite3.Connection, stage: int, since: float = 0.0) -> int:
    row = conn.execute(
        "SELECT count(*) FROM feedback WHERE kind = 'complaint' AND stage = ? AND at >= ?", (stage, since)
    ).fetchone()
    return int(row[0])


def quality(conn: sqlite3.Connection, stage: int, wanted: tuple[str, float] | None = None) -> Figure:
    """Documents that most of their reviewers judged good, of those reviewed in this stage."""
    found = review.verdict(conn, stage, 0.0)
    if not found.documents:
        return Figure(None, "no review")
    share = found.good / found.documents
    said = f"{words.percent(share)} judged good ({found.good} of {found.documents} documents)"
    return Figure(share, said, judge(share, wanted))


# -- what was computed -------------------------------------------------------------------------------------------------


def measures(
    conn: sqlite3.Connection, kinds: tuple[str, ...], since: float = 0.0, until: float = math.inf
) -> list[tuple[float, str, dict[str, Any]]]:
    """(at, kind, body) of stored measurements, oldest first."""
    marks = ",".join("?" * len(kinds))
    found = conn.execute(
        f"SELECT at, kind, body FROM measure WHERE kind IN ({marks}) AND at >= ? AND at < ? ORDER BY at",
        (*kinds, since, until),
    ).fetchall()
    return [(at, kind, decode(body)) for at, kind, body in found]


SEARCH = ("search_quality",)
EXPERIMENT = ("ab_report",)


def search(
    conn: sqlite3.Connection, visits: list[tuple[float, float]], wanted: tuple[str, float] | None = None
) -> Figure:
    """The last search measurement that was made during these spans of time."""
    found = [body for low, high in visits for _, _, body in measures(conn, SEARCH, low, high)]
    if not found:
        return Figure(None, "not measured")
    improvement = found[-1].get("improvement", found[-1].get("value"))
    if isinstance(improvement, dict):
        improvement = improvement.get("mrr", improvement)
    if isinstance(improvement, dict):
        value, low, high = (improvement.get(key) for key in ("estimate", "low", "high"))
    else:
        value, low, high = improvement, None, None
    if not isinstance(value, int | float):
        return Figure(None, said(found[-1]) or "not known")
    between = f" ({_change(low)} to {_change(high)})" if low is not None and high is not None else ""
    return Figure(float(value), f"{_change(float(value))}{between}", judge(float(value), wanted))


def _change(value: float) -> str:
    return words.measure("search_improvement", value)


def said(body: dict[str, Any]) -> str:
    """The sentence of a stored result, wherever its kind keeps it."""
    for key in ("sentence", "verdict", "summary"):
        found = body.get(key)
        if isinstance(found, dict):
            found = found.get("sentence")
        if isinstance(found, str) and found:
            return clean_line(found, 600)
    return ""


def decode(body: str | bytes) -> dict[str, Any]:
    """A stored JSON object; anything else is an empty one, for a report is written whatever the store holds."""
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
