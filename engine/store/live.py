"""The engine's latest view, as consoles and one-shot commands read it."""

from __future__ import annotations

import sqlite3


def write(conn: sqlite3.Connection, at: float, body: bytes) -> None:
    conn.execute(
        "INSERT INTO live VALUES (1,?,?) ON CONFLICT(id) DO UPDATE SET at = excluded.at, body = excluded.body",
        (at, body),
    )
