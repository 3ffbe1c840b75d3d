"""What a stage asks people to check periodically, and when the next check is due. Read only."""

from __future__ import annotations

import sqlite3

from engine.plan.model import Stage
from engine.rollout.state import State
from engine.view.model import ReminderView


def due(conn: sqlite3.Connection, stage: Stage | None, state: State, now: float) -> tuple[ReminderView, ...]:
    """The reminders due at `now`; () once stable."""
    if stage is None:
        return ()
    out = []
    for reminder in stage.reminders:
        begins = state.entered_at + reminder.from_s
        ends = state.entered_at + reminder.until_s if reminder.until_s else None
        done = conn.execute(
            "SELECT max(done) FROM reminder WHERE id = ? AND stage = ? AND done >= ? AND done <= ?",
            (reminder.id, state.stage, state.entered_at, now),
        ).fetchone()[0]
        at = max(begins, done) + reminder.every_s if done else begins + reminder.every_s
        if ends is None or at <= ends:
            out.append(ReminderView(reminder.id, reminder.text, at, now >= at))
    return tuple(out)
