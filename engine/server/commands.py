"""Requests people may make of the engine: `POST /v1/control/{kind}`. Every refusal and every failure is a sentence.

Each request is a function in `requests` that takes the engine, the fields and the caller. Rollback is separate: no
table, check or wait delays it.
"""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from engine.client.client import Reply
from engine.plan.environment import PERCENTAGE
from engine.rollout.control import not_below
from engine.rollout.state import Actor, Ask
from engine.server.requests import data, decisions, evidence, feedback, jobs, people, process
from engine.service import rollback
from engine.service.access import may_promote
from engine.service.engine import REASON_LIMIT, Engine
from engine.service.proof import Proof
from engine.store import log
from engine.store.write_trouble import refusal
from engine.text import clean_line, digest, percent

REQUEST_ID = 64  # characters
Handler = Callable[[Engine, dict[str, Any], Ask], Awaitable[Reply]]

REQUESTS: Mapping[str, Handler] = {
    "promote": decisions.promote,
    "approve": decisions.approve,
    "hold": decisions.hold,
    "resume": decisions.resume,
    "undo_rollback": decisions.undo_rollback,
    "ceiling": decisions.ceiling,
    "would": decisions.preview_promotion,
    "adopt_plan": decisions.adopt_plan,
    "rollback_reason": decisions.rollback_reason,
    "proof": decisions.proof,
    "sign": people.sign,
    "revoke": people.revoke,
    "check": people.check,
    "restore": data.restore,
    "undo_restore": data.undo_restore,
    "delete_document": data.delete_document,
    "feedback": feedback.give,
    "complaint": feedback.complaint,
    "feedback_import": feedback.take_many,
    "presence": people.presence,
    "note": people.write_note,
    "remind": people.remind,
    "acknowledge": people.acknowledge,
    "ran": people.ran,
    "message": people.message,
    "preview": people.preview,
    "resend": people.resend,
    "notify_test": people.notify_test,
    "sample": evidence.draw_sample,
    "judge": evidence.judge,
    "measure": evidence.measure,
    "backtest": evidence.backtest,
    "job_begin": jobs.begin,
    "job_parts": jobs.add_parts,
    "job_run": jobs.run,
    "job_stop": jobs.stop,
    "stop": process.stop,
    "speed": process.speed,
    "fault": process.fault,
    "begin_shift": process.begin_shift,
}
RESTRICTED = frozenset({"promote", "approve", "resume", "undo_rollback", "ceiling", "adopt_plan", "sign", "revoke"})


async def carry_out(engine: Engine, kind: str, fields: dict[str, Any], actor: Actor) -> Reply:
    """The answer to a request, whatever happens to it."""
    ask = _ask_of(engine, kind, fields, actor)
    try:
        if kind == "rollback":
            return await _roll_back(engine, fields, ask)
        if ask.request_id != str(fields.get("request_id") or ask.request_id):
            return Reply(False, f"Not done: a request id is one line of at most {REQUEST_ID} printable characters.")
        handler = REQUESTS.get(kind)
        if handler is None:
            known = ", ".join(sorted(REQUESTS))
            return Reply(False, f"Unknown request {clean_line(kind, 40)!r}. Known: {known}, rollback.")
        if kind in RESTRICTED and not may_promote(engine.plan, actor):
            allowed = ", ".join(engine.plan.access.promote) or f"group {engine.plan.access.group}"
            return Reply(False, f"{actor.name} may not {kind}: [access] allows {allowed}. Anyone may roll back: R.")
        return await handler(engine, fields, ask)
    except msgspec.ValidationError as error:
        return Reply(False, f"Invalid request: {error}. Nothing has changed.", {"status": 400})
    except log.Fenced as error:
        return _uncertain(engine, f"Not recorded: {error}")
    except sqlite3.Error as error:
        return _uncertain(engine, f"Not confirmed: {refusal(error, engine.folder.path)}")
    except OSError as error:
        if error.errno is None:  # the store under this engine is not the one it opened
            return _uncertain(engine, f"Not recorded: {error}")
        why = error.strerror or str(error)
        return _uncertain(engine, f"Not confirmed: the store's folder cannot be written ({why}); free some space")


def _uncertain(engine: Engine, what: str) -> Reply:
    """A part of the request may have taken effect: say what is in force, not that nothing happened."""
    permit = engine.switch.read()
    why = f" ({permit.why})" if permit.why else ""
    sentence = f"{what}. In force now: {percent(permit.percent_bp)}{why}. Check the log (8) before you try again."
    return Reply(False, sentence, {"code": "unconfirmed", "effective_bp": permit.percent_bp})


def _ask_of(engine: Engine, kind: str, fields: dict[str, Any], actor: Actor) -> Ask:
    given = str(fields.get("request_id") or "")
    cleaned = clean_line(given, REQUEST_ID)
    return engine.ask(
        clean_line(str(fields.get("reason") or ""), REASON_LIMIT),
        actor,
        cleaned if cleaned and cleaned == given else uuid.uuid4().hex,
        clean_line(str(fields.get("seen") or ""), 2000),
        digest(json.dumps([kind, actor.uid, actor.name, fields], sort_keys=True, default=str)),
    )


def _unrecorded(engine: Engine, proof: Proof) -> str:
    if engine.writer.opened.files.differs():
        return (
            "the store was replaced under this engine, so nothing is recorded: `rollout stop`, repair the store, then "
            f"start the next engine with {PERCENTAGE}=0"
        )
    if not proof.is_kept_nowhere:  # an intent may still be on its way to a slow disk
        return "the store is not accepting the record yet, still retrying"
    return (
        "no disk accepts its record, so only this engine knows of it: keep it running, and start the next one with "
        f"{PERCENTAGE}=0"
    )


async def _roll_back(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    to_stage = fields.get("to_stage")
    if type(to_stage) is not int:  # True is an int, but not a stage
        to_stage = None  # on an invalid stage, 0 % is the safe side
    was = engine.state.percent_bp
    odd = "" if to_stage is None else not_below(engine.plan, to_stage, engine.state.stage)
    ask = rollback.own_id(engine, ask, to_stage)
    outcome, proof = await rollback.roll_back(engine, ask, to_stage, pressed=_pressed(fields))
    rev = outcome.state.rev if outcome else proof.view.rev or None
    how = "recorded" if rev is not None else f"in force; {_unrecorded(engine, proof)}"
    after = outcome.state.percent_bp if outcome else proof.of.target_bp
    move = (
        f"Rolled back from {percent(was)} to {percent(after)}"
        if after != was
        else f"Rolled back: {percent(was)} as before"
    )
    return Reply(
        True,
        f"{move}, {how}." + (f" Not to stage {to_stage}: {odd}." if odd else ""),
        {
            "rev": rev,
            "recorded": rev is not None,
            "request_id": ask.request_id,
            "proof": msgspec.to_builtins(proof.view),
        },
    )


def _pressed(fields: dict[str, Any]) -> float | None:
    """When R was pressed, by the machine's monotonic clock."""
    pressed = fields.get("pressed")
    return pressed if isinstance(pressed, float) else None
