"""All numbers of one moment, read from the store: what /metrics shows and `rollout metrics snapshot` prints."""

from __future__ import annotations

import sqlite3

from msgspec import Struct

from engine.measures.bucket import Bucket
from engine.store import series

WINDOW_S = 300.0


class TriggerReading(Struct, frozen=True):
    """A trigger as last evaluated; `value` is None while it cannot be judged."""

    id: str
    value: float | None
    firing: bool


class MetricsSnapshot(Struct, frozen=True):
    """`percent_bp` is in effect, `decided_bp` was decided: they differ while the armed file or the lease holds the LLM
    back.

    `window` covers the last `window_s` seconds; it and `since_change` start at the last change of percentage. `ever`
    covers everything. Each bucket holds both arms. `blind_s`: how long the triggers have had no figures; 0 while they
    have.
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
    triggers: tuple[TriggerReading, ...] = ()
    bulk_refused: int = 0
    llm_available: bool | None = None  # whether a server answered the last probe; None before the first


def take(
    conn: sqlite3.Connection,
    now: float,
    *,
    percent_bp: int,
    decided_bp: int,
    stage: int,
    epoch: int,
    window_s: float = WINDOW_S,
    blind_s: float = 0.0,
    triggers: tuple[TriggerReading, ...] = (),
    bulk_refused: int = 0,
    llm_available: bool | None = None,
) -> MetricsSnapshot:
    return MetricsSnapshot(
        now,
        percent_bp,
        decided_bp,
        stage,
        window_s,
        series.window(conn, now, window_s, since_epoch=epoch),
        series.since_change(conn, epoch),
        series.total(conn),
        blind_s,
        triggers,
        bulk_refused,
        llm_available,
    )
