"""What a backtest needs of the store: the LLM arm's attempts page by page, complaints, and which rules were replayed before."""

from __future__ import annotations

import sqlite3

import msgspec
from msgspec import Struct

from engine.triggers.backtest import Attempt, Complaints

PAGE = 20_000


class Page(Struct, frozen=True):
    """Attempts in order of time, and where the next page begins; None after the last."""

    attempts: tuple[Attempt, ...]
    after: tuple[float, int] | None


_COLUMNS = "SELECT at, id, epoch, attempted, error, ms, lookup, cached FROM extraction "
_OF_THE_ARM = "(attempted OR cached) AND arm = 'treatment' AND shadow = 0 "


def page(conn: sqlite3.Connection, after: tuple[float, int], limit: int = PAGE) -> Page:
    """The attempts that follow (time, id); begin with (since, 0)."""
    query = f"{_COLUMNS} WHERE (at, id) > (?, ?) AND at >= ? AND {_OF_THE_ARM} ORDER BY at, id LIMIT ?"
    rows = conn.execute(query, (*after, after[0], limit)).fetchall()
    return Page(tuple(_attempt(*row) for row in rows), (rows[-1][0], rows[-1][1]) if len(rows) == limit else None)


def latest(conn: sqlite3.Connection, since: float, limit: int) -> tuple[Attempt, ...]:
    """The last attempts after `since`, in order of time."""
    query = f"{_COLUMNS} WHERE at >= ? AND {_OF_THE_ARM} ORDER BY at DESC, id DESC LIMIT ?"
    return tuple(_attempt(*row) for row in reversed(conn.execute(query, (since, limit)).fetchall()))


def _attempt(at: float, _: int, epoch: int, tried: int, error: str | None, ms: float, lookup: int, hit: int) -> Attempt:
    """A timeout's time counts, another failure's says nothing about speed."""
    told = ms if tried and error in (None, "timeout") else None
    return Attempt(at, epoch, tried == 1, error is None, told, lookup == 1, hit == 1)


def span(conn: sqlite3.Connection, since: float) -> tuple[float, float] | None:
    """When the first and the last attempt after `since` were."""
    row = conn.execute(
        "SELECT min(at), max(at) FROM extraction WHERE at >= ? AND (attempted OR cached)", (since,)
    ).fetchone()
    return None if row[0] is None else (row[0], row[1])


def complaints(conn: sqlite3.Connection, since: float) -> tuple[Complaints, ...]:
    """How the count of complaints in the stage went on from `since`."""
    came = [
        (at, 1)
        for (at,) in conn.execute("SELECT at FROM feedback WHERE kind = 'complaint' AND at >= ?", (since,)).fetchall()
    ]
    rows = conn.execute("SELECT at, stage FROM decision WHERE at >= ? ORDER BY rev", (since,)).fetchall()
    entered = [(at, 0) for n, (at, stage) in enumerate(rows) if n and stage != rows[n - 1][1]]
    count, found = 0, []
    for at, one in sorted(came + entered):
        count = count + 1 if one else 0
        found.append(Complaints(at, count))
    return tuple(found)


# -- which rules were replayed -----------------------------------------------------------------------------------------

_RULES, _REPLAYED = "trigger_rules", "backtest"


def rules_in_force(conn: sqlite3.Connection, at: float, digest: str) -> None:
    """Note, inside the caller's transaction, that an engine runs these rules now, unless it was the last to say so."""
    last = conn.execute("SELECT body FROM measure WHERE kind = ? ORDER BY at DESC LIMIT 1", (_RULES,)).fetchone()
    if last is None or msgspec.json.decode(last[0]) != digest:
        conn.execute("INSERT INTO measure VALUES (?,?,?)", (at, _RULES, msgspec.json.encode(digest).decode()))


def replayed(conn: sqlite3.Connection, at: float, digest: str, result: dict[str, object]) -> None:
    """Keep a backtest's result, inside the caller's transaction."""
    body = msgspec.json.encode({"digest": digest, **result}).decode()
    conn.execute("INSERT INTO measure VALUES (?,?,?)", (at, _REPLAYED, body))


def changed_and_not_replayed(conn: sqlite3.Connection, digest: str) -> bool:
    """Whether these rules took the place of others in this store and no backtest of them is kept."""
    first = conn.execute("SELECT body FROM measure WHERE kind = ? ORDER BY at LIMIT 1", (_RULES,)).fetchone()
    if first is None or msgspec.json.decode(first[0]) == digest:
        return False
    if conn.execute("SELECT 1 FROM extraction WHERE attempted OR cached LIMIT 1").fetchone() is None:
        return False  # there is nothing to replay yet
    return (
        conn.execute(
            "SELECT 1 FROM measure WHERE kind = ? AND json_extract(body, '$.digest') = ? LIMIT 1", (_REPLAYED, digest)
        ).fetchone()
        is None
    )
