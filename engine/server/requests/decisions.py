"""The way up and its locks: promote, approve, hold, resume, and what belongs to a rollback that was made."""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec

from engine.client.client import Reply
from engine.rollout import control
from engine.rollout.control import Ask, Decision, Refusal, State, note
from engine.service import checklist_requests, rollback
from engine.service.engine import REASON_LIMIT, Engine, told
from engine.store import log
from engine.store.log import Outcome
from engine.text import clean_line


async def promote(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    epoch = fields.get("epoch")
    if type(epoch) is not int:  # True is an int, and no epoch
        return Reply(False, "Not promoted: the request does not say which epoch was looked at.")
    override = bool(fields.get("override")) or bool(fields.get("override_reason"))
    if fields.get("override_reason"):
        ask = msgspec.structs.replace(ask, reason=clean_line(str(fields["override_reason"]), REASON_LIMIT))
    facts = engine.monitor.gate_facts(engine.state)  # what was measured; people's part is read again inside

    await checklist_requests.recheck(engine, ask)

    unwatched = () if engine.switch.lease_valid else ("the triggers are not evaluated now",)

    def job(conn: sqlite3.Connection) -> Outcome:
        """The gate is evaluated inside the transaction, on the transaction's own connection."""

        def decide(state: State) -> Decision | Refusal:
            report = engine.monitor.gate(state, facts, conn)
            by = log.moved_by(conn, state.epoch)
            blocked = (*report.blocked, *unwatched)
            return control.promote(engine.plan, state, ask, epoch, report.missing, blocked, override, by)

        return log.commit(conn, ask.request_id, decide, engine.token)

    outcome = await rollback.raised(engine, job)
    if outcome.decision is not None and engine.switch.lowering:
        return Reply(False, "Promoted, and rolled back in the same moment: the rollback stands.")
    return told(outcome, percent_bp=outcome.state.percent_bp, stage=outcome.state.stage)


async def approve(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    return told(await engine.commit(ask, lambda state: control.approve(engine.plan, state, ask)))


async def hold(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    return told(await engine.commit(ask, lambda state: control.hold(state, ask)))


async def resume(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    if fields.get("cause"):
        ask = msgspec.structs.replace(ask, reason=clean_line(str(fields["cause"]), REASON_LIMIT))
    armed = engine.folder.is_armed()

    def job(conn: sqlite3.Connection) -> Outcome:
        return log.commit(conn, ask.request_id, lambda state: control.resume(state, ask, armed), engine.token)

    return told(await rollback.raised(engine, job))


async def undo_rollback(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    def job(conn: sqlite3.Connection) -> Outcome:
        return log.commit(
            conn, ask.request_id, lambda state: control.undo_rollback(engine.plan, state, ask), engine.token
        )

    return told(await rollback.raised(engine, job))


async def rollback_reason(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    if not ask.reason:
        return Reply(False, "No reason was given; nothing changed.")
    rev = msgspec.convert(fields.get("rev") or engine.state.last_rev, int)
    sentence = f"{ask.actor.name} gave the reason of rollback {rev}: {ask.reason}"
    return told(await engine.commit(ask, lambda state: note(state, ask, "reason", sentence, {"of": rev})))


async def proof(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    found = engine.proofs.get(str(fields.get("of")))
    if found is None:
        return Reply(False, "No such rollback is known to this engine.")
    found.refresh()
    return Reply(True, found.view.sentence, {"proof": msgspec.to_builtins(found.view)})
