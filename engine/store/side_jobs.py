"""What is written beside a batch's documents, so that its failure costs none of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any


def run_aside(conn: sqlite3.Connection, job: Callable[[sqlite3.Connection], Any]) -> Exception | None:
    """Run a side job in the open transaction; when it fails, roll it back alone and return the error.
    sqlite3.OperationalError: the store's trouble."""
    conn.execute("SAVEPOINT aside")
    try:
        job(conn)
    except Exception as error:
        if isinstance(error, sqlite3.OperationalError) and not _is_mistake(error):
            raise  # the store's trouble, not the job's: the whole batch waits
        conn.execute("ROLLBACK TO aside")
        conn.execute("RELEASE aside")
        return error
    conn.execute("RELEASE aside")
    return None


def _is_mistake(error: sqlite3.OperationalError) -> bool:
    """A wrong statement or a value it cannot read ("malformed JSON"): repeating it never succeeds."""
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR
