"""Checklist items, signed by a person or proven by a machine check, each logged with its evidence.

A machine check runs on demand and again before a promotion. Where it cannot prove an item, a person may sign with a
note that gives the reason; the machine's finding is kept beside it permanently.
"""

from __future__ import annotations

import asyncio
import sqlite3

from msgspec.structs import replace

from engine.client.client import Reply
from engine.gate.checklist import Signature, items, read, write
from engine.plan.model import Item
from engine.rollout.control import note
from engine.rollout.state import Ask
from engine.service.checks import again_before_promotion, examine
from engine.service.engine import Engine
from engine.text import clean_line, spoken
from engine.view.model import ItemState

EVIDENCE_LIMIT = 600
LEAST_NOTE = 8
FRESH_S = 300.0  # a machine check younger than this is not run again before a promotion


def _find(engine: Engine, item_id: str) -> Item | None:
    return next((item for item in items(engine.plan, engine.state.stage) if item.id == item_id), None)


def _unknown(engine: Engine, item_id: str) -> Reply:
    known = ", ".join(item.id for item in items(engine.plan, engine.state.stage)) or "none"
    return Reply(False, f"This stage's checklist has no item {clean_line(item_id, 60)!r}. It has: {known}.")


async def sign(engine: Engine, item_id: str, written: str, ask: Ask) -> Reply:
    """Sign an item. One with a machine check is checked first; against a failed check it takes a note."""
    item = _find(engine, item_id)
    if item is None:
        return _unknown(engine, item_id)
    if item.check.kind != "manual":
        reply = await check(engine, item_id, ask)
        if reply.ok:
            return reply
        if len(written) < LEAST_NOTE:
            way = f"To sign it nevertheless, add a note of at least {LEAST_NOTE} characters on what you checked."
            return Reply(False, f"{reply.sentence.rstrip('.')}. {way}", reply.data)
        again = engine.ask("against the machine", ask.actor)
        finding = str(reply.data.get("evidence", ""))
        sentence = f'{ask.actor.name} signed "{item.text}" manually ({written}), although its check failed: {finding}'
        signed = Signature(engine.state.stage, item.id, "done", note=written, evidence=finding, manually=True)
        return await _record(engine, again, "sign", sentence, signed)
    sentence = f'{ask.actor.name} signed "{item.text}"' + (f": {written}" if written else "")
    return await _record(engine, ask, "sign", sentence, Signature(engine.state.stage, item.id, "done", note=written))


async def revoke(engine: Engine, item_id: str, ask: Ask) -> Reply:
    """Open a signed item again."""
    item = _find(engine, item_id)
    if item is None:
        return _unknown(engine, item_id)
    sentence = f'{ask.actor.name} withdrew the signature of "{item.text}"' + (f": {ask.reason}" if ask.reason else "")
    withdrawn = Signature(engine.state.stage, item.id, "open", note=ask.reason)
    return await _record(engine, ask, "revoke", sentence, withdrawn)


async def check(engine: Engine, item_id: str, ask: Ask) -> Reply:
    """Run the machine check of an item and record whether it passed."""
    item = _find(engine, item_id)
    if item is None:
        return _unknown(engine, item_id)
    if item.check.kind == "manual":
        return Reply(False, f'"{item.text}" is for a person to sign; it has no automatic check.')
    stage = engine.state.stage
    finding = await examine(engine, item.check)
    if engine.state.stage != stage:
        return Reply(
            False, f'"{item.text}" was checked, but its stage is over: {clean_line(finding.evidence, EVIDENCE_LIMIT)}'
        )
    state: ItemState = "done" if finding.ok else "failed"
    result = "passed" if finding.ok else "failed"
    evidence = clean_line(finding.evidence, EVIDENCE_LIMIT)
    sentence = f'{ask.actor.name} checked "{item.text}", which {result}: {evidence}'
    reply = await _record(engine, ask, "check", sentence, Signature(stage, item.id, state, evidence=evidence))
    return Reply(finding.ok, reply.sentence, reply.data) if reply.ok else reply


async def recheck(engine: Engine, ask: Ask) -> None:
    """Before a promotion, repeat in parallel every machine check that was proven a while ago or lapsed by a
    rollback. A failure closes the gate."""
    now = engine.clock.now()
    checks = {item.id: item.check for item in items(engine.plan, engine.state.stage)}
    old = [
        view.id
        for view in read(engine.conn, engine.plan, engine.state)
        if (view.state == "done" or view.lapsed)
        and again_before_promotion(checks[view.id])
        and not view.signed_manually
        and (view.lapsed or view.at is None or now - view.at >= FRESH_S)
    ]
    await asyncio.gather(*(check(engine, name, engine.ask("before a promotion", ask.actor)) for name in old))


async def _record(engine: Engine, ask: Ask, kind: str, sentence: str, signed: Signature) -> Reply:
    """Log it, and write the item's row: `signed`, completed with who, when and the decision's number."""

    def within(conn: sqlite3.Connection, rev: int) -> None:
        write(conn, replace(signed, actor=ask.actor.name, at=ask.at, rev=rev))

    logged = {"item": signed.item, "state": signed.state, "evidence": signed.evidence}
    evidence = logged | ({"manually": True} if signed.manually else {})
    outcome = await engine.commit(ask, lambda now: note(now, ask, kind, sentence, evidence), within)
    ok = outcome.decision is not None
    return Reply(ok, spoken(sentence, ask.actor.name), logged)
