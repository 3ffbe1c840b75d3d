"""A stage's checklist as stored: which items, in which state, with which evidence. Reads, writes nothing.

Items are signed by a person or proven by the machine (`engine.service.checklist_requests`).
"""

from __future__ import annotations

import sqlite3

from msgspec import Struct

from engine.plan.model import Item, Plan
from engine.view.model import ItemView


class Finding(Struct, frozen=True):
    ok: bool
    evidence: str


def items(plan: Plan, stage: int) -> tuple[Item, ...]:
    """The checklist in force: the stage's; once stable, the post-rollout tasks."""
    return plan.stages[stage].checklist if stage < len(plan.stages) else plan.post_rollout


def read(conn: sqlite3.Connection, plan: Plan, stage: int) -> tuple[ItemView, ...]:
    """Every item of a stage with its state as stored."""
    stored = {
        row[0]: row[1:]
        for row in conn.execute(
            "SELECT item, state, actor, at, note, evidence FROM checked WHERE stage = ?", (stage,)
        ).fetchall()
    }
    views = []
    for item in items(plan, stage):
        state, by, at, written, evidence = stored.get(item.id, ("open", "", None, "", ""))
        views.append(ItemView(item.id, item.text, item.check.kind, state, by, at, written, evidence, item.required))
    return tuple(views)
