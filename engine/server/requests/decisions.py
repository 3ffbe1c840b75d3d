"""Raising and its locks: promote, approve, hold, resume, and additions to a rollback already made."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import msgspec

from engine.client.client import Reply
from engine.decoding import convert
from engine.plan.environment import PERCENTAGE
from engine.rollout import control, pinned
from engine.rollout.control import Promotion
from engine.rollout.state import Ask, Decision, Refusal, State, stage_name
from engine.service import checklist_requests, panels, pinning, raising, rollback
from engine.service.engine import REASON_LIMIT, Engine
from engine.service.replies import refusal_reply, to_reply
from engine.store import log
from engine.text import clean_line, percent

Decide = Callable[[State, sqlite3.Connection], Decision | Refusal]


async def promote(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    wanted = _promotion(fields, ask)
    if isinstance(wanted, Reply):
        return wanted
    launched = fields.get("launched")
    if isinstance(launched, float) and launched < engine.moved_at:
        by = log.moved_by(engine.conn, engine.state.epoch)
        return Reply(False, control.moved("promoted", by).sentence, {"epoch": engine.state.epoch})
    await checklist_requests.recheck(engine, wanted.ask)
    outcome = await raising.record(engine, wanted.ask, _promoting(engine, wanted))
    if outcome.decision is not None and engine.switch.pending:
        return Reply(False, "Promoted, but rolled back at the same moment: the rollback is in force.")
    return to_reply(outcome, percent_bp=outcome.state.percent_bp, stage=outcome.state.stage)


def _promotion(fields: dict[str, Any], ask: Ask) -> Promotion | Reply:
    epoch, to_stage = fields.get("epoch"), fields.get("to_stage")
    if type(epoch) is not int:  # True is an int, but not an epoch
        return Reply(False, "Not promoted: the request does not name the epoch it is based on.")
    if to_stage is not None and type(to_stage) is not int:
        return Reply(False, "Not promoted: `to_stage` is the number of a stage.")
    override = bool(fields.get("override")) or bool(fields.get("override_reason"))
    if fields.get("override_reason"):
        ask = msgspec.structs.replace(ask, reason=clean_line(str(fields["override_reason"]), REASON_LIMIT))
    return Promotion(ask, epoch, override, to_stage)


def _promoting(engine: Engine, wanted: Promotion) -> Decide:
    facts = engine.monitor.gatekeeper.facts(engine.state)  # measurements; people's part is read again inside
    known = pinning.identified(engine, engine.state)
    unwatched = () if engine.switch.lease_valid else ("the triggers are not being evaluated",)

    def decide(state: State, conn: sqlite3.Connection) -> Decision | Refusal:
        """The gate is evaluated inside the transaction, on the transaction's own connection."""
        # naming the plan's next stage uses the plan's own gate, even if there is a short way back
        short = wanted.to_stage is None or wanted.to_stage == control.next_step(engine.plan, state)[0]
        report = engine.monitor.gatekeeper.report(state, facts, conn, short)
        by = log.moved_by(conn, state.epoch)
        blocked = (*report.blocked, *unwatched)
        made = control.promote(engine.plan, state, wanted, report.missing, blocked, by, short)
        return msgspec.structs.replace(made, pins=known) if isinstance(made, Decision) else made

    return decide


async def preview_promotion(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    """What `promote` or `undo_rollback` (field `of`) would do now. A separate request, so that an older engine refuses
    it instead of carrying it out."""
    match fields.get("of"):
        case "promote":
            wanted = _promotion(fields, ask)
            decide = wanted if isinstance(wanted, Reply) else _promoting(engine, wanted)
        case "undo_rollback":
            decide = _undoing(engine, fields, ask)
        case _:
            return Reply(False, "Invalid request: `of` is promote or undo_rollback.")
    if isinstance(decide, Reply):
        return decide
    made = raising.refused_by_rollback(engine) or decide(engine.state, engine.conn)
    if isinstance(made, Refusal):
        return refusal_reply(made)
    state = engine.state
    sentence = (
        f"Would go from stage {state.stage}, {percent(state.percent_bp)} to stage {made.stage} "
        f"{stage_name(engine.plan, made.stage)}, {percent(made.percent_bp)}. Nothing has changed."
    )
    missing = [str(one) for one in made.evidence.get("missing") or ()]
    data = {"stage": made.stage, "percent_bp": made.percent_bp, "epoch": state.epoch, "overrides": missing}
    return Reply(True, sentence, data)


async def approve(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    return to_reply(await engine.commit(ask, lambda state: control.approve(engine.plan, state, ask)))


async def hold(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    return to_reply(await engine.commit(ask, lambda state: control.hold(state, ask)))


async def resume(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    if fields.get("cause"):
        ask = msgspec.structs.replace(ask, reason=clean_line(str(fields["cause"]), REASON_LIMIT))
    epoch = fields.get("epoch")
    if type(epoch) is not int:
        return Reply(False, "Not resumed: the request does not name the epoch it is based on.")
    armed = engine.switch.armed_file == "in"

    def decide(state: State, conn: sqlite3.Connection) -> Decision | Refusal:
        if epoch != state.epoch:
            return control.moved("resumed", log.moved_by(conn, state.epoch))
        return control.resume(state, ask, armed, log.rolled_back(conn))

    return to_reply(await raising.record(engine, ask, decide))


async def undo_rollback(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    decide = _undoing(engine, fields, ask)
    return decide if isinstance(decide, Reply) else to_reply(await raising.record(engine, ask, decide))


def _undoing(engine: Engine, fields: dict[str, Any], ask: Ask) -> Decide | Reply:
    if engine.misplaced:
        return Reply(
            False, f"Not undone: rollout.toml changed, {engine.misplaced}. First: rollout plan adopt --stage N."
        )
    epoch = fields.get("epoch")
    if type(epoch) is not int:
        return Reply(False, "Not undone: the request does not name the epoch it is based on.")

    def decide(state: State, conn: sqlite3.Connection) -> Decision | Refusal:
        return control.undo_rollback(engine.plan, state, ask, epoch, log.moved_by(conn, state.epoch))

    return decide


async def ceiling(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    """Set the highest percentage that may be in force. It is recorded, so that an engine started without its
    environment does not exceed it."""
    epoch, percent_bp = fields.get("epoch"), fields.get("percent_bp")
    if type(epoch) is not int:
        return Reply(False, "The ceiling is not changed: the request does not name the epoch it is based on.")
    if type(percent_bp) is not int or not 0 <= percent_bp <= 10_000:
        return Reply(False, "The ceiling is not changed: `percent_bp` is a whole number from 0 to 10000.")
    environment_bp = engine.switch.ceiling_bp
    if percent_bp > max(environment_bp, engine.state.ceiling_bp):
        return Reply(
            False,
            f"The ceiling is not raised: the engine was started with {PERCENTAGE}={environment_bp / 100:g}. Restart "
            f"it with {percent_bp / 100:g}, then raise the ceiling.",
        )

    def decide(state: State, conn: sqlite3.Connection) -> Decision | Refusal:
        return control.set_ceiling(state, ask, percent_bp, epoch, log.moved_by(conn, state.epoch))

    if percent_bp <= engine.state.ceiling_bp:
        return to_reply(await engine.commit(ask, lambda state: control.set_ceiling(state, ask, percent_bp, epoch, "")))
    return to_reply(await raising.record(engine, ask, decide), ceiling_bp=percent_bp)


async def adopt_plan(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    """Confirm the rollout's stage in the changed plan."""
    stage, digest, pins = fields.get("stage"), fields.get("digest"), engine.state.pins
    if not engine.misplaced or pins is None:
        return Reply(False, "Nothing to adopt: the rollout runs under the plan file that the engine read.")
    if not isinstance(stage, int) or isinstance(stage, bool):
        return Reply(False, "Not adopted: the request does not name the rollout's stage.")
    plan, now = engine.file_plan, pinning.file_pins(engine)
    if digest and digest != plan.digest:
        return Reply(
            False,
            "Not adopted: rollout.toml has changed again since the engine read it. Restart the engine and check again.",
        )
    outcome = await engine.commit(ask, lambda state: pinned.adopt(plan, state, ask, stage, now, pins))
    if outcome.decision is not None:
        engine.run_under(plan)
        if not outcome.state.percent_bp:
            rollback.disarm(engine)
    return to_reply(outcome, percent_bp=outcome.state.percent_bp, stage=outcome.state.stage)


async def rollback_reason(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    if not ask.reason:
        return Reply(False, "No reason was given; nothing has changed.")
    rev = convert(fields.get("rev") or engine.state.last_rev, int)
    sentence = f"{ask.actor.name} gave the reason of rollback {rev}: {ask.reason}"
    return to_reply(await engine.note(ask, "reason", sentence, {"of": rev}))


async def proof(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    proof = engine.proofs.get(str(fields.get("of")))
    if proof is None:
        return Reply(False, "This engine has no such rollback in its log.")
    proof.refresh()
    return Reply(True, proof.view.sentence, {"proof": msgspec.to_builtins(panels.with_neighbour(engine, proof.view))})
