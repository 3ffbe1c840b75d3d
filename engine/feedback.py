"""What users say: complaints, ratings, clicks, impressions. Attached to document, arm and stage; counted once.

Complaints feed the triggers, so the door is narrow: bounded text, a known kind, one row an id, and at most 60 a minute from one
source.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections import deque
from typing import Any

from msgspec import Struct

from engine.text import clean_block, clean_line

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
