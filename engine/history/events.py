"""The events around a moment, for a cursor that jumps from one to the next."""

from __future__ import annotations

import sqlite3

from engine.store.each_value import each_value
from engine.triggers.history import STALE_S

NEAR_S = 0.5  # a cursor on an event has passed it
DAY = 86400.0


def events_around(conn: sqlite3.Connection, at: float) -> tuple[float | None, float | None]:
    """The time of the last event before a moment and of the first after it: a decision, a complaint, a trigger going
    into breach."""
    before = [
        conn.execute("SELECT max(at) FROM decision WHERE at < ?", (at - NEAR_S,)).fetchone()[0],
        conn.execute("SELECT max(at) FROM feedback WHERE kind = 'complaint' AND at < ?", (at - NEAR_S,)).fetchone()[0],
        *(began for began in _breaches(conn, at - DAY, at) if began < at - NEAR_S),
    ]
    after = [
        conn.execute("SELECT min(at) FROM decision WHERE at > ?", (at + NEAR_S,)).fetchone()[0],
        conn.execute("SELECT min(at) FROM feedback WHERE kind = 'complaint' AND at > ?", (at + NEAR_S,)).fetchone()[0],
        *(began for began in _breaches(conn, at, at + DAY) if began > at + NEAR_S),
    ]
    return (
        max((t for t in before if t is not None), default=None),
        min((t for t in after if t is not None), default=None),
    )


def _breaches(conn: sqlite3.Connection, start: float, end: float) -> list[float]:
    """When triggers went into breach between two moments, at most a day apart."""
    verdicts: dict[str, str] = {}
    moments = []
    for trigger, when, verdict in conn.execute(
        "SELECT trigger, at, verdict FROM trigger_evidence WHERE at > ? AND at <= ? AND trigger IN "
        f"({each_value('trigger_evidence', 'trigger')}) ORDER BY at",
        (start - STALE_S, end),
    ).fetchall():
        if verdict == "breach" and verdicts.get(trigger) != "breach" and when > start:
            moments.append(when)
        verdicts[trigger] = verdict
    return moments
