"""Kept answers end after a day, with many newer ones, and with their document."""

from __future__ import annotations

import sqlite3

import pytest

from engine.store import documents, migrations, replays
from engine.store.documents import DocumentWrite
from engine.store.replays import KEPT, KEPT_S, KeptAnswer

ANSWER = KeptAnswer(b"d", "a", 200, b"{}")


@pytest.fixture
def conn() -> sqlite3.Connection:
    made = sqlite3.connect(":memory:", isolation_level=None)
    migrations.migrate(made)
    documents.write(
        made, [DocumentWrite("a", "A", "", "d", 1.0, "control", "frequency", ("word",), (), None, (), 0, 0)]
    )
    return made


def test_an_answer_is_kept_for_a_day_and_the_next_one_removes_it(conn: sqlite3.Connection) -> None:
    replays.keep(conn, b"k", ANSWER, 1000.0)
    assert replays.get(conn, b"k", 1000.0 + KEPT_S) == ANSWER
    assert replays.get(conn, b"k", 1001.0 + KEPT_S) is None
    replays.keep(conn, b"other", ANSWER, 1001.0 + KEPT_S)
    assert conn.execute("SELECT name FROM replay").fetchall() == [(b"other",)]


def test_no_more_than_so_many_are_kept(conn: sqlite3.Connection) -> None:
    replays.keep(conn, b"first", ANSWER, 1.0)
    replays.keep(conn, b"second", ANSWER, 1.0)
    conn.execute("UPDATE replay SET id = ? WHERE name = ?", (KEPT, b"second"))
    replays.keep(conn, b"third", ANSWER, 1.0)
    assert {name for (name,) in conn.execute("SELECT name FROM replay")} == {b"second", b"third"}


def test_of_a_document_deleted_meanwhile_nothing_is_kept(conn: sqlite3.Connection) -> None:
    replays.keep(conn, b"earlier", ANSWER, 1.0)
    documents.delete(conn, "a")
    replays.keep(conn, b"k", ANSWER, 1.0)
    assert replays.get(conn, b"earlier", 1.0) is None
    assert replays.get(conn, b"k", 1.0) is None
