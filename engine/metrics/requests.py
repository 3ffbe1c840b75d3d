"""LLM requests one by one, from the raw rows: errors by kind, example documents, and what a figure counted.

Reads are bounded: never more than the newest `MOST` rows of a time.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, Literal

from msgspec import Struct

from engine.decoding import convert

MOST = 200_000  # rows that a summary looks at, the newest
LISTED = 500  # rows that a list holds

Counted = Literal["failed", "attempts", "timed", "lookups", "grounding", "served"]

# What a figure counts, as `engine.measures.bucket` does; a shadow call counts in figures of its own.
_WHERE: dict[Counted, str] = {
    "failed": "error IS NOT NULL AND attempted",
    "attempts": "attempted",
    "timed": "attempted AND (error IS NULL OR (error = 'timeout' AND ms > 0))",
    "lookups": "lookup",
    "grounding": "attempted AND proposed > 0",
    "served": "method = 'llm' AND arm = 'treatment'",
}
# What a list shows first: what speaks against the rollout.
_FIRST: dict[Counted, str] = {
    "failed": "at DESC",
    "attempts": "error IS NULL, at DESC",
    "timed": "ms DESC",
    "lookups": "cached, at DESC",
    "grounding": "1.0 * ungrounded / proposed DESC, at DESC",
    "served": "at DESC",
}


class Scope(Struct, frozen=True):
    """Which requests: since <= at <= until. `server` and `kind` narrow it, None is any; `server` "" means no
    server. `shadow`: True for answers that were not served, False for those that were, None for both."""

    since: float
    until: float
    counted: Counted = "failed"
    server: str | None = None
    kind: str | None = None
    since_epoch: int = 0
    shadow: bool | None = None


class ServerRequests(Struct, frozen=True):
    """What one server did. `server` is "" for requests that reached none."""

    server: str
    requests: int
    errors: int
    last_error: float | None
    mean_ms: float | None  # of answered requests, without our queue


class ErrorKindCount(Struct, frozen=True):
    """Errors of one kind; `message` is the newest."""

    kind: str
    count: int
    documents: int
    first: float
    last: float
    message: str


class Request(Struct, frozen=True):
    """One document on its way through the LLM arm. `title` is "" once the document is deleted."""

    id: int
    at: float
    document: str
    title: str
    arm: str
    method: str
    stage: int
    shadow: bool
    cached: bool
    error: str | None
    message: str
    answer: str  # the model's first words, of an answer that could not be used
    ms: float
    queue_ms: float
    tries: int  # calls; 0 where it is not known
    keywords: int
    proposed: int
    ungrounded: int
    server: str


_ROW = (
    "SELECT e.id, e.at, e.document_id, coalesce(d.title, ''), e.arm, e.method, e.stage, e.shadow, e.cached, e.error, "
    "coalesce(e.message, ''), coalesce(e.answer, ''), e.ms, e.queue_ms, e.tries, e.keywords, e.proposed, e.ungrounded, "
    "coalesce(e.server, '') FROM {} e LEFT JOIN document d ON d.id = e.document_id"
)


def servers(conn: sqlite3.Connection, since: float, until: float) -> list[ServerRequests]:
    """Each server with its requests and errors in a time, shadow included."""
    rows = conn.execute(
        "SELECT coalesce(server, ''), count(*), sum(error IS NOT NULL), max(CASE WHEN error IS NOT NULL THEN at END), "
        "avg(CASE WHEN error IS NULL THEN ms - queue_ms END) FROM (SELECT server, error, at, ms, queue_ms, attempted "
        "FROM extraction WHERE at BETWEEN ? AND ? AND (attempted OR cached) ORDER BY at DESC LIMIT ?) WHERE attempted "
        "GROUP BY 1 ORDER BY 1",
        (since, until, MOST),
    )
    return [ServerRequests(*row) for row in rows]


def error_kinds(conn: sqlite3.Connection, scope: Scope) -> list[ErrorKindCount]:
    """Errors of a scope by kind, the most frequent first."""
    where, values = _conditions(scope)
    newest = f"(SELECT error, document_id, at, message FROM extraction WHERE {where} ORDER BY at DESC LIMIT {MOST})"
    first = dict(conn.execute(f"SELECT error, min(at) FROM {newest} GROUP BY error", values))
    rows = conn.execute(  # with a single max(), SQLite takes the message from that row
        f"SELECT error, count(*), count(DISTINCT document_id), max(at), coalesce(message, '') FROM {newest} "
        "GROUP BY error ORDER BY 2 DESC, error",
        values,
    )
    return [ErrorKindCount(kind, n, documents, first[kind], at, message) for kind, n, documents, at, message in rows]


def requests(conn: sqlite3.Connection, scope: Scope, limit: int = LISTED) -> list[Request]:
    """The requests that a figure counted, those that speak against the rollout first."""
    where, values = _conditions(scope)
    newest = f"(SELECT * FROM extraction WHERE {where} ORDER BY at DESC LIMIT {MOST})"
    order = _FIRST[scope.counted]
    return _requests(conn.execute(f"{_ROW.format(newest)} ORDER BY {order} LIMIT ?", (*values, limit)))


def of_document(conn: sqlite3.Connection, document: str, until: float) -> Request | None:
    """The last request of a document up to a moment; None where it made none. It looks at the newest rows alone."""
    newest = "(SELECT * FROM extraction WHERE at <= ? AND (attempted OR cached) ORDER BY at DESC LIMIT ?)"
    rows = conn.execute(
        f"{_ROW.format(newest)} WHERE e.document_id = ? ORDER BY e.at DESC LIMIT 1", (until, MOST, document)
    )
    return next(iter(_requests(rows)), None)


def request(conn: sqlite3.Connection, number: int) -> Request | None:
    """One request; None if retention has deleted it."""
    return next(iter(_requests(conn.execute(f"{_ROW.format('extraction')} WHERE e.id = ?", (number,)))), None)


def _requests(rows: sqlite3.Cursor) -> list[Request]:
    names = Request.__struct_fields__
    return [convert(dict(zip(names, row, strict=True)), Request, strict=False) for row in rows]


def _conditions(scope: Scope) -> tuple[str, Sequence[Any]]:
    """(a WHERE clause, its values)."""
    parts = ["at BETWEEN ? AND ?", _WHERE[scope.counted]]
    values: list[object] = [scope.since, scope.until]
    for clause, value in (
        ("coalesce(server, '') = ?", scope.server),
        ("error = ?", scope.kind),
        ("epoch >= ?", scope.since_epoch or None),
        ("shadow = ?", scope.shadow),
    ):
        if value is not None:
            parts.append(clause)
            values.append(value)
    if scope.counted not in ("served", "lookups"):  # a rollback can end a call after its lookup
        parts.append("(attempted OR cached)")  # the partial index
    return " AND ".join(parts), values
