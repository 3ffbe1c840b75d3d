"""The gate at a moment: measurements since the last change of percentage, judgements by then, the checklist as signed
then.
"""

from __future__ import annotations

import sqlite3

from engine.decoding import json_decoder
from engine.gate import checklist, conditions, facts
from engine.gate.checklist import Signature
from engine.gate.report import gate_view
from engine.history import bake
from engine.plan.durations import iso
from engine.plan.model import Plan
from engine.quality import review
from engine.rollout import control
from engine.rollout.calendar import blocked_until
from engine.rollout.state import Decision, State
from engine.store import log, series
from engine.triggers.measurement import Ok, Sample, rate
from engine.view.model import GateView, ItemState, ItemView

_decision = json_decoder(Decision)


def samples_at(conn: sqlite3.Connection, plan: Plan, state: State, at: float) -> dict[str, Sample]:
    """Measurements from the last change of percentage up to the moment, on the way back only the recent ones, and
    people's judgements by then."""
    if (back := control.returns(plan, state)) is not None:
        bucket = facts.on_the_way_back(conn, plan, back, state, at)
    else:
        began = log.began(conn, state.epoch) or state.changed_at
        bucket = series.between(conn, began - 10, at, since_epoch=state.epoch)
    since = state.entered_at
    reviewed = review.verdict(conn, state.stage, since, at)
    complained = conn.execute(
        "SELECT count(*) FROM feedback WHERE kind = 'complaint' AND stage = ? AND at >= ? AND at <= ?",
        (state.stage, since, at),
    ).fetchone()[0]
    return {
        **facts.measured(state, bucket),
        "complaints": Ok(float(complained), complained),
        "critical_incidents": facts.incidents(conn, state),
        "quality_score": rate(reviewed.good, reviewed.documents),
        "satisfaction": facts.rated(conn, state.stage, since, at),
        **{metric: facts.stored(conn, metric, since, at) for metric in facts.STORED},
    }


def gate_at(
    conn: sqlite3.Connection, plan: Plan, state: State, samples: dict[str, Sample], blind: str, at: float
) -> GateView:
    items = _items(conn, plan, state)
    stage = control.gate_stage(plan, state)
    asked = stage.bake_s if stage else 0.0
    returns = control.returns(plan, state) is not None
    began = _return_began(conn, state) if returns else state.entered_at
    began = began or log.first_at(conn) or 0.0  # no one promoted into the first stage
    baked = bake.baked(conn, state, began, asked, returns, at)
    negative, impacts = facts.negative(conn, state, at)
    known = conditions.GateFacts(
        {**samples, "negative_impacts": negative}, forecast=False, sentences={"negative_impacts": impacts}
    )
    blocked = _blocked(plan, state, blind, at)
    report = conditions.assess(stage, known, items, baked, control.people(state), blocked)
    return gate_view(plan, state, report, items, baked, asked)


def _return_began(conn: sqlite3.Connection, state: State) -> float:
    """When the bake of the way back began: with the written cause of the rollback, which unlocks promotion if a
    trigger acted."""
    if (setback := state.setback) is None:
        return state.changed_at
    query = "SELECT min(at) FROM decision WHERE rev > ? AND rev <= ? AND kind = ?"
    kind = "resume" if setback.why else "reason"
    (at,) = conn.execute(query, (setback.rev, state.rev, kind)).fetchone()
    return float(at) if at is not None else state.changed_at


def _blocked(plan: Plan, state: State, blind: str, at: float) -> tuple[str, ...]:
    out = [f"held by {state.held}"] if state.held else []
    out += [f"locked ({state.locked})"] if state.locked else []
    out += [blind] if blind else []
    if (stop := blocked_until(plan.calendar, at)) is not None:
        out.append(f"{stop[1]}, until {iso(stop[0])}")
    return tuple(out)


CHECKED: dict[str, ItemState] = {"sign": "done", "revoke": "open"}


def _items(conn: sqlite3.Connection, plan: Plan, state: State) -> tuple[ItemView, ...]:
    """The checklist at that moment: today's row if it is older than the moment, else what the log has."""
    now = checklist.signatures(conn, state.stage)
    since = checklist.doubt(conn, state)
    out = []
    for item in checklist.items(plan, state.stage):
        kept = now.get(item.id) or Signature(state.stage, item.id)
        if kept.rev > state.rev:
            kept = _logged(conn, state, item.id)
        out.append(checklist.view(item, since, kept))
    return tuple(out)


def _logged(conn: sqlite3.Connection, state: State, item: str) -> Signature:
    row = conn.execute(
        "SELECT rev, body FROM decision WHERE kind IN ('sign', 'check', 'revoke') AND stage = ? AND rev <= ? "
        "AND json_extract(body, '$.evidence.item') = ? ORDER BY rev DESC LIMIT 1",
        (state.stage, state.rev, item),
    ).fetchone()
    if row is None:
        return Signature(state.stage, item)
    d = _decision.decode(row[1])
    result: ItemState | None = d.evidence.get("state") or CHECKED.get(d.kind)
    note = "" if result else "checked; the result was not kept"
    proof, manually = str(d.evidence.get("evidence", "")), bool(d.evidence.get("manually"))
    return Signature(
        stage=state.stage,
        item=item,
        state=result or "open",
        actor=d.actor.name,
        at=d.at,
        note=note,
        evidence=proof,
        rev=row[0],
        manually=manually,
    )
