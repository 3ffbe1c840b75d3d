"""Keeps the schema of an open store as the migrations made it."""

from __future__ import annotations

import sqlite3

from engine.store import own_schema
from engine.store.log import begin


class SchemaWatch:
    """Used by the one writer: checks the schema whenever its version number has moved."""

    def __init__(self, token: int) -> None:
        self._token = token
        self._version = -1

    def repair(self, conn: sqlite3.Connection) -> str:
        """Check the schema before a transaction. Raises like `own_schema.repair` and `begin`, and sqlite3.Error."""
        if _version(conn) == self._version:
            return ""
        begin(conn, self._token)
        try:
            phrase = own_schema.repair(conn, own_schema.KNOWN)
            conn.execute("COMMIT")
        except BaseException:
            if conn.in_transaction:
                conn.execute("ROLLBACK")
            raise
        self._version = _version(conn)
        return phrase


def _version(conn: sqlite3.Connection) -> int:
    (version,) = conn.execute("PRAGMA schema_version").fetchone()
    return int(version)
