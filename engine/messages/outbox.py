"""The queue of messages in the store: waiting, delivered (and where), or given up."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable

from msgspec import Struct

from engine.messages.draft import Draft

RETRY_S = (10.0, 60.0, 300.0, 900.0, 3600.0)
TRIES = 12  # about eight hours
Change = Callable[[sqlite3.Connection], object]


class Queued(Struct, frozen=True):
    """A waiting message. `delivered`: marks of the addresses that have taken it."""

    id: int
    draft: Draft
    tries: int
    delivered: tuple[str, ...]
    key: str


class Delivery(Struct, frozen=True):
    """A message for the screen: waiting, sent, failed, or kept (a rehearsal sends nothing)."""

    id: int
    at: float
    message: str
    subject: str
    state: str
    tries: int
    error: str


def put(conn: sqlite3.Connection, draft: Draft, at: float, key: str, state: str = "waiting") -> bool:
    """Queue it in the caller's transaction; False if a message with this key exists."""
    cursor = conn.execute(
        "INSERT OR IGNORE INTO outbox "
        "(at, message, audience, subject, body, state, tries, next_try, error, request_id, delivered) "
        "VALUES (?,?,?,?,?,?,0,?,'',?,'[]')",
        (at, draft.message, draft.audience, draft.subject, draft.body, state, at, key),
    )
    return cursor.rowcount == 1


def due(conn: sqlite3.Connection, now: float, limit: int = 50) -> list[Queued]:
    """Waiting messages that are due, oldest first."""
    rows = conn.execute(
        "SELECT id, message, audience, subject, body, tries, delivered, request_id FROM outbox "
        "WHERE state = 'waiting' AND next_try <= ? ORDER BY id LIMIT ?",
        (now, limit),
    ).fetchall()
    return [
        Queued(row[0], Draft(row[1], row[2], row[3], row[4]), row[5], tuple(json.loads(row[6])), row[7]) for row in rows
    ]


def took(conn: sqlite3.Connection, number: int, mark: str, all_of: Iterable[str]) -> None:
    """One address took the message; once all have, it is sent."""
    row = conn.execute("SELECT delivered FROM outbox WHERE id = ?", (number,)).fetchone()
    done = {*json.loads(row[0]), mark} if row else {mark}
    state = "sent" if done >= set(all_of) else "waiting"
    conn.execute(
        "UPDATE outbox SET delivered = ?, state = ?, error = CASE WHEN ? = 'sent' THEN '' ELSE error END WHERE id = ?",
        (json.dumps(sorted(done)), state, state, number),
    )


def partly(conn: sqlite3.Connection, number: int, marks: Iterable[str]) -> None:
    """Some recipients of an address took the message, not all."""
    row = conn.execute("SELECT delivered FROM outbox WHERE id = ?", (number,)).fetchone()
    if row is not None:
        done = {*json.loads(row[0]), *marks}
        conn.execute("UPDATE outbox SET delivered = ? WHERE id = ?", (json.dumps(sorted(done)), number))


def _wait_s(tries: int) -> float:
    """Until the next try after this many; none before the first."""
    return RETRY_S[min(tries, len(RETRY_S)) - 1] if tries else 0.0


def refused(conn: sqlite3.Connection, number: int, why: str, now: float) -> None:
    """An address did not take it: retry later, give up after `TRIES`."""
    row = conn.execute("SELECT tries, state FROM outbox WHERE id = ?", (number,)).fetchone()
    if row is None or row[1] != "waiting":
        return
    tries = row[0] + 1
    again = now + _wait_s(tries)
    state = "failed" if tries >= TRIES else "waiting"
    conn.execute(
        "UPDATE outbox SET tries = ?, state = ?, next_try = ?, error = ? WHERE id = ?",
        (tries, state, again, why, number),
    )


def again(conn: sqlite3.Connection, now: float) -> int:
    """Retry everything given up or waiting for a retry now. Returns how many."""
    cursor = conn.execute(
        "UPDATE outbox SET state = 'waiting', tries = 0, next_try = ? "
        "WHERE state = 'failed' OR (state = 'waiting' AND next_try > ?)",
        (now, now),
    )
    return cursor.rowcount


def bring_back(conn: sqlite3.Connection, now: float) -> None:
    """Retry now what waits longer than its tries ask for: it was queued under a clock that was ahead. What waits as
    long as it should stays, however often the engine starts."""
    waiting = conn.execute("SELECT id, tries, next_try FROM outbox WHERE state = 'waiting'").fetchall()
    late = [(now, number) for number, tries, next_try in waiting if next_try > now + _wait_s(tries)]
    conn.executemany("UPDATE outbox SET next_try = ? WHERE id = ?", late)


def deliveries(conn: sqlite3.Connection, limit: int = 50) -> list[Delivery]:
    """Latest first."""
    rows = conn.execute(
        "SELECT id, at, message, subject, state, tries, error FROM outbox ORDER BY id DESC LIMIT ?", (limit,)
    ).fetchall()
    return [Delivery(*row) for row in rows]


def text(conn: sqlite3.Connection, number: int) -> Draft | None:
    """A message as it was queued."""
    row = conn.execute("SELECT message, audience, subject, body FROM outbox WHERE id = ?", (number,)).fetchone()
    return None if row is None else Draft(*row)


class Ended(Struct, frozen=True):
    """A message delivered to every address, or given up."""

    key: str
    message: str
    subject: str
    state: str
    tries: int
    error: str


def ended(conn: sqlite3.Connection, since: float) -> list[Ended]:
    """Messages queued since `since` that ended and are not in the log yet."""
    rows = conn.execute(
        "SELECT request_id, message, subject, state, tries, error FROM outbox o "
        "WHERE at >= ? AND state IN ('sent', 'failed') AND NOT EXISTS (SELECT 1 FROM decision d WHERE "
        "d.request_id = o.state || ' ' || o.request_id) ORDER BY id",
        (since,),
    ).fetchall()
    return [Ended(*row) for row in rows]


def last_queued(conn: sqlite3.Connection) -> dict[str, float]:
    """When each message was last queued, epoch seconds."""
    return dict(conn.execute("SELECT message, max(at) FROM outbox GROUP BY message").fetchall())
