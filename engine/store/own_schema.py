"""Compares a database's schema with what the migrations make.

Whoever may write the file can plant a trigger, a view or an index. They act inside the engine's own transactions
(change a document, block the record of a rollback), and no row of the log shows them.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from engine.store import migrations, schema
from engine.text import clean_line

ACTS = ("trigger", "view", "index")  # in the order in which they are dropped
SEARCH = "document_fts_"  # tables that SQLite's full-text index makes, in its own version's words
BY_SQLITE_UTILS = "_sqlite_migrations"
QUOTES = str.maketrans("", "", "\"'`[]")
SHOWN_CHARS = 160  # of the SQL
KNOWN = frozenset(step.name for step in schema.steps)


class SchemaItem(NamedTuple):
    table: str
    sql: str

    @property
    def form(self) -> str:
        """A canonical form: equal for the same SQL in another layout."""
        return "".join(self.sql.translate(QUOTES).lower().split())


SchemaItems = Mapping[tuple[str, str], SchemaItem]  # by kind and name


class TablesDiffer(Exception):
    """A table is missing or is not as the migrations make it. The message is a phrase."""


class SchemaDifference(NamedTuple):
    """`added`: what acts and no migration makes; `lost`: a trigger or an index that is missing, or has other SQL."""

    added: tuple[tuple[str, str, SchemaItem], ...]
    lost: tuple[tuple[str, str, SchemaItem], ...]
    tables: tuple[str, ...]

    @property
    def phrase(self) -> str:
        added = [f"{kind} {_shown(name)} was added ({_shown(item.sql)})" for kind, name, item in self.added]
        lost = [f"{kind} {name} was removed or changed" for kind, name, _ in self.lost]
        tables = [f"table {name} was removed or changed" for name in self.tables]
        return "; ".join([*added, *lost, *tables])


def difference(conn: sqlite3.Connection, steps: frozenset[str] | None = None) -> SchemaDifference | None:
    """The difference, or None if there is none or another version of this program made the schema. `steps`: the
    migrations that made it, whatever the database records."""
    steps = frozenset(migrations.applied(conn)) if steps is None else steps
    if not steps or not KNOWN.issuperset(steps):
        return None
    own, there = expected(steps), _items(conn)
    added = tuple((*key, item) for key, item in there.items() if key[0] in ACTS and not _same(item, own.get(key)))
    lost = tuple((*key, item) for key, item in own.items() if key[0] in ACTS and not _same(item, there.get(key)))
    tables = tuple(
        name
        for (kind, name), item in own.items()
        if kind == "table" and not (name.startswith(SEARCH) and (kind, name) in there)
        if not _same(item, there.get((kind, name)))
    )
    return SchemaDifference(added, lost, tables) if added or lost or tables else None


def repair(conn: sqlite3.Connection, steps: frozenset[str] | None = None) -> str:
    """Drop what was added and make again what was lost, inside the caller's transaction. Return what it was, as a
    phrase; "" for nothing. Raises TablesDiffer if that is not enough."""
    altered = difference(conn, steps)
    if altered is None:
        return ""
    if altered.tables:
        raise TablesDiffer(altered.phrase)
    for wanted in ACTS:
        for kind, name, _ in altered.added:
            if kind == wanted:
                quoted = name.replace('"', '""')
                conn.execute(f'DROP {kind.upper()} IF EXISTS "{quoted}"')
    for _, _, item in altered.lost:
        conn.execute(item.sql)
    return altered.phrase


@lru_cache
def expected(steps: frozenset[str]) -> SchemaItems:
    """What these steps make of an empty database. Kept: it takes some 20 ms."""
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as conn:
        for step in schema.steps:
            if step.name in steps:
                migrations.run(step, conn)
        return _items(conn)


def _items(conn: sqlite3.Connection) -> SchemaItems:
    """All but SQLite's own tables and indexes, and those of the migrations' record."""
    rows = conn.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchall()
    return {
        (kind, name): SchemaItem(table, sql)
        for kind, name, table, sql in rows
        if sql and not (kind in ("table", "index") and (name.startswith("sqlite_") or table == BY_SQLITE_UTILS))
    }


def _same(item: SchemaItem, other: SchemaItem | None) -> bool:
    return other is not None and item.form == other.form


def _shown(text: str) -> str:
    return clean_line(text, SHOWN_CHARS)
