"""What people note for the report: lessons, action items, what went well."""

from __future__ import annotations

import sqlite3


def add(conn: sqlite3.Connection, at: float, kind: str, actor: str, text: str) -> None:
    """Keep a note of a person, inside the caller's transaction."""
    conn.execute("INSERT INTO note (at, kind, actor, text) VALUES (?,?,?,?)", (at, kind, actor, text))
