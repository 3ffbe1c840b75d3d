"""The store as this engine opened it: a job runs on that one or not at all."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable
from typing import TypeVar

from engine.store.files import Files, Replaced
from engine.store.folder import Folder
from engine.store.own_schema import TablesDiffer
from engine.store.schema_watch import SchemaWatch

T = TypeVar("T")


class OpenedStore:
    """`replaced`, once set, receives the reason in the writer's thread when the files are not the ones that were
    opened, before anything is refused for it. `altered`: what was put into the schema and dropped, for the loop to
    report."""

    files: Files

    def __init__(self, token: int) -> None:
        self.replaced: Callable[[str], None] = lambda why: None
        self.altered: deque[str] = deque()
        self._schema = SchemaWatch(token)

    def open(self, folder: Folder) -> None:
        """Its files are those that are there now."""
        self.files = Files(folder)

    def run(self, conn: sqlite3.Connection, job: Callable[[sqlite3.Connection], T]) -> T:
        """Run a job: check the files before it writes, and again before it is acknowledged. Replaced."""
        try:
            self.files.check_content()
            try:
                self._keep_schema(conn)
                result = _alone(conn, job)
            finally:
                self.files.wrote()
            self.files.check()
        except Replaced as error:
            self.replaced(str(error))
            raise
        return result

    def _keep_schema(self, conn: sqlite3.Connection) -> None:
        """Drop what someone put into it before it acts on this job. Replaced when tables are not ours any more."""
        try:
            if altered := self._schema.repair(conn):
                self.altered.append(altered)
        except TablesDiffer as differ:
            self.files.overwritten = f"the database was changed by another program ({differ})"
            raise Replaced(self.files.overwritten) from None


def _alone(conn: sqlite3.Connection, job: Callable[[sqlite3.Connection], T]) -> T:
    """Run it and leave no transaction open, which would block the next one on this connection, a rollback's too."""
    try:
        return job(conn)
    finally:
        if conn.in_transaction:
            conn.execute("ROLLBACK")
