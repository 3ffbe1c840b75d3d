"""Restore LLM-written documents and undo it: one transaction each, and a row of the log."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import Any

from engine.client.client import Reply
from engine.decoding import convert
from engine.rollout.control import note
from engine.rollout.state import Ask, Decision, Refusal, State
from engine.routing.admission import ID_LIMIT
from engine.service.engine import Engine
from engine.service.replies import to_reply
from engine.store import documents, restores
from engine.store.log import Outcome
from engine.store.restore_preview import NO_BAD_WINDOW, DocumentSelection, bad_window, preview
from engine.text import clean_line, counted

LISTED = 20
FLUSH_S = 2.0


async def restore(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    """Serve frequency keywords again instead of the LLM's: for all documents, a window, a stage, or the bad window."""
    window = _window(engine, fields)
    if isinstance(window, Reply):
        return window
    if fields.get("dry_run"):
        sentence, found = preview(engine.conn, window, convert(fields.get("limit") or LISTED, int))
        return Reply(True, sentence, found)
    await _flush(engine)

    def job(conn: sqlite3.Connection) -> Outcome:
        affected = window.affected(conn)

        def decide(state: State) -> Decision | Refusal:
            if not affected.documents:
                written = f" written{window.words}" if window.words else ""
                return Refusal(f"Nothing to restore: no document{written} serves LLM keywords.")
            served = f"{counted(affected.documents, 'document')}{window.words}"
            sentence = f"{ask.actor.name} restored the frequency keywords of {served}"
            where = {"since": window.since, "until": window.until, "stage": window.stage}
            evidence = {**where, "documents": affected.documents}
            return note(state, ask, "restore", sentence, evidence)

        def within(conn: sqlite3.Connection, rev: int) -> None:
            restores.restore(conn, ask.at, rev, window.since, window.until, window.stage)
            if affected.since is not None:
                engine.pipeline.cache.forget(conn, affected.since)

        return engine.commit_on(conn, ask, decide, within)

    outcome = await engine.record(job)
    count = outcome.decision.evidence["documents"] if outcome.decision else 0
    return to_reply(outcome, documents=count)


async def _flush(engine: Engine) -> None:
    """Documents the LLM has just written must reach the store before a restore."""
    waiting = engine.writer.waiting()
    if waiting is not None:
        await asyncio.wait([asyncio.wrap_future(waiting)], timeout=FLUSH_S)


def _window(engine: Engine, fields: dict[str, Any]) -> DocumentSelection | Reply:
    since, until, stage = fields.get("since"), fields.get("until"), fields.get("stage")
    if any(isinstance(value, str | list | dict | bool) for value in (since, until, stage)):
        return Reply(False, "Not restored: `since` and `until` are epoch seconds, `stage` is a number.")
    if not fields.get("bad_window"):
        return DocumentSelection(since, until, stage)
    return bad_window(engine.conn) or Reply(False, NO_BAD_WINDOW)


async def delete_document(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    """Delete one document permanently, because a person asks for it or it was loaded by mistake. The log keeps its id
    and who asked."""
    name = str(fields.get("document") or "")[:ID_LIMIT]
    if documents.get(engine.conn, name) is None:
        unknown = f"There is no document {clean_line(name, ID_LIMIT)!r}. `rollout query` finds ids."
        return Reply(False, unknown, {"code": "no_document"})
    sentence = f"{ask.actor.name} deleted the document {clean_line(name, ID_LIMIT)}"
    outcome = await engine.note(ask, "delete", sentence, {"document": name}, lambda conn: documents.delete(conn, name))
    return to_reply(outcome, document=name)


async def undo_restore(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    """Undo the last restore: its documents serve the LLM's keywords again."""

    def job(conn: sqlite3.Connection) -> Outcome:
        last = restores.last_restore(conn)

        def decide(state: State) -> Decision | Refusal:
            if last is None:
                return Refusal("Nothing to undo: no restore is in force.")
            sentence = f"{ask.actor.name} undid the restore of {last[1]} documents: they serve the LLM's keywords again"
            return note(state, ask, "undo_restore", sentence, {"restore": last[0], "documents": last[1]})

        def within(conn: sqlite3.Connection, rev: int) -> None:
            restores.undo_restore(conn, ask.at)

        return engine.commit_on(conn, ask, decide, within)

    outcome = await engine.record(job)
    count = outcome.decision.evidence["documents"] if outcome.decision else 0
    return to_reply(outcome, documents=count)
