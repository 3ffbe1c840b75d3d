"""A stage's checklist as stored: items, their state and evidence. Read only.

A person signs items or a machine check proves them (`engine.service.checklist_requests`).
"""

from __future__ import annotations

import sqlite3

from msgspec import Struct

from engine.plan.durations import iso
from engine.plan.model import Item, Plan
from engine.rollout.control import State
from engine.view.model import ItemView

# Begins the stored note of a machine-checked item that a person signed; released stores contain it.
SIGNED_MANUALLY = "by hand"


class CheckResult(Struct, frozen=True):
    ok: bool
    evidence: str


def items(plan: Plan, stage: int) -> tuple[Item, ...]:
    """The stage's checklist; once stable, the post-rollout tasks."""
    return plan.stages[stage].checklist if stage < len(plan.stages) else plan.post_rollout


class Doubt(Struct, frozen=True):
    """Whatever was signed or proven before `rev` has to be signed or proven again."""

    rev: int = 0
    at: float = 0.0
    kind: str = ""

    @property
    def why(self) -> str:
        """ "the rollback of 14:02"."""
        at = iso(self.at)
        what = {"model": "the change of model", "plan": "the change of plan"}.get(self.kind, "the rollback")
        return f"{what} of {at[11:16]} UTC, {at[:10]}"


def doubt(conn: sqlite3.Connection, state: State) -> Doubt:
    """The later of the last rollback that lowered the percentage and was not undone, and the last change of model or
    plan.
    """
    row = conn.execute(
        (
            "SELECT max(rev) FROM decision WHERE kind IN ('rollback', 'trigger') AND percent_to < percent_from "
            "AND rev <= ?"
        ),
        (state.last_rev,),
    ).fetchone()
    rev = max(row[0] or 0, state.restart_rev)
    decision = conn.execute("SELECT at, kind FROM decision WHERE rev = ?", (rev,)).fetchone()
    return Doubt(rev, *decision) if decision else Doubt()


def read(conn: sqlite3.Connection, plan: Plan, state: State) -> tuple[ItemView, ...]:
    """Every item of the state's stage. An item put in doubt by a rollback or a change of model is open again."""
    stored = {
        row[0]: row[1:]
        for row in conn.execute(
            "SELECT item, state, actor, at, note, evidence, rev FROM checked WHERE stage = ?", (state.stage,)
        ).fetchall()
    }
    since = doubt(conn, state)
    return tuple(
        view(item, since, *stored.get(item.id, ("open", "", None, "", "", 0))) for item in items(plan, state.stage)
    )


def view(
    item: Item, since: Doubt, state: str, by: str, at: float | None, written: str, evidence: str, rev: int
) -> ItemView:
    lapsed = state == "done" and rev < since.rev and not item.keeps
    manually = not lapsed and written.startswith(SIGNED_MANUALLY)
    if lapsed:
        how = "signed" if item.check.kind == "manual" else "proven"
        state, written = "open", f"{how} before {since.why} (by {by}); needed again"
    return ItemView(
        item.id,
        item.text,
        item.check.kind,
        state,  # type: ignore[arg-type]
        by,
        at,
        written,
        evidence,
        item.required,
        lapsed,
        manually,
    )
