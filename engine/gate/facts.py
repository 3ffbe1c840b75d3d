"""What a gate is judged on: what the buckets of a stage measured, and what its people judged up to a moment."""

from __future__ import annotations

import sqlite3

import msgspec

from engine.measures.bucket import Bucket
from engine.rollout.control import State
from engine.triggers.measurement import NoData, Ok, Sample, mean, rate


def measured(state: State, bucket: Bucket) -> dict[str, Sample]:
    """From what was extracted since the last change of percentage; at 0 % from LLM answers that were not served."""
    b = bucket
    if not state.percent_bp and not b.attempts and b.shadow_n:
        b = b.in_shadow()
    return {
        "error_rate": rate(b.errors, b.attempts),
        "latency_mean": mean(b.ms_sum, b.ms_sq, b.fresh),
        "latency_p95": Ok(b.histogram.quantile(0.95) or 0.0, b.fresh) if b.fresh else NoData(),
        "cache_hit_rate": rate(b.hits, b.lookups),
        "grounded_rate": rate(b.proposed - b.ungrounded, b.proposed),
        "documents": Ok(float(b.llm), b.llm),
    }


def incidents(conn: sqlite3.Connection, state: State) -> Sample:
    """Triggers that acted and rollbacks that are in effect since the stage was entered."""
    found = conn.execute(
        "SELECT count(*) FROM decision WHERE kind IN ('trigger', 'rollback') AND at >= ? AND rev <= ? AND rev > "
        "coalesce((SELECT max(rev) FROM decision WHERE kind = 'promote' AND stage = ? AND rev <= ?), 0)",
        (state.entered_at, state.last_rev, state.stage, state.rev),
    ).fetchone()[0]  # fmt: skip
    return Ok(float(found), found)


def rated(conn: sqlite3.Connection, stage: int, since: float, until: float | None = None) -> Sample:
    """Ratings of 4 or 5 among all of a stage."""
    liked, count = conn.execute(
        "SELECT coalesce(sum(value >= 4), 0), count(*) FROM feedback WHERE kind = 'rating' AND stage = ? AND at >= ? AND at <= ?",
        (stage, since, until if until is not None else 1e300),
    ).fetchone()
    return rate(liked, count)


def stored(conn: sqlite3.Connection, metric: str, since: float, until: float | None = None) -> Sample:
    """The last measurement of a metric that is measured once in a while."""
    row = conn.execute(
        "SELECT body FROM measure WHERE kind = ? AND at >= ? AND at <= ? ORDER BY at DESC LIMIT 1",
        (metric, since, until if until is not None else 1e300),
    ).fetchone()
    return msgspec.json.decode(row[0], type=Ok) if row else NoData()
