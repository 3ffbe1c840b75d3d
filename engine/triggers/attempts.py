"""What a backtest reads from the store: LLM attempts page by page, complaints, and which rules have been replayed."""

from __future__ import annotations

import sqlite3

import msgspec
from msgspec import Struct

from engine.measures import stored
from engine.triggers.backtest import Attempt, Complaints

PAGE = 20_000


class AttemptPage(Struct, frozen=True):
    """Attempts in time order, and where the next page begins (None after the last)."""

    attempts: tuple[Attempt, ...]
    after: tuple[float, int] | None


_COLUMNS = "SELECT at, id, epoch, attempted, error, ms, lookup, cached FROM extraction "
_OF_THE_ARM = "(attempted OR cached) AND arm = 'treatment' AND shadow = 0 "


def page(conn: sqlite3.Connection, after: tuple[float, int], limit: int = PAGE) -> AttemptPage:
    """The attempts after (time, id); start with (since, 0)."""
    query = f"{_COLUMNS} WHERE (at, id) > (?, ?) AND at >= ? AND {_OF_THE_ARM} ORDER BY at, id LIMIT ?"
    rows = conn.execute(query, (*after, after[0], limit)).fetchall()
    return AttemptPage(
        tuple(_attempt(*row) for row in rows), (rows[-1][0], rows[-1][1]) if len(rows) == limit else None
    )


def latest(conn: sqlite3.Connection, since: float, limit: int) -> tuple[Attempt, ...]:
    """The last `limit` attempts since `since`, in time order."""
    query = f"{_COLUMNS} WHERE at >= ? AND {_OF_THE_ARM} ORDER BY at DESC, id DESC LIMIT ?"
    return tuple(_attempt(*row) for row in reversed(conn.execute(query, (since, limit)).fetchall()))


def _attempt(at: float, _: int, epoch: int, tried: int, error: str | None, ms: float, lookup: int, hit: int) -> Attempt:
    """A timeout counts towards latency; other failures do not."""
    timed_ms = ms if tried and error in (None, "timeout") else None
    return Attempt(at, epoch, tried == 1, error is None, timed_ms, lookup == 1, hit == 1)


def span(conn: sqlite3.Connection, since: float) -> tuple[float, float] | None:
    """Times of the first and last attempt since `since`; None without any."""
    row = conn.execute(
        "SELECT min(at), max(at) FROM extraction WHERE at >= ? AND (attempted OR cached)", (since,)
    ).fetchone()
    return None if row[0] is None else (row[0], row[1])


def complaints(conn: sqlite3.Connection, since: float) -> tuple[Complaints, ...]:
    """The stage's count of complaints, at each change since `since`."""
    came = [
        (at, 1)
        for (at,) in conn.execute("SELECT at FROM feedback WHERE kind = 'complaint' AND at >= ?", (since,)).fetchall()
    ]
    rows = conn.execute("SELECT at, stage FROM decision WHERE at >= ? ORDER BY rev", (since,)).fetchall()
    entered = [(at, 0) for n, (at, stage) in enumerate(rows) if n and stage != rows[n - 1][1]]
    count, counts = 0, []
    for at, one in sorted(came + entered):
        count = count + 1 if one else 0
        counts.append(Complaints(at, count))
    return tuple(counts)


# -- which rules were replayed -----------------------------------------------------------------------------------------

_RULES, _REPLAYED = "trigger_rules", "backtest"


def rules_in_force(conn: sqlite3.Connection, at: float, digest: str) -> None:
    """Record, in the caller's transaction, that an engine now runs these rules; skip it when the last record is the
    same.
    """
    last = conn.execute("SELECT body FROM measure WHERE kind = ? ORDER BY at DESC LIMIT 1", (_RULES,)).fetchone()
    if last is None or msgspec.json.decode(last[0]) != digest:
        stored.keep(conn, at, _RULES, digest)


def replayed(conn: sqlite3.Connection, at: float, digest: str, result: dict[str, object]) -> None:
    """Store a backtest's result in the caller's transaction."""
    stored.keep(conn, at, _REPLAYED, {"digest": digest, **result})


def changed_and_not_replayed(conn: sqlite3.Connection, digest: str) -> bool:
    """Whether these rules replaced others in this store and were never backtested."""
    first = conn.execute("SELECT body FROM measure WHERE kind = ? ORDER BY at LIMIT 1", (_RULES,)).fetchone()
    if first is None or msgspec.json.decode(first[0]) == digest:
        return False
    if conn.execute("SELECT 1 FROM extraction WHERE attempted OR cached LIMIT 1").fetchone() is None:
        return False  # nothing to replay yet
    return (
        conn.execute(
            "SELECT 1 FROM measure WHERE kind = ? AND json_extract(body, '$.digest') = ? LIMIT 1", (_REPLAYED, digest)
        ).fetchone()
        is None
    )
