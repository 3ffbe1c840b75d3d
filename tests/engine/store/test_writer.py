"""The one writer drops nothing: not when the store is locked, not when a side job fails, not when the caller is gone."""

from __future__ import annotations

import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.clock import SWITCH_S
from engine.measures.record import Extraction
from engine.store import database, lease, notes
from engine.store.folder import Folder
from engine.store.log import Fenced
from engine.store.writer import Writer
from tests.machine import patience


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    store = Folder(tmp_path / "store")
    database.create(store)
    conn = database.open_writer(store, "FULL")
    lease.take(conn, 1, 0.0, 0.0)
    conn.close()
    return store


@pytest.fixture
def writer(folder: Folder) -> Iterator[Writer]:
    made = Writer(folder, 1)
    made.start()
    yield made
    made.stop()


def until(holds: Callable[[], bool], seconds: float = 5.0) -> bool:
    for _ in patience(seconds):
        if holds():
            return True
        time.sleep(0.01)
    return False


def record(name: str) -> Extraction:
    return Extraction(time.time(), name, "control", "frequency", 2, 5)


def note(conn: sqlite3.Connection, text: str) -> None:
    notes.add(conn, 0.0, "lesson", "a", text)


def count(folder: Folder, table: str) -> int:
    conn = database.open_reader(folder)
    try:
        return int(conn.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
    finally:
        conn.close()


def test_what_could_not_be_written_waits_and_is_written_what_rides_along_included(
    folder: Folder, writer: Writer
) -> None:
    blocker = database.open_writer(folder, "NORMAL", 5.0)
    blocker.execute("BEGIN EXCLUSIVE")
    futures = [writer.append(record(f"d{n}")) for n in range(5)]
    for number in range(3):
        writer.later(lambda conn, number=number: note(conn, str(number)))  # type: ignore[misc]
    assert until(lambda: "locked" in writer.problem)
    assert not any(future.done() for future in futures)
    blocker.execute("ROLLBACK")
    blocker.close()
    for future in futures:
        future.result(60)
    assert until(lambda: count(folder, "note") == 3)
    assert count(folder, "extraction") == 5
    assert until(lambda: writer.problem == "")


def test_what_is_given_together_is_written_together(folder: Folder, writer: Writer) -> None:
    batches: list[list[str]] = []
    writer._counted = lambda conn, records: batches.append([record.document_id for record in records])
    blocker = database.open_writer(folder, "NORMAL", 5.0)
    blocker.execute("BEGIN EXCLUSIVE")
    many = [writer.append_all([(record(f"{n}/{m}"), None) for m in range(30)]) for n in range(20)]
    blocker.close()
    for future in many:
        future.result(60)
    assert (writer.pending, count(folder, "extraction")) == (0, 600)
    assert sum(len({name.split("/")[0] for name in batch}) for batch in batches) == 20  # no group is in two
    assert max(map(len, batches)) < 240


def test_a_store_that_hangs_without_an_error_is_a_problem_too(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.store.write_health.STUCK_S", 0.05)
    answers = threading.Event()
    done = writer.control(lambda conn: answers.wait(60))
    assert until(lambda: "has not answered for" in writer.problem)
    answers.set()
    assert done.result(60)
    assert until(lambda: writer.problem == "")


def test_writes_so_slow_that_documents_are_refused_are_shown_between_them_too(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.store.write_health.STALLED_S", 0.2)
    answers = threading.Event()
    done = writer.control(lambda conn: answers.wait(60))
    assert until(lambda: "a slow disk" in writer.slow)
    answers.set()
    assert done.result(60)
    assert "a slow disk" in writer.slow  # until a write that is not
    assert until(lambda: writer.later(lambda conn: None) or writer.slow == "")


def test_a_decision_waits_less_for_the_interpreter_than_documents_do(writer: Writer) -> None:
    assert writer.control(lambda conn: sys.getswitchinterval()).result(60) <= SWITCH_S / 5
    assert until(lambda: sys.getswitchinterval() == SWITCH_S)
    assert writer.bulk(lambda conn: sys.getswitchinterval()).result(60) == [SWITCH_S]


def test_a_batch_that_a_decision_waits_for_is_in_a_hurry_too(writer: Writer) -> None:
    hurry: list[float] = []
    began, waited_for = threading.Event(), threading.Event()

    def slowly(conn: sqlite3.Connection, records: object) -> None:
        hurry.append(sys.getswitchinterval())
        began.set()
        assert waited_for.wait(60)
        hurry.append(sys.getswitchinterval())

    writer.write(lambda conn: None).result(60)
    assert until(lambda: sys.getswitchinterval() == SWITCH_S)
    writer._counted = slowly
    writer.append(record("a"))
    assert began.wait(60)
    decided = writer.control(lambda conn: sys.getswitchinterval())
    waited_for.set()
    assert decided.result(60) <= SWITCH_S / 5
    assert hurry[0] == SWITCH_S
    assert hurry[1] <= SWITCH_S / 5


def test_a_mistake_in_what_rides_along_costs_no_document(folder: Folder, writer: Writer) -> None:
    def wrong(conn: sqlite3.Connection) -> None:
        note(conn, "half of it")
        raise ValueError("a mistake")

    def malformed(conn: sqlite3.Connection) -> None:  # an OperationalError that no repetition ends
        note(conn, "half of it")
        conn.execute("SELECT json_extract('alice', '$.kind')").fetchall()

    writer.later(wrong)
    writer.later(malformed)
    writer.later(lambda conn: note(conn, "whole"))
    writer.append(record("d")).result(60)
    assert until(lambda: count(folder, "note") == 1)
    assert count(folder, "extraction") == 1


def test_the_writer_outlives_its_callers(folder: Folder, writer: Writer) -> None:
    blocker = database.open_writer(folder, "NORMAL", 5.0)
    blocker.execute("BEGIN EXCLUSIVE")
    gone = writer.append(record("gone"))
    gone.cancel()
    blocker.close()
    assert until(lambda: count(folder, "extraction") == 1)
    writer.append(record("next")).result(60)


def test_a_replaced_engine_writes_no_document(folder: Folder, writer: Writer) -> None:
    conn = database.open_writer(folder, "FULL")
    assert lease.take(conn, 2, 0.0, 0.0).token == 2
    conn.close()
    with pytest.raises(Exception, match="another engine has taken over"):
        writer.append(record("late")).result(60)
    assert writer.fenced
    assert count(folder, "extraction") == 0


def test_only_a_rollback_takes_the_ballast(folder: Folder, writer: Writer) -> None:
    folder.lay_ballast()

    def full(conn: sqlite3.Connection) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with pytest.raises(sqlite3.OperationalError):
        writer.control(full).result(60)
    assert folder.ballast.exists()
    tries: list[bool] = []

    def full_until_there_is_room(conn: sqlite3.Connection) -> str:
        tries.append(folder.ballast.exists())
        if folder.ballast.exists():
            raise sqlite3.OperationalError("database or disk is full")
        return "recorded"

    assert writer.control(full_until_there_is_room, insist=True).result(60) == "recorded"
    assert tries == [True, False]


def test_a_change_is_whole_or_not_at_all_and_one_that_fails_bars_no_decision_after_it(
    folder: Folder, writer: Writer
) -> None:
    def half(conn: sqlite3.Connection) -> None:
        note(conn, "half")
        raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        writer.write(half).result(60)

    def left_open(conn: sqlite3.Connection) -> None:
        conn.execute("BEGIN IMMEDIATE")
        raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        writer.control(left_open).result(60)
    writer.write(lambda conn: note(conn, "whole")).result(60)
    assert count(folder, "note") == 1


def test_an_engine_that_was_replaced_changes_nothing_more(folder: Folder, writer: Writer) -> None:
    conn = database.open_writer(folder, "FULL")
    assert lease.take(conn, 2, 0.0, 0.0).token == 2
    conn.close()
    with pytest.raises(Fenced):
        writer.write(lambda conn: note(conn, "late")).result(60)
    assert count(folder, "note") == 0
    assert writer.fenced


def test_documents_are_committed_where_the_disk_has_them_and_figures_alone_are_not(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a power cut leaves of it is checked by the simulation; here, which connection commits."""
    made: list[tuple[str, list[str]]] = []
    opened = database.open_writer

    def traced(folder: Folder, durability: str, *more: float) -> sqlite3.Connection:
        conn, statements = opened(folder, durability, *more), []  # type: ignore[arg-type, var-annotated]
        conn.set_trace_callback(statements.append)
        made.append((durability, statements))
        return conn

    monkeypatch.setattr(database, "open_writer", traced)
    writer = Writer(folder, 1)
    writer.start()
    writer.append(record("d1")).result(60)
    assert until(lambda: not writer.pending)
    by = {durability: "\n".join(statements) for durability, statements in made}
    assert "extraction" in by["FULL"]
    assert "extraction" not in by["NORMAL"]
    writer.later(lambda conn: note(conn, "a figure"))
    writer.stop()
    assert "INSERT INTO note" in "\n".join(dict(made)["NORMAL"])
    assert "INSERT INTO note" not in "\n".join(dict(made)["FULL"])
