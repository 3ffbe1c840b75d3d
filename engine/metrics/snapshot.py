"""All numbers of one moment, read from the store: what /metrics shows and `rollout metrics snapshot` prints."""

from __future__ import annotations

import sqlite3

from msgspec import Struct

from engine.measures.backlog import Backlog
from engine.measures.bucket import Arms, Bucket
from engine.metrics.exemplars import Exemplars
from engine.plan.model import Trigger
from engine.store import series
from engine.triggers.wording import Reading

WINDOW_S = 300.0


class TriggerReading(Struct, frozen=True):
    """A trigger as last evaluated; `value` is None while it cannot be judged."""

    id: str
    value: float | None
    firing: bool
    verdict: str = ""
    severity: str = ""
    action: str = ""
    threshold: float | None = None
    n: int = 0
    held_s: float = 0.0
    for_s: float = 0.0
    fires_in_s: float | None = None


def of_trigger(rule: Trigger, reading: Reading, firing: bool) -> TriggerReading:
    """A trigger as /metrics shows it."""
    return TriggerReading(
        id=rule.id,
        value=reading.value,
        firing=firing,
        verdict=reading.verdict,
        severity=rule.severity,
        action=rule.action,
        threshold=reading.threshold,
        n=reading.n,
        held_s=reading.held_s,
        for_s=reading.for_s,
        fires_in_s=reading.fires_in_s,
    )


class About(Struct, frozen=True):
    """What is rolled out, where, and how it is. `gate_open` is None after the last stage and before the first tick."""

    service: str = ""
    environment: str = ""
    version: str = ""
    stage_name: str = ""
    health: str = ""
    gate_open: bool | None = None


UNKNOWN = About()
NO_BACKLOG = Backlog()


class MetricsSnapshot(Struct, frozen=True):
    """`percent_bp` is in force, `decided_bp` was decided: they differ while the armed file or the lease holds the LLM
    back.

    `window` covers the last `window_s` seconds; it and `since_change` start at the last change of percentage. `ever`
    covers everything. Each bucket holds both arms. `blind_s`: how long the triggers have had no figures; 0 while they
    have. `refusing`: every document gets 503, because the store takes none.
    """

    at: float
    percent_bp: int
    decided_bp: int
    stage: int
    window_s: float
    window: Bucket
    since_change: Bucket
    ever: Bucket
    blind_s: float = 0.0
    refusing: bool = False
    triggers: tuple[TriggerReading, ...] = ()
    bulk_refused: int = 0
    backlog: Backlog = NO_BACKLOG
    llm_available: bool | None = None  # whether a server answered the last probe; None before the first
    of: About = UNKNOWN
    by_stage: tuple[tuple[int, Arms], ...] = ()  # all that is in `ever`, by stage
    exemplars: Exemplars | None = None


def take(
    conn: sqlite3.Connection, now: float, *, percent_bp: int, decided_bp: int, stage: int, epoch: int
) -> MetricsSnapshot:
    """What the store knows; the engine adds what only its process does."""
    by_stage = series.by_stage(conn)
    return MetricsSnapshot(
        at=now,
        percent_bp=percent_bp,
        decided_bp=decided_bp,
        stage=stage,
        window_s=WINDOW_S,
        window=series.window(conn, now, WINDOW_S, since_epoch=epoch),
        since_change=series.since_change(conn, epoch),
        ever=Arms.merged(arms for _, arms in by_stage).of(None),
        by_stage=by_stage,
    )
