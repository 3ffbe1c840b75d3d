"""User feedback: complaints, ratings, clicks, impressions. Attached to document, arm and stage; counted once.

Complaints feed the triggers, so input is limited: bounded text, a known kind, one row per id, at most 60 a minute from
one source and 6000 from one caller, of them 60 complaints regardless of the sources it names.
"""

from __future__ import annotations

import hashlib
import math
import sqlite3
import uuid
from collections import deque
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from engine.text import clean_block, clean_line, unfit_id
from engine.trial import ledger

KINDS = ("complaint", "rating", "click", "impression")
OFTEN = ("click", "impression")  # many a minute from one person
PER_MINUTE = 60  # from one source
CALLER_PER_MINUTE = 6000  # regardless of the sources it names
COMPLAINTS_PER_MINUTE = 60  # from one caller (a user of this machine, an address), regardless of the sources it names
TEXT_LIMIT = 2000


class Feedback(Struct, frozen=True):
    """`source` is the author, where known; `by` is the source, else the caller who forwarded it. `at`: UTC epoch
    seconds."""

    id: str
    kind: str
    at: float
    document: str = ""
    value: float | None = None  # of a rating: 1..5
    text: str = ""
    source: str = ""
    by: str = ""


def read(fields: dict[str, Any], actor: str, now: float, row: int | None = None) -> Feedback | str:
    """A clean Feedback, or a sentence on what is wrong. `row` is its place in an imported file."""
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
    at = _moment(fields.get("at"), now)
    if at is None:
        return (
            f"{clean_line(str(fields.get('at')), 40)!r} is not a time: give it as 2026-11-25T14:03:07Z or in "
            "epoch seconds."
        )
    text = clean_block(str(fields.get("text") or ""), TEXT_LIMIT).strip()
    document = str(fields.get("document") or "")
    if document and (unfit := unfit_id(document, 512)):
        return f"{clean_line(document, 60)!r} is not the id of a document: {unfit}."
    if kind in OFTEN and not document:
        return f"{'An' if kind == 'impression' else 'A'} {kind} needs the document that was shown."
    source = clean_line(str(fields.get("source") or ""), 100)
    by = source or actor
    given = clean_line(str(fields.get("id") or ""), 100)
    if not given and kind in OFTEN and not source and row is None:  # anonymous clicks are all different
        given = uuid.uuid4().hex[:24]
    elif not given:
        given = _name(kind, at, document, value, text, by, row)
    return Feedback(id=given, kind=kind, at=at, document=document, value=value, text=text, source=source, by=by)


def _name(kind: str, at: float, document: str, value: float | None, text: str, by: str, row: int | None) -> str:
    """An id for feedback sent without one, so that a resend counts once: a click in the same second by the same person,
    a complaint or rating with the same words in the same hour, a row of the same file."""
    moment = int(at) if kind in OFTEN and row is None else int(at // 3600)
    return hashlib.sha256(f"{kind}|{document}|{value}|{text}|{by}|{moment}|{row}".encode()).hexdigest()[:24]


def _moment(given: Any, now: float) -> float | None:
    """A past time, never later than now; None when it cannot be read."""
    if given in (None, ""):
        return now
    try:
        at = float(given)
    except (TypeError, ValueError):
        try:
            parsed = datetime.fromisoformat(str(given))
        except ValueError:
            return None
        at = (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
    return min(at, now) if math.isfinite(at) and at >= 0 else None


class RateLimiter:
    """The rate limit, by source and by caller. Times are the machine's, in seconds."""

    def __init__(self) -> None:
        self._seen: dict[str, deque[float]] = {}

    def allows(self, source: str, caller: str, at: float, kind: str) -> bool:
        asked = [(f"source {source}", PER_MINUTE), (f"caller {caller}", CALLER_PER_MINUTE)]
        if kind == "complaint":
            asked.append((f"complaints of {caller}", COMPLAINTS_PER_MINUTE))
        times = [self._lately(name, at) for name, _ in asked]
        if any(len(seen) >= most for seen, (_, most) in zip(times, asked, strict=True)):
            return False
        for (name, _), seen in zip(asked, times, strict=True):
            seen.append(at)
            self._seen[name] = seen
        if len(self._seen) > 2 * CALLER_PER_MINUTE:
            self._seen = {name: seen for name, seen in self._seen.items() if seen and at - seen[-1] < 60}
        return True

    def _lately(self, name: str, at: float) -> deque[float]:
        """What was accepted in the last minute. A name that was never accepted is not kept: a flood has a new one each
        time."""
        seen = self._seen.get(name) or deque[float]()
        while seen and at - seen[0] > 60:
            seen.popleft()
        return seen


def known(conn: sqlite3.Connection, given: Feedback) -> bool:
    """Whether feedback of this id is stored already."""
    return conn.execute("SELECT 1 FROM feedback WHERE id = ?", (given.id,)).fetchone() is not None


def method_of(conn: sqlite3.Connection, document_id: str) -> str | None:
    """How the keywords that a document serves were made; None if the store does not have it."""
    row = conn.execute("SELECT method FROM document WHERE id = ?", (document_id,)).fetchone()
    return None if row is None else str(row[0])


def store(conn: sqlite3.Connection, given: Feedback) -> bool:
    """Store it with the document's arm and the stage of its time; False when this id already exists.

    Inside the caller's transaction. In the A/B test one person counts once per document: repeated clicks and ratings
    are stored here and change nothing there.
    """
    row = conn.execute("SELECT arm FROM document WHERE id = ?", (given.document,)).fetchone()
    stage = conn.execute("SELECT stage FROM decision WHERE at <= ? ORDER BY rev DESC LIMIT 1", (given.at,)).fetchone()
    repeated = bool(given.source) and _already_did(conn, given, given.kind)
    unseen = bool(given.source) and given.kind == "click" and not _already_did(conn, given, "impression")
    where = given.document or None, row[0] if row else None, stage[0] if stage else 0
    stored = (given.id, given.at, given.kind, *where, given.value, given.text, given.source or given.by)
    cursor = conn.execute("INSERT OR IGNORE INTO feedback VALUES (?,?,?,?,?,?,?,?,?)", stored)
    new = cursor.rowcount == 1
    if new and not repeated and not unseen:
        ledger.people(conn, given.kind, given.document, given.value, given.at)
    return new


def _already_did(conn: sqlite3.Connection, given: Feedback, kind: str) -> bool:
    """Whether this person already did that to this document in the A/B test; the plus keeps SQLite on the document's
    index."""
    since = conn.execute("SELECT started FROM trial WHERE ended IS NULL").fetchone()
    if since is None:
        return False
    query = "SELECT 1 FROM feedback WHERE document_id = ? AND kind = ? AND source = ? AND +at >= ? LIMIT 1"
    return conn.execute(query, (given.document, kind, given.source, since[0])).fetchone() is not None
