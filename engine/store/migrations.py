"""Runs the steps of the schema: each once, in order, in one transaction with its record.

The record is the table that sqlite-utils keeps (0.2 s to import at every start, with numpy), which ran them before:
stores of earlier versions have it, and such a version still reads what this one writes.
"""

from __future__ import annotations

import datetime
import sqlite3
from collections.abc import Callable

Step = Callable[[sqlite3.Connection], None]

TABLE = """
CREATE TABLE IF NOT EXISTS "_sqlite_migrations" ("id" INTEGER PRIMARY KEY, "migration_set" TEXT, "name" TEXT,
    "applied_at" TEXT)"""
INDEX = """
CREATE UNIQUE INDEX IF NOT EXISTS "idx__sqlite_migrations_migration_set_name"
    ON "_sqlite_migrations" ("migration_set", "name")"""


class Migrations:
    """Steps are registered by decorating them; a step's name is its function's."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._steps: dict[str, Step] = {}

    def __call__(self, step: Step) -> Step:
        if step.__name__ in self._steps:
            raise ValueError(f"two steps are named {step.__name__}")
        self._steps[step.__name__] = step
        return step

    def applied(self, conn: sqlite3.Connection) -> list[str]:
        """Names of the steps this database has had, oldest first."""
        if conn.execute("SELECT 1 FROM sqlite_master WHERE name = '_sqlite_migrations'").fetchone() is None:
            return []
        rows = conn.execute("SELECT name FROM _sqlite_migrations WHERE migration_set = ? ORDER BY rowid", (self._name,))
        return [name for (name,) in rows]

    def unknown(self, conn: sqlite3.Connection) -> list[str]:
        """Steps that a newer version has applied."""
        return [name for name in self.applied(conn) if name not in self._steps]

    def pending(self, conn: sqlite3.Connection) -> list[str]:
        """Steps that this database lacks."""
        applied = set(self.applied(conn))
        return [name for name in self._steps if name not in applied]

    def apply(self, conn: sqlite3.Connection) -> None:
        """Run what is missing. A step that fails leaves nothing, and is the first of the next attempt."""
        pending = self.pending(conn)
        if not pending:
            return
        conn.execute(TABLE)
        conn.execute(INDEX)
        for name in pending:
            conn.execute("SAVEPOINT step")
            try:
                self._steps[name](conn)
                conn.execute(
                    "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES (?, ?, ?)",
                    (self._name, name, str(datetime.datetime.now(datetime.UTC))),
                )
                conn.execute("RELEASE step")
            except BaseException:
                if conn.in_transaction:  # a full disk may have ended it already
                    conn.execute("ROLLBACK TO step")
                    conn.execute("RELEASE step")
                raise


def run(conn: sqlite3.Connection, script: str) -> None:
    """Each statement of a script separately: executescript would commit the transaction that makes the step atomic."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            conn.execute(statement)
            statement = ""
