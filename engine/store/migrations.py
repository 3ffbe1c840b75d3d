"""Brings a database up to the schema: which of its steps it has, and running the others.

sqlite-utils records the steps. It takes 0.2 s to import, so it is imported only if a step is missing.
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, cast

from engine.store import schema
from engine.store.folder import StoreError

if TYPE_CHECKING:
    from sqlite_utils import Database

NAME = "rollout"  # of the set of migrations, as sqlite-utils stores it


class _Plain:
    """A database as the steps see it."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self.conn = conn


def run(step: schema.SchemaStep, conn: sqlite3.Connection) -> None:
    """Run one step without recording it."""
    step.change(cast("Database", _Plain(conn)))


def migrate(conn: sqlite3.Connection) -> None:
    """Bring the database up to date, one transaction per step; a new one is made in one, so nothing finds half of it.
    StoreError when a newer version wrote it."""
    done = applied(conn)
    known = [step.name for step in schema.steps]
    if unknown := [name for name in done if name not in known]:
        raise StoreError(
            f"The store was written by a newer version of the rollout console (it has {', '.join(unknown)}, which "
            "this version does not support). Install that version again, or restore a backup from before it. "
            "Rollback still works."
        )
    if set(done) == set(known):
        return
    from sqlite_utils import Database
    from sqlite_utils.migrations import Migrations

    runner = Migrations(NAME)
    for step in schema.steps:
        runner(name=step.name)(step.change)
    database = Database(conn)
    with contextlib.nullcontext() if done else database.atomic():
        runner.apply(database)


def of_another_version(conn: sqlite3.Connection, runs: bool) -> str:
    """Why a query of this version fails on a store that another one keeps or, without an engine that `runs`, wrote; ""
    if both have the same tables. Read only."""
    known, done = {step.name for step in schema.steps}, set(applied(conn))
    if known == done:
        return ""
    if done - known:
        newer = "A newer version wrote this store"
        if runs:
            newer = "The running engine is of a newer version than this console"
        return (
            f"{newer} and keeps this in another form. Install that version here, or use its console. R works in both."
        )
    if not runs:
        return (
            "An older version wrote this store, which does not have this yet. `rollout` starts an engine of this "
            "version, which adds it."
        )
    return (
        "The running engine is of an older version than this console, and its store does not have this yet. R works "
        "in both. When the rollout can pause: `rollout stop`, then `rollout` starts this version, which adds it."
    )


def applied(conn: sqlite3.Connection) -> list[str]:
    """The names of the steps that the database has, as sqlite-utils keeps them."""
    table = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = '_sqlite_migrations'"
    if conn.execute(table).fetchone() is None:
        return []
    rows = conn.execute("SELECT name FROM _sqlite_migrations WHERE migration_set = ? ORDER BY id", (NAME,))
    return [name for (name,) in rows.fetchall()]
