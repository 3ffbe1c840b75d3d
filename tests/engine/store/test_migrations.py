"""Steps of a schema: once each, in order, all or nothing, and on the table that sqlite-utils kept."""

from __future__ import annotations

import sqlite3

import pytest

from engine.store.migrations import Migrations, run

KEPT_BEFORE = """
CREATE TABLE "_sqlite_migrations" ("id" INTEGER PRIMARY KEY, "migration_set" TEXT, "name" TEXT, "applied_at" TEXT);
CREATE UNIQUE INDEX "idx__sqlite_migrations_migration_set_name" ON "_sqlite_migrations" ("migration_set", "name");
INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('some', 'first', '2026-11-29'), ('other', 'second', '2026-11-29');
CREATE TABLE one (x);
"""


@pytest.fixture
def conn() -> sqlite3.Connection:
    return sqlite3.connect(":memory:", isolation_level=None)


def tables(conn: sqlite3.Connection) -> set[str]:
    return {
        name
        for (name,) in conn.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '#_%' ESCAPE '#'"
        )
    }


def steps(broken: bool = False) -> Migrations:
    migrations = Migrations("some")

    @migrations
    def first(conn: sqlite3.Connection) -> None:
        run(conn, "CREATE TABLE one (x);")

    @migrations
    def second(conn: sqlite3.Connection) -> None:
        run(conn, "CREATE TABLE two (x);\nINSERT INTO two VALUES ('a;b');\nALTER TABLE one ADD COLUMN y;")
        if broken:
            raise ValueError("broken")

    return migrations


def test_steps_run_once_each_in_order(conn: sqlite3.Connection) -> None:
    steps().apply(conn)
    steps().apply(conn)
    assert steps().applied(conn) == ["first", "second"]
    assert tables(conn) == {"one", "two"}
    assert conn.execute("SELECT x FROM two").fetchall() == [("a;b",)]


def test_a_step_that_fails_leaves_nothing_and_runs_at_the_next_start(conn: sqlite3.Connection) -> None:
    with pytest.raises(ValueError, match="broken"):
        steps(broken=True).apply(conn)
    assert not conn.in_transaction
    assert steps().applied(conn) == ["first"]
    assert tables(conn) == {"one"}
    steps().apply(conn)
    assert tables(conn) == {"one", "two"}


def test_a_store_of_an_earlier_version_gets_what_it_lacks(conn: sqlite3.Connection) -> None:
    conn.executescript(KEPT_BEFORE)
    steps().apply(conn)
    assert steps().applied(conn) == ["first", "second"]
    assert conn.execute("SELECT count(*) FROM _sqlite_migrations").fetchone() == (3,)


def test_steps_of_a_newer_version_are_named(conn: sqlite3.Connection) -> None:
    steps().apply(conn)
    assert Migrations("some").unknown(conn) == ["first", "second"]
    assert steps().unknown(conn) == []


def test_two_steps_never_have_one_name() -> None:
    migrations = steps()
    with pytest.raises(ValueError, match="first"):
        migrations(next(iter(migrations._steps.values())))
