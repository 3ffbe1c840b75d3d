"""Restore LLM-written documents and undo it: one transaction each, and a row of the log."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import Any

from msgspec import Struct

from engine.client.client import Reply
from engine.decoding import convert
from engine.plan.durations import iso
from engine.rollout.control import note
from engine.rollout.state import Ask, Decision, Refusal, State
from engine.routing.admission import ID_LIMIT
from engine.service.engine import Engine
from engine.service.replies import to_reply
from engine.store import documents, log, restores
from engine.store.log import Outcome
from engine.store.restores import Affected
from engine.text import clean_line, counted

LISTED = 20
FLUSH_S = 2.0


class DocumentSelection(Struct, frozen=True):
    """Selects documents that serve LLM keywords: written since, until (epoch seconds), in a stage. None: any."""

    since: float | None = None
    until: float | None = None
    stage: int | None = None

    @property
    def words(self) -> str:
        parts = [
            f"since {iso(self.since)}" if self.since is not None else "",
            f"until {iso(self.until)}" if self.until is not None else "",
            f"in stage {self.stage}" if self.stage is not None else "",
        ]
        return "".join(f" {part}" for part in parts if part)

    def affected(self, conn: sqlite3.Connection) -> Affected:
        return restores.affected(conn, self.since, self.until, self.stage)


async def restore(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    """Serve frequency keywords again instead of the LLM's: for all documents, a window, a stage, or the bad window."""
    window = _window(engine, fields)
    if isinstance(window, Reply):
        return window
    if fields.get("dry_run"):
        return _preview(engine, window, convert(fields.get("limit") or LISTED, int))
    await _flush(engine)

    def job(conn: sqlite3.Connection) -> Outcome:
        affected = window.affected(conn)

        def decide(state: State) -> Decision | Refusal:
            if not affected.documents:
                written = f" written{window.words}" if window.words else ""
                return Refusal(f"Nothing to restore: no document{written} serves LLM keywords.")
            sentence = (
                f"{ask.actor.name} restored the frequency keywords of "
                f"{counted(affected.documents, 'document')}{window.words}"
            )
            evidence = {
                "since": window.since,
                "until": window.until,
                "stage": window.stage,
                "documents": affected.documents,
            }
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
    bad = bad_window(engine.conn)
    return bad or Reply(False, "No rollback has ended a percentage above 0 %, so there is no bad window. Use --since.")


def bad_window(conn: sqlite3.Connection) -> DocumentSelection | None:
    """From the start of the problem to the last rollback.

    After a trigger: from the start of its breach (hold time plus its window); after a manual rollback: from the start
    of the percentage that it ended.
    """
    down = log.last(conn, ("trigger", "rollback"))
    while down is not None and down.percent_from == 0:  # pressed again at 0 %: an earlier rollback ended the percentage
        down = log.last(conn, ("trigger", "rollback"), before=down.rev)
    if down is None:
        return None
    began = log.began(conn, down.epoch - 1)
    reading = down.decision.evidence.get("reading") or {}
    held = float(reading.get("held_s") or 0.0) + float(reading.get("for_s") or 0.0)
    since = max(began, down.decision.at - held) if held else began
    return DocumentSelection(since, down.decision.at)


def _preview(engine: Engine, window: DocumentSelection, limit: int) -> Reply:
    affected = window.affected(engine.conn)
    listed = restores.affected_documents(engine.conn, window.since, window.until, window.stage, limit=limit)
    shown = [
        {"id": d.id, "title": d.title, "llm": d.llm, "frequency": d.frequency, "llm_at": d.llm_at, "stage": d.llm_stage}
        for d in listed
    ]
    written = f", written {iso(affected.since)} to {iso(affected.until)}" if affected.since and affected.until else ""
    one = affected.documents == 1
    sentence = (
        f"{counted(affected.documents, 'document')}{window.words} {'serves' if one else 'serve'} LLM "
        f"keywords{written}; restore would serve {'its' if one else 'their'} frequency keywords."
    )
    data = {"documents": affected.documents, "since": affected.since, "until": affected.until, "sample": shown}
    return Reply(True, sentence, data)


async def delete_document(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    """Delete one document permanently, because a person asks for it or it was loaded by mistake. The log keeps its id
    and who asked."""
    name = str(fields.get("document") or "")[:ID_LIMIT]
    if documents.get(engine.conn, name) is None:
        return Reply(
            False,
            f"There is no document {clean_line(name, ID_LIMIT)!r}. `rollout query` finds ids.",
            {"code": "no_document"},
        )
    sentence = f"{ask.actor.name} deleted the document {clean_line(name, ID_LIMIT)}"

    def within(conn: sqlite3.Connection, rev: int) -> None:
        documents.delete(conn, name)

    return to_reply(
        await engine.commit(ask, lambda state: note(state, ask, "delete", sentence, {"document": name}), within),
        document=name,
    )


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
