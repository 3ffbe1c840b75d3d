"""Incoming user feedback: single items under the rate limit, or many from a file."""

from __future__ import annotations

import sqlite3
from typing import Any

from engine.client.client import Reply
from engine.decoding import convert
from engine.metrics import figures
from engine.rollout.state import Actor, Ask
from engine.service import feedback
from engine.service.engine import Engine
from engine.service.feedback import Feedback
from engine.text import clean_line, counted
from engine.triggers.complaints import consequences

A_BATCH = 1000  # rows of an import in one request


async def give(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    """Store one piece of feedback given now. A complaint is also a row of the decision log, because it can move the
    rollout."""
    given = feedback.read({**fields, "at": None}, ask.actor.name, ask.at)
    if isinstance(given, str):
        return Reply(False, given, {"status": 400})
    if not engine.feedback_limit.allows(given.by, _origin(ask.actor), engine.clock.real(), given.kind):
        return Reply(
            False,
            f"More than {feedback.PER_MINUTE} a minute from {given.by}: not accepted. Use `rollout feedback "
            "import` for many.",
            {"status": 429, "code": "rate"},
        )
    if feedback.known(engine.conn, given):
        again = f"This {given.kind} was already counted: an earlier one has the same id or words."
        return Reply(True, again, {"new": False})
    if given.kind != "complaint":
        engine.writer.later(lambda conn: feedback.store(conn, given))
        return Reply(True, "Noted.", {"new": True})

    method = feedback.method_of(engine.conn, given.document)
    about = {"document": given.document, "method": method} if given.document else {}
    await engine.note(ask, "complaint", _complaint(given, method), about, lambda conn: feedback.store(conn, given))
    engine.monitor.observations.complained(engine.state)
    stage, since = engine.state.stage, engine.state.entered_at
    unknown = f"{given.document} is not in the store. " if given.document and not method else ""
    counts = figures.complaints_by_arm(engine.conn, stage, since)
    sentence = f"{unknown}Complaints in this stage: {counts}. {consequences(engine.plan)}".rstrip()
    return Reply(True, sentence, {"new": True, "complaints": figures.complaints(engine.conn, stage, since)})


def _origin(actor: Actor) -> str:
    """Whom the rate limit applies to: the uid from the kernel, which cannot be faked, or the address on TCP."""
    return f"uid {actor.uid}" if actor.kind == "person" else actor.name


_KEYWORDS = {"llm": "LLM keywords", "frequency": "frequency keywords"}


def _complaint(given: Feedback, method: str | None) -> str:
    of = _KEYWORDS.get(method or "", "not in the store")
    what = f" about {given.document} ({of})" if given.document else ""
    quote = f": {clean_line(given.text, 160)}" if given.text else ""
    return f"complaint{what} from {given.by}{quote}"


async def complaint(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    """A complaint that a person at a console forwards."""
    return await give(engine, {**fields, "kind": "complaint", "source": ""}, ask)


async def take_many(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    """Import rows in one transaction, each with its own time if it has one; report the invalid ones by row."""
    rows = fields.get("rows")
    if not isinstance(rows, list) or len(rows) > A_BATCH:
        return Reply(False, f"An import needs `rows`, a list of at most {A_BATCH}.")
    first = convert(fields.get("first") or 1, int)
    taken: list[Feedback] = []
    troubles: list[str] = []
    for number, row in enumerate(rows, first):
        given = feedback.read(row, ask.actor.name, ask.at, number) if isinstance(row, dict) else "It is not an object."
        if isinstance(given, str):
            troubles.append(f"row {number}: {given}")
        else:
            taken.append(given)
    new = complaints = 0

    def keep(conn: sqlite3.Connection) -> None:
        nonlocal new, complaints
        for given in taken:
            if feedback.store(conn, given):
                new += 1
                complaints += given.kind == "complaint"

    if taken:
        name = clean_line(str(fields.get("file") or "a file"), 100)
        sentence = f"{ask.actor.name} imported {counted(len(taken), 'piece')} of feedback from {name}"
        await engine.note(ask, "import", sentence, within=keep)
        engine.monitor.observations.complained(engine.state)
    sentence = f"{counted(len(rows), 'row')}, {new} new ({counted(complaints, 'complaint')}), {len(troubles)} skipped."
    return Reply(True, sentence, {"new": new, "complaints": complaints, "skipped": troubles})
