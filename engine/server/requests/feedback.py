"""What users say, as it comes in: one at a time through the door, or many from a file."""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec

from engine.client.client import Reply
from engine.plan.model import Plan
from engine.rollout.control import Actor, Ask, note
from engine.service import feedback
from engine.service.engine import Engine
from engine.service.feedback import Feedback
from engine.text import clean_line, counted, spoken

A_BATCH = 1000  # rows of an import in one request


async def give(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    """One piece of feedback, said now. A complaint is a row of the decision log too, because it can move the rollout."""
    found = feedback.read({**fields, "at": None}, ask.actor.name, ask.at)
    if isinstance(found, str):
        return Reply(False, found, {"status": 400})
    if not engine.door.lets(found.by, _origin(ask.actor), engine.clock.real(), found.kind):
        return Reply(
            False,
            f"More than {feedback.PER_MINUTE} a minute from {found.by}: not taken. Use `rollout feedback import` for many.",
            {"status": 429, "code": "rate"},
        )
    if feedback.known(engine.conn, found):
        return Reply(True, f"This {found.kind} was counted already.", {"new": False})
    if found.kind != "complaint":
        engine.writer.later(lambda conn: feedback.store(conn, found))
        return Reply(True, "Noted.", {"new": True})

    def also(conn: sqlite3.Connection, rev: int) -> None:
        feedback.store(conn, found)

    await engine.commit(ask, lambda state: note(state, ask, "complaint", _complaint(found)), also)
    engine.monitor.complained(engine.state)
    count = engine.conn.execute(
        "SELECT count(*) FROM feedback WHERE kind = 'complaint' AND stage = ? AND at >= ?",
        (engine.state.stage, engine.state.entered_at),
    ).fetchone()[0]
    sentence = f"Counted: {count} in this stage.{_moves(engine.plan)}"
    return Reply(True, sentence, {"new": True, "complaints": count})


def _origin(actor: Actor) -> str:
    """Whom the rate is limited for: the kernel's uid, which no name changes, or the address on TCP."""
    return f"uid {actor.uid}" if actor.kind == "person" else actor.name


DO = {
    "to_zero": "they roll it back",
    "previous_stage": "they take it one stage back",
    "halve": "they halve the percentage",
    "pause": "they pause the rollout",
    "investigate": "someone should look",
}


def _moves(plan: Plan) -> str:
    """ " Above 5 they pause the rollout, above 10 they roll it back.", as this plan has it."""
    rules = [t for t in plan.triggers if t.metric == "complaints" and t.enabled and t.above is not None]
    said = [f"above {t.above:g} {DO[t.action]}" for t in sorted(rules, key=lambda t: t.above or 0.0)]
    return f" {spoken(', '.join(said))}" if said else ""


def _complaint(found: Feedback) -> str:
    what = f" about {found.document}" if found.document else ""
    said = f": {clean_line(found.text, 160)}" if found.text else ""
    return f"complaint{what} from {found.by}{said}"


async def complaint(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    """A complaint that somebody at a console passes on."""
    return await give(engine, {**fields, "kind": "complaint", "source": ""}, ask)


async def take_many(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    """Rows of a file in one transaction, each with its own time if it has one; what is wrong with the others, by row."""
    rows = fields.get("rows")
    if not isinstance(rows, list) or len(rows) > A_BATCH:
        return Reply(False, f"An import needs `rows`, a list of at most {A_BATCH}.")
    first = msgspec.convert(fields.get("first") or 1, int)
    taken: list[Feedback] = []
    troubles: list[str] = []
    for number, row in enumerate(rows, first):
        found = feedback.read(row, ask.actor.name, ask.at, number) if isinstance(row, dict) else "It is not an object."
        if isinstance(found, str):
            troubles.append(f"row {number}: {found}")
        else:
            taken.append(found)
    new = complaints = 0

    def also(conn: sqlite3.Connection, rev: int) -> None:
        nonlocal new, complaints
        for found in taken:
            if feedback.store(conn, found):
                new += 1
                complaints += found.kind == "complaint"

    if taken:
        name = clean_line(str(fields.get("file") or "a file"), 100)
        sentence = f"{ask.actor.name} imported {counted(len(taken), 'piece')} of feedback from {name}"
        await engine.commit(ask, lambda state: note(state, ask, "import", sentence), also)
        engine.monitor.complained(engine.state)
    sentence = f"{counted(len(rows), 'row')}, {new} new ({counted(complaints, 'complaint')}), {len(troubles)} skipped."
    return Reply(True, sentence, {"new": new, "complaints": complaints, "skipped": troubles})
