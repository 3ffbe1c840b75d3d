"""Reading the buckets: windows, series, stages. Never the raw rows, so that the cost does not grow with history."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from engine.metrics.bucket import Bucket


def buckets(
    conn: sqlite3.Connection, level: int, start: float, end: float, arm: str | None = None, since_epoch: int = 0
) -> list[tuple[int, str, str, Bucket]]:
    """(t, arm, method, bucket) with start <= t < end, oldest first."""
    where, given = "level = ? AND t >= ? AND t < ? AND epoch >= ?", [level, int(start), end, since_epoch]
    if arm is not None:
        where, given = where + " AND arm = ?", [*given, arm]
    found = conn.execute(f"SELECT t, arm, method, body FROM rollup WHERE {where} ORDER BY t", given).fetchall()
    return [(t, its_arm, method, Bucket.decode(body)) for t, its_arm, method, body in found]


def window(
    conn: sqlite3.Connection, now: float, seconds: float, arm: str | None = None, since_epoch: int = 0
) -> Bucket:
    """Everything of the last `seconds`, to the width of the buckets used (10 s up to an hour, then 1 min, then 1 h)."""
    level = level_of(seconds)
    start = (now - seconds) // level * level + level
    return Bucket.merged(found[3] for found in buckets(conn, level, start, now + level, arm, since_epoch))


def level_of(seconds: float) -> int:
    return 10 if seconds <= 3600 else 60 if seconds <= 86400 else 3600


METRICS: dict[str, Callable[[Bucket], float | None]] = {
    "error_rate": lambda b: b.error_rate,
    "latency_mean": lambda b: b.mean_ms,
    "latency_p50": lambda b: b.histogram.quantile(0.5),
    "latency_p95": lambda b: b.histogram.quantile(0.95),
    "latency_p99": lambda b: b.histogram.quantile(0.99),
    "cache_hit_rate": lambda b: b.hit_rate,
    "documents": lambda b: float(b.n),
    "llm_documents": lambda b: float(b.llm),
    "frequency_documents": lambda b: float(b.frequency),
    "llm_share": lambda b: b.llm / b.n if b.n else None,
    "frequency_share": lambda b: b.frequency / b.n if b.n else None,
    "fallbacks": lambda b: float(b.fallbacks),
    "grounded_rate": lambda b: b.grounded_rate,
}


def series(
    conn: sqlite3.Connection, metric: str, start: float, end: float, points: int, arm: str | None = "treatment"
) -> list[tuple[float, float | None]]:
    """`points` values, oldest first, each at the start of its span; None where nothing was measured. KeyError: no such metric."""
    of = METRICS[metric]
    if metric in ("documents", "llm_documents", "frequency_documents", "llm_share", "frequency_share"):
        arm = None
    span = (end - start) / points
    level = 10 if span < 60 and end - start <= 2 * 86400 else 60 if span < 3600 and end - start <= 8 * 86400 else 3600
    made: list[Bucket | None] = [None] * points
    for t, _, _, bucket in buckets(conn, level, start // level * level, end, arm):
        place = min(points - 1, max(0, int((t - start) / span)))
        if made[place] is None:
            made[place] = Bucket()
        made[place].merge(bucket)  # type: ignore[union-attr]
    return [(start + number * span, of(bucket) if bucket is not None else None) for number, bucket in enumerate(made)]


def stage_summary(conn: sqlite3.Connection, stage: int, arm: str | None = "treatment") -> Bucket:
    """All of a stage, from the hourly buckets."""
    clause, given = (" AND arm = ?", (stage, arm)) if arm else ("", (stage,))
    found = conn.execute(f"SELECT body FROM rollup WHERE level = 3600 AND stage = ?{clause}", given).fetchall()
    return Bucket.merged(Bucket.decode(body) for (body,) in found)
