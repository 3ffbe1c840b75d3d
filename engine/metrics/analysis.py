"""Performance over days: `rollout metrics analyze` and `rollout metrics snapshot`, as plain dictionaries for JSON.

Rates are 0..1, durations in ms, times ISO 8601, unknown numbers None. Only buckets are read: the cost depends on the
number of days, not on traffic.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator
from typing import Any

from engine.measures.bucket import Bucket
from engine.metrics import exposition
from engine.metrics.snapshot import take
from engine.plan.durations import format_duration, iso
from engine.store import log, series
from engine.text import rate_percent

DAY = 86400.0
FEWEST = 20  # samples needed in each half to call a trend
SURE = 2.576  # standard errors: chance exceeds this once in a hundred
MATTERS = 0.05  # a mean that moves less than this is steady, even if significant


def snapshot(conn: sqlite3.Connection, now: float, percent_bp: int, engine: str) -> dict[str, Any]:
    """The JSON of /metrics from the store. What only the engine's process knows is given: the percentage in force, and
    whether it runs."""
    state = log.read_state(conn)
    taken = take(conn, now, percent_bp=percent_bp, decided_bp=state.percent_bp, stage=state.stage, epoch=state.epoch)
    return {**exposition.plain(taken), "engine": engine}


def performance_report(conn: sqlite3.Connection, now: float, days: float) -> dict[str, Any]:
    """The last `days`: in total, by calendar day (UTC), and what changed between their first and second half."""
    start = now - days * DAY
    whole = series.between(conn, start, now + 10)
    step = 3600 if days >= 1 else 10  # a boundary of buckets of every age
    middle = math.floor((start + days * DAY / 2) / step) * step
    trend = _trend(series.between(conn, start, middle), series.between(conn, middle, now + 10), days * DAY / 2)
    return {
        "generated_at": iso(now),
        "from": iso(start),
        "to": iso(now),
        "days": days,
        "documents_ever": series.total(conn).n,
        "total": _period(whole),
        "by_day": list(_by_day(conn, start, now)),
        "trend": trend,
        "summary": [change["sentence"] for change in trend.values()],
    }


def _period(bucket: Bucket) -> dict[str, Any]:
    shares = {
        "documents": bucket.n,
        "llm_documents": bucket.llm,
        "frequency_documents": bucket.frequency,
        "llm_share": bucket.llm / bucket.n if bucket.n else None,
        "frequency_share": bucket.frequency / bucket.n if bucket.n else None,
    }
    return {**shares, **exposition.numbers(bucket)}


def _by_day(conn: sqlite3.Connection, start: float, now: float) -> Iterator[dict[str, Any]]:
    began = series.began(conn)
    if began is None:
        return
    day = math.floor(max(start, began) / DAY) * DAY
    while day <= now:
        bucket = series.between(conn, max(day, start), min(day + DAY, now + 10))
        yield {"date": iso(day)[:10], "partial": day < start or day + DAY > now, **_period(bucket)}
        day += DAY


# -- what changed ------------------------------------------------------------------------------------------------------


def _trend(first: Bucket, second: Bucket, half_s: float) -> dict[str, dict[str, Any]]:
    return {
        "documents": _volume(first.n, second.n, half_s),
        "llm_share": _rate("share of documents by LLM", first.llm, first.n, second.llm, second.n),
        "error_rate": _rate("error rate", first.errors, first.attempts, second.errors, second.attempts),
        "avg_extraction_time_ms": _mean(first, second),
        "cache_hit_rate": _rate("cache hits", first.hits, first.lookups, second.hits, second.lookups),
    }


def _change(name: str, a: float | None, b: float | None, direction: str, words: str) -> dict[str, Any]:
    sentence = f"{name}: {direction if direction != 'unknown' else 'not enough data'}, {words}"
    return {"direction": direction, "first_half": a, "second_half": b, "sentence": sentence}


def _direction(change: float, error: float, matters: bool = True) -> str:
    if not matters or abs(change) <= SURE * error or change == 0.0:
        return "steady"
    return "rising" if change > 0 else "falling"


def _rate(name: str, k1: int, n1: int, k2: int, n2: int) -> dict[str, Any]:
    """The trend of two proportions, by pooled z."""
    a, b = (k1 / n1 if n1 else None), (k2 / n2 if n2 else None)
    words = f"{_percent(a)} of {n1:,} in the first half, {_percent(b)} of {n2:,} in the second"
    if a is None or b is None or min(n1, n2) < FEWEST:
        return _change(name, a, b, "unknown", words)
    pooled = (k1 + k2) / (n1 + n2)
    error = math.sqrt(pooled * (1 - pooled) * (1 / n1 + 1 / n2))
    return _change(name, a, b, _direction(b - a, error), words)


def _mean(first: Bucket, second: Bucket) -> dict[str, Any]:
    """The trend of two means, by Welch's z."""
    a, b = first.mean_ms, second.mean_ms
    words = (
        f"mean {_ms(a)} of {first.fresh:,} fresh calls in the first half, {_ms(b)} of {second.fresh:,} in the second"
    )
    if a is None or b is None or min(first.fresh, second.fresh) < FEWEST:
        return _change("latency", a, b, "unknown", words)
    spread = sum(max(0.0, x.ms_sq / x.fresh - (x.ms_sum / x.fresh) ** 2) / (x.fresh - 1) for x in (first, second))
    return _change("latency", a, b, _direction(b - a, math.sqrt(spread), abs(b - a) > MATTERS * a), words)


def _volume(a: int, b: int, half_s: float) -> dict[str, Any]:
    """The trend of two counts. Documents arrive in bunches, so a change of up to a tenth counts as steady."""
    words = f"{a:,} in the first {format_duration(half_s)}, {b:,} in the second"
    direction = "unknown" if a + b < FEWEST else _direction(b - a, math.sqrt(a + b), abs(b - a) > 0.1 * max(a, b))
    return _change("documents", a, b, direction, words)


def _percent(value: float | None) -> str:
    return "none" if value is None else rate_percent(value, 1)


def _ms(value: float | None) -> str:
    return "unknown" if value is None else f"{value / 1000:.2f} s"
