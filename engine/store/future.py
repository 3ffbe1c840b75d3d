"""Records dated in the future by a wrong wall clock, moved back. Otherwise they would count as the newest until the
clock caught up."""

from __future__ import annotations

import sqlite3

from engine.clock import STEP_S
from engine.store import rollup
from engine.store.each_value import each_value

# Records by their columns of times. At millions of rows a scan takes seconds, at every start: large tables name what
# finds the latest by an index, a column that leads it or the condition of a partial one.
_TIMES: dict[str, tuple[str, ...]] = {
    "extraction": ("at",), "document": ("updated", "llm_at"), "restore": ("at", "undone"), "checked": ("at",),
    "trigger_evidence": ("at",), "probe": ("at",), "feedback": ("at",), "review_sample": ("at",), "review": ("at",),
    "measure": ("at",), "outbox": ("at",), "reminder": ("due", "done"), "note": ("at",), "run": ("at",),
    "trial": ("started", "scored_until", "ended"), "trial_document": ("at",), "plan_file": ("at",),
    "replay": ("at",),
}  # fmt: skip
_LEADING = {"trigger_evidence": "trigger", "feedback": "kind", "measure": "kind", "trial_document": "trial"}
_MOVED = "min(:now, {0} + :step) WHERE {0} > :latest"
_PARTIAL = {("document", "llm_at"): "llm IS NOT NULL"}  # where it is null, so is the time


def bring_back(conn: sqlite3.Connection, now: float, step_s: float = 0.0) -> int:
    """Bring future times back, inside the caller's transaction; return how many records moved. They move by the clock's
    own step (negative), so they keep their distances; if it is not known, to now. The log stays untouched: it records
    what the clock showed, see `engine.store.log_times`. Messages have times that may lie ahead: see
    `engine.messages.outbox`."""
    latest, moved = now + STEP_S, 0
    place = {"now": now, "latest": latest, "step": min(0.0, step_s)}
    for table, columns in _TIMES.items():
        for column in columns:
            also = _PARTIAL.get((table, column), "TRUE")
            change = f"UPDATE OR REPLACE {table} SET {column} = {_MOVED.format(column)} AND {also}"
            if leading := _LEADING.get(table):
                for (value,) in conn.execute(each_value(table, leading)).fetchall():
                    moved += conn.execute(f"{change} AND {leading} = :value", {**place, "value": value}).rowcount
            else:
                moved += conn.execute(change, place).rowcount
    rollup.bring_back(conn, now, latest, place["step"])
    conn.execute(f"UPDATE llm_cache SET used = {_MOVED.format('used')}", place)
    return moved
