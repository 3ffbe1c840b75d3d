"""A stage's checklist as stored: items, their state and evidence. Read only.

A person signs items or a machine check proves them (`engine.service.checklist_requests`).
"""

from __future__ import annotations

import sqlite3

from msgspec import Struct
from msgspec.structs import replace

from engine.plan.durations import iso
from engine.plan.model import Item, Plan
from engine.rollout.state import State
from engine.view.model import ItemState, ItemView


class Signature(Struct, frozen=True):
    """An item's row. `manually`: a person signed it although the machine check failed; `evidence` is the check's."""

    stage: int
    item: str
    state: ItemState = "open"
    actor: str = ""
    at: float | None = None
    note: str = ""
    evidence: str = ""
    rev: int = 0
    manually: bool = False

    @property
    def written(self) -> str:
        return f"signed manually: {self.note}" if self.manually else self.note


# A row counts only with its decision: the log is a verified chain, and whoever may write the file may write the row.
# Decisions of older versions do not have the state.
_LOGGED = """
SELECT c.stage, c.item, c.state, c.actor, c.at, c.note, c.evidence, c.rev, c.manually, d.rev IS NOT NULL
FROM checked c LEFT JOIN decision d ON d.rev = c.rev AND d.stage = c.stage AND d.kind IN ('sign', 'check', 'revoke')
    AND json_extract(d.body, '$.evidence.item') = c.item
    AND coalesce(json_extract(d.body, '$.evidence.state'), c.state) = c.state
WHERE c.stage = ?
"""
UNLOGGED = "the log has no such signature: someone changed the store; needed again"


def signatures(conn: sqlite3.Connection, stage: int) -> dict[str, Signature]:
    """The stored signatures of a stage, by item."""
    kept: dict[str, Signature] = {}
    for *row, is_logged in conn.execute(_LOGGED, (stage,)).fetchall():
        signature = replace(Signature(*row), manually=bool(row[-1]))
        if signature.state == "done" and not is_logged:
            signature = replace(signature, state="open", note=UNLOGGED, manually=False)
        kept[signature.item] = signature
    return kept


def write(conn: sqlite3.Connection, s: Signature) -> None:
    """Store an item's new state in the caller's transaction."""
    conn.execute(
        "INSERT OR REPLACE INTO checked (stage, item, state, actor, at, note, evidence, rev, manually) "
        "VALUES (?,?,?,?,?,?,?,?,?)",
        (s.stage, s.item, s.state, s.actor, s.at, s.note, s.evidence, s.rev, s.manually),
    )


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
        "SELECT max(rev) FROM decision WHERE kind IN ('rollback', 'trigger') AND percent_to < percent_from "
        "AND rev <= ?",
        (state.last_rev,),
    ).fetchone()
    rev = max(row[0] or 0, state.restart_rev)
    decision = conn.execute("SELECT at, kind FROM decision WHERE rev = ?", (rev,)).fetchone()
    return Doubt(rev, *decision) if decision else Doubt()


def read(conn: sqlite3.Connection, plan: Plan, state: State) -> tuple[ItemView, ...]:
    """Every item of the state's stage. An item put in doubt by a rollback or a change of model is open again."""
    stored = signatures(conn, state.stage)
    since = doubt(conn, state)
    return tuple(
        view(item, since, stored.get(item.id) or Signature(state.stage, item.id)) for item in items(plan, state.stage)
    )


def view(item: Item, since: Doubt, kept: Signature) -> ItemView:
    """An item as shown: a signature from before `since` is open again, unless the item keeps it."""
    lapsed = kept.state == "done" and kept.rev < since.rev and not item.keeps
    state: ItemState = kept.state
    written = kept.written
    if lapsed:
        how = "signed" if item.check.kind == "manual" else "proven"
        state, written = "open", f"{how} before {since.why} (by {kept.actor}); needed again"
    return ItemView(
        id=item.id,
        text=item.text,
        kind=item.check.kind,
        state=state,
        by=kept.actor,
        at=kept.at,
        note=written,
        evidence=kept.evidence,
        required=item.required,
        lapsed=lapsed,
        signed_manually=kept.manually and not lapsed,
    )
