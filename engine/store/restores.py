"""Restore: documents that serve LLM keywords serve their frequency keywords again, and back."""

from __future__ import annotations

import sqlite3

from msgspec import Struct

from engine.store.documents import COLUMNS, Document, document_of


class Affected(Struct, frozen=True):
    """Documents that serve LLM keywords: the count, and the times of the first and last."""

    documents: int
    since: float | None
    until: float | None


def affected(
    conn: sqlite3.Connection, since: float | None = None, until: float | None = None, stage: int | None = None
) -> Affected:
    where, given = _window(since, until, stage)
    served = f"FROM document INDEXED BY document_served WHERE {where}"
    # apart, the first and the last are one search each; together with the count each row is looked at
    query = f"SELECT (SELECT count(*) {served}), (SELECT min(llm_at) {served}), (SELECT max(llm_at) {served})"
    return Affected(*conn.execute(query, given * 3).fetchone())


def affected_documents(
    conn: sqlite3.Connection, since: float | None, until: float | None, stage: int | None, limit: int
) -> list[Document]:
    where, given = _window(since, until, stage)
    rows = conn.execute(
        f"SELECT {COLUMNS} FROM document d INDEXED BY document_served WHERE {where} ORDER BY llm_at DESC LIMIT ?",
        (*given, limit),
    ).fetchall()
    return [document_of(row) for row in rows]


def _window(since: float | None, until: float | None, stage: int | None) -> tuple[str, list[float]]:
    where, given = ["method = 'llm'", "llm_at IS NOT NULL"], []  # the columns of the index, so that it suffices
    for clause, value in (("llm_at >= ?", since), ("llm_at <= ?", until), ("llm_stage = ?", stage)):
        if value is not None:
            where.append(clause)
            given.append(value)
    return " AND ".join(where), given


def restore(
    conn: sqlite3.Connection,
    at: float,
    rev: int,
    since: float | None = None,
    until: float | None = None,
    stage: int | None = None,
) -> tuple[int, int]:
    """Serve frequency keywords again for those documents; return (restore id, documents). Inside the caller's
    transaction."""
    where, given = _window(since, until, stage)
    cursor = conn.execute(
        "INSERT INTO restore (at, rev, since, until, documents) VALUES (?,?,?,?,0)", (at, rev, since, until)
    )
    number = int(cursor.lastrowid or 0)
    count = conn.execute(
        f"UPDATE document SET method = 'frequency', restore_id = ? WHERE {where}", (number, *given)
    ).rowcount
    conn.execute("UPDATE restore SET documents = ? WHERE id = ?", (count, number))
    return number, count


def undo_restore(conn: sqlite3.Connection, at: float) -> tuple[int, int]:
    """Serve the LLM keywords of the last restore again; return (restore id, documents), (0, 0) when there is nothing
    to undo."""
    row = conn.execute("SELECT id FROM restore WHERE undone IS NULL ORDER BY id DESC LIMIT 1").fetchone()
    if row is None:
        return 0, 0
    count = conn.execute(
        "UPDATE document SET method = 'llm', restore_id = NULL WHERE restore_id = ? AND llm IS NOT NULL", (row[0],)
    ).rowcount
    conn.execute("UPDATE restore SET undone = ? WHERE id = ?", (at, row[0]))
    return row[0], count


def last_restore(conn: sqlite3.Connection) -> tuple[int, int] | None:
    """(id, documents) of the last restore that has not been undone."""
    row = conn.execute("SELECT id, documents FROM restore WHERE undone IS NULL ORDER BY id DESC LIMIT 1").fetchone()
    return (row[0], row[1]) if row else None
