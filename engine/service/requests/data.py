"""What the LLM wrote, put back and put forward again."""

from __future__ import annotations

import sqlite3
from typing import Any

from engine.client import Reply
from engine.control import Ask, note
from engine.service.engine import Engine, told
from engine.store import documents


async def restore(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    """Frequency keywords back for what the LLM wrote (in a window, in a stage); one transaction."""
    since, until, stage = fields.get("since"), fields.get("until"), fields.get("stage")
    window = documents.affected(engine.conn, since, until, stage)
    if fields.get("dry_run"):
        listed = documents.affected_documents(engine.conn, since, until, stage, limit=int(fields.get("limit") or 20))
        shown = [
            {"id": d.id, "title": d.title, "llm": d.llm, "frequency": d.frequency, "llm_at": d.llm_at} for d in listed
        ]
        sentence = (
            f"{window.documents} documents serve what the LLM wrote; restore would serve their frequency keywords."
        )
        return Reply(
            True,
            sentence,
            {"documents": window.documents, "since": window.since, "until": window.until, "sample": shown},
        )
    if not window.documents:
        return Reply(False, "Nothing to restore: no document in that window serves what the LLM wrote.")
    count = 0

    def also(conn: sqlite3.Connection, rev: int) -> None:
        nonlocal count
        _, count = documents.restore(conn, ask.at, rev, since, until, stage)

    sentence = f"{ask.actor.name} restored the frequency keywords of {window.documents} documents"
    outcome = await engine.commit(
        ask, lambda state: note(state, ask, "restore", sentence, {"since": since, "until": until, "stage": stage, "documents": window.documents}), also
    )  # fmt: skip
    return told(outcome, documents=count)


async def undo_restore(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    last = documents.last_restore(engine.conn)
    if last is None:
        return Reply(False, "Nothing to undo: there is no restore that is still in force.")
    count = 0

    def also(conn: sqlite3.Connection, rev: int) -> None:
        nonlocal count
        _, count = documents.undo_restore(conn, ask.at)

    sentence = f"{ask.actor.name} undid the restore of {last[1]} documents: they serve the LLM's keywords again"
    outcome = await engine.commit(
        ask, lambda state: note(state, ask, "undo_restore", sentence, {"restore": last[0]}), also
    )
    return told(outcome, documents=count)
