"""How long the last stage has been stable (full percentage, no incident, every day within targets), and what reset it.

"Stable for 7 days" is counted, not averaged: six good days do not make up for a bad one.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable

from msgspec import Struct

from engine import bounds
from engine.measures.bucket import Bucket
from engine.plan.durations import iso
from engine.plan.model import Condition, Plan, Stage
from engine.plan.units import value_and_threshold
from engine.plan.vocabulary import METRICS
from engine.rollout.state import State
from engine.store import series
from engine.text import percent

DAY = 86400
LEAST_N = 20  # a day with fewer samples is not judged

_FIGURES: dict[str, Callable[[Bucket], tuple[float | None, int]]] = {
    "error_rate": lambda b: (b.errors / b.attempts if b.attempts else None, b.attempts),
    "latency_mean": lambda b: (b.mean_ms, b.fresh),
    "cache_hit_rate": lambda b: (b.hits / b.lookups if b.lookups else None, b.lookups),
}


class Stability(Struct, frozen=True):
    """`clean_s`: seconds since the count last restarted; `reset`: what restarted it, "" if it began with the stage."""

    since: float
    clean_s: float
    reset: str = ""

    @property
    def sentence(self) -> str:
        why = f"reset by {self.reset}; " if self.reset else ""  # first: the line is cut at the end
        return f"{why}counted since {iso(self.since)}"


def stability(conn: sqlite3.Connection, plan: Plan, state: State, now: float) -> Stability | None:
    """The stage's stability; None except in the last stage, the only one whose bake counts clean days."""
    if state.stage != plan.last_stage:
        return None
    stage = plan.stages[state.stage]
    if state.percent_bp < stage.percent_bp:
        return Stability(now, 0.0, f"{percent(state.percent_bp)} instead of {percent(stage.percent_bp)}")
    candidates = [(state.entered_at, ""), _incident(conn, state), _bad_day(conn, stage, state, now)]
    since, reset = max((event for event in candidates if event is not None), key=lambda event: event[0])
    if state.changed_at > since:
        since, reset = state.changed_at, f"the return to {percent(state.percent_bp)}"
    return Stability(since, max(0.0, now - since), reset)


def _incident(conn: sqlite3.Connection, state: State) -> tuple[float, str] | None:
    """The last trigger or rollback since the stage began; undone ones and a person's holds do not count."""
    row = conn.execute(
        "SELECT at, kind, json_extract(body, '$.sentence') FROM decision WHERE at >= ? AND stage >= ? AND "
        "((kind IN ('trigger', 'rollback') AND rev <= ?) OR (kind = 'hold' AND actor = 'engine')) "
        "ORDER BY rev DESC LIMIT 1",
        (state.entered_at, state.stage, state.last_rev),
    ).fetchone()
    return None if row is None else (float(row[0]), f"an incident: {row[2]}")


def _bad_day(conn: sqlite3.Connection, stage: Stage, state: State, now: float) -> tuple[float, str] | None:
    """The end of the last day (UTC) with a figure outside its target; today ends now."""
    hourly = series.buckets(conn, 3600, state.entered_at - 3600, now + 3600, "treatment", stage=state.stage)
    last = None
    for day, hours in itertools.groupby(hourly, key=lambda row: int(row[0] // DAY)):
        sum_of = Bucket.merged(bucket for _, bucket in hours)
        missed = next((miss for c in stage.success if (miss := _missed(c, sum_of))), "")
        if missed:
            last = (min(now, (day + 1) * DAY), f"{iso(day * DAY)[:10]}: {missed}")
    return last


def _missed(condition: Condition, day: Bucket) -> str:
    figure = _FIGURES.get(condition.metric)
    if figure is None:
        return ""
    value, n = figure(day)
    if value is None or n < LEAST_N:
        return ""
    if bounds.compare(value, condition.op, condition.value):
        return ""
    shown, asked = value_and_threshold(condition.metric, value, condition.value)
    return f"{METRICS[condition.metric].name} {shown} (n {n}), target {condition.op} {asked}"
