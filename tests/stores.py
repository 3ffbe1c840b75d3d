"""New stores are copies of one that the product made: its steps take 25 ms, and hundreds of tests begin with a store."""

from __future__ import annotations

import sqlite3
from functools import cache

from engine.store import migrations, schema

_migrate = migrations.migrate
_steps = schema.steps


def install() -> None:
    """From here on a new database gets the pages of the first that the product made in this process."""
    migrations.migrate = _copy_or_migrate


def _copy_or_migrate(conn: sqlite3.Connection) -> None:
    is_new = conn.execute("SELECT 1 FROM sqlite_master").fetchone() is None
    if is_new and schema.steps is _steps and not conn.in_transaction:
        first().backup(conn)
    else:
        _migrate(conn)


@cache
def first() -> sqlite3.Connection:
    made = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    _migrate(made)
    return made
