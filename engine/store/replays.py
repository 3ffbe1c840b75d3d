"""Answers to documents sent with an Idempotency-Key, so that a repeat is known after a restart of the engine too."""

from __future__ import annotations

import sqlite3

from msgspec import Struct

KEPT_S = 24 * 3600.0
KEPT = 20_000


class KeptAnswer(Struct, frozen=True):
    """`digest` is that of the request's body; `document` is forgotten with its document."""

    digest: bytes
    document: str
    status: int
    body: bytes


def get(conn: sqlite3.Connection, name: bytes, now: float) -> KeptAnswer | None:
    query = "SELECT digest, document_id, status, body FROM replay WHERE name = ? AND at >= ?"
    row = conn.execute(query, (name, now - KEPT_S)).fetchone()
    return None if row is None else KeptAnswer(*row)


def keep(conn: sqlite3.Connection, name: bytes, answer: KeptAnswer, now: float) -> None:
    """Store answers, inside the caller's transaction. Skips a document that was deleted in the meantime."""
    added = conn.execute(
        "INSERT OR REPLACE INTO replay (name, at, digest, document_id, status, body) SELECT ?,?,?,?,?,? "
        "WHERE EXISTS (SELECT 1 FROM document WHERE id = ?)",
        (name, now, answer.digest, answer.document, answer.status, answer.body, answer.document),
    )
    if added.rowcount:
        conn.execute("DELETE FROM replay WHERE at < ? OR id <= ?", (now - KEPT_S, (added.lastrowid or 0) - KEPT))
