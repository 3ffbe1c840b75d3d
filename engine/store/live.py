"""The engine's latest view, as consoles and one-shot commands read it."""

from __future__ import annotations

import sqlite3
from typing import TypeVar

import msgspec
from msgspec import Struct

from engine.decoding import decode

T = TypeVar("T", bound=Struct)


def write(conn: sqlite3.Connection, at: float, body: bytes) -> None:
    """Keep the encoded view, for consoles that read the store. Inside the caller's transaction."""
    conn.execute(
        "INSERT INTO live VALUES (1,?,?) ON CONFLICT(id) DO UPDATE SET at = excluded.at, body = excluded.body",
        (at, body),
    )


def body(conn: sqlite3.Connection) -> bytes | None:
    """The view as the engine wrote it; None before the first."""
    row = conn.execute("SELECT body FROM live WHERE id = 1").fetchone()
    return None if row is None else row[0]


def parts(conn: sqlite3.Connection, of: type[T]) -> T:
    """The fields of the view that `of` names; its defaults when there is no view, or another version wrote it."""
    written = body(conn)
    try:
        return of() if written is None else decode(written, of)
    except msgspec.MsgspecError:
        return of()
