"""What users say: complaints, ratings, clicks, impressions. Attached to document, arm and stage; counted once.

Complaints feed the triggers, so the door is narrow: bounded text, a known kind, one row an id, and at most 60 a minute from one
source.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections import deque
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from engine.client import Reply
from engine.control import Ask, note
from engine.text import clean_block, clean_line

if TYPE_CHECKING:
    from engine.service.engine import Engine

KINDS = ("complaint", "rating", "click", "impression")
PER_MINUTE = 60
TEXT_LIMIT = 2000


class Feedback(Struct, frozen=True):
    id: str
    kind: str
    document: str = ""
    value: float | None = None  # of a rating: 1..5
    text: str = ""
    source: str = ""


def read(fields: dict[str, Any], actor: str, at: float) -> Feedback | str:
    """A clean Feedback, or the sentence that says what is wrong."""
    kind = str(fields.get("kind") or "")
    if kind not in KINDS:
        return f"Unknown kind {clean_line(kind, 40)!r}: {', '.join(KINDS)}."
    value = fields.get("value")
    if kind == "rating":
        try:
            value = float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            return "A rating needs a value from 1 to 5."
        if not 1 <= value <= 5:
            return "A rating needs a value from 1 to 5."
    else:
        value = None
    text = clean_block(str(fields.get("text") or ""), TEXT_LIMIT).strip()
    document = clean_line(str(fields.get("document") or ""), 512)
    source = clean_line(str(fields.get("source") or actor), 100)
    given = clean_line(str(fields.get("id") or ""), 100)
    if not given:
        bucket = int(at) if kind in ("click", "impression") else int(at // 3600)
        given = hashlib.sha256(f"{kind}|{document}|{value}|{text}|{source}|{bucket}".encode()).hexdigest()[:24]
    return Feedback(given, kind, document, value, text, source)


class Door:
    """The rate limit, by source."""

    def __init__(self) -> None:
        self._seen: dict[str, deque[float]] = {}

    def lets(self, source: str, at: float) -> bool:
        times = self._seen.setdefault(source, deque())
        while times and at - times[0] > 60:
            times.popleft()
        if len(times) >= PER_MINUTE:
            return False
        times.append(at)
        if len(self._seen) > 1000:
            self._seen = {name: seen for name, seen in self._seen.items() if seen and at - seen[-1] < 60}
        return True


def store(conn: sqlite3.Connection, found: Feedback, at: float, stage: int) -> bool:
    """Write it with the document's arm; False when this id was there already. Inside the caller's transaction."""
    row = conn.execute("SELECT arm FROM document WHERE id = ?", (found.document,)).fetchone()
    cursor = conn.execute(
        "INSERT OR IGNORE INTO feedback VALUES (?,?,?,?,?,?,?,?,?)",
        (
            found.id,
            at,
            found.kind,
            found.document or None,
            row[0] if row else None,
            stage,
            found.value,
            found.text,
            found.source,
        ),
    )
    return cursor.rowcount == 1


async def receive(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    """One piece of feedback. A complaint is a row of the decision log too, because it can move the rollout."""
    found = read(fields, ask.actor.name, ask.at)
    if isinstance(found, str):
        return Reply(False, found)
    if not engine.door.lets(found.source, engine.clock.real()):
        return Reply(
            False,
            f"More than {PER_MINUTE} a minute from {found.source}: not taken. Use `rollout feedback import` for many.",
        )
    stage = engine.state.stage
    new = True

    def also(conn: sqlite3.Connection, rev: int) -> None:
        nonlocal new
        new = store(conn, found, ask.at, stage)

    if found.kind == "complaint":
        if engine.conn.execute("SELECT 1 FROM feedback WHERE id = ?", (found.id,)).fetchone():
            return Reply(True, "This complaint was counted already.", {"new": False})
        what = f" about {found.document}" if found.document else ""
        said = f": {clean_line(found.text, 160)}" if found.text else ""
        sentence = f"complaint{what} from {found.source}{said}"
        await engine.commit(ask, lambda state: note(state, ask, "complaint", sentence), also)
        engine.monitor.complained(engine.state)
        return Reply(
            True, "Counted. Complaints pause the rollout above 5 in a stage and roll it back above 10.", {"new": new}
        )
    at = ask.at
    engine.writer.later(lambda conn: store(conn, found, at, stage))
    return Reply(True, "Noted.", {"new": True})
