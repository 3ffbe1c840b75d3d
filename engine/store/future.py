"""Records dated in the future by a wrong wall clock, moved back to now. Otherwise they would count as the newest until
the clock caught up."""

from __future__ import annotations

import sqlite3

from engine.store import rollup

TOLERANCE_S = 2.0  # NTP's own corrections are smaller

_TIMES: dict[str, tuple[str, ...]] = {
    "extraction": ("at",),
    "document": ("updated", "llm_at"),
    "restore": ("at", "undone"),
    "checked": ("at",),
    "trigger_evidence": ("at",),
    "probe": ("at",),
    "feedback": ("at",),
    "review_sample": ("at",),
    "review": ("at",),
    "measure": ("at",),
    "outbox": ("at",),
    "reminder": ("due", "done"),
    "note": ("at",),
    "run": ("at",),
    "trial": ("started", "scored_until", "ended"),
    "trial_document": ("at",),
    "plan_file": ("at",),
}


def bring_back(conn: sqlite3.Connection, now: float) -> int:
    """Inside the caller's transaction; return how many records moved. The log is untouched: it records what the clock
    showed."""
    latest, moved = now + TOLERANCE_S, 0
    for table, columns in _TIMES.items():
        for column in columns:
            moved += conn.execute(
                f"UPDATE OR REPLACE {table} SET {column} = ? WHERE {column} > ?", (now, latest)
            ).rowcount
    rollup.bring_back(conn, now, latest)
    conn.execute("UPDATE llm_cache SET used = ? WHERE used > ?", (now, latest))
    conn.execute(
        "UPDATE outbox SET next_try = ? WHERE state = 'waiting' AND next_try > ?", (now, latest)
    )  # at worst one retry too many
    return moved
