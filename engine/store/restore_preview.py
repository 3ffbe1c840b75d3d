"""What a restore would change: the documents that serve LLM keywords, of all, a window, a stage, or the bad window."""

from __future__ import annotations

import sqlite3
from typing import Any

from msgspec import Struct

from engine.plan.durations import iso
from engine.store import log, restores
from engine.store.restores import Affected
from engine.text import counted

NO_BAD_WINDOW = "No rollback has ended a percentage above 0 %, so there is no bad window. Use --since."


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


def preview(conn: sqlite3.Connection, selection: DocumentSelection, limit: int) -> tuple[str, dict[str, Any]]:
    """In a sentence, and the latest `limit` documents with both methods' keywords."""
    affected = selection.affected(conn)
    listed = restores.affected_documents(conn, selection.since, selection.until, selection.stage, limit=limit)
    shown = [
        {"id": d.id, "title": d.title, "llm": d.llm, "frequency": d.frequency, "llm_at": d.llm_at, "stage": d.llm_stage}
        for d in listed
    ]
    written = f", written {iso(affected.since)} to {iso(affected.until)}" if affected.since and affected.until else ""
    one = affected.documents == 1
    sentence = (
        f"{counted(affected.documents, 'document')}{selection.words} {'serves' if one else 'serve'} LLM "
        f"keywords{written}; restore would serve {'its' if one else 'their'} frequency keywords."
    )
    return sentence, {
        "documents": affected.documents,
        "since": affected.since,
        "until": affected.until,
        "sample": shown,
    }
