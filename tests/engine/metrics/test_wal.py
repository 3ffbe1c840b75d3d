"""The write-ahead log stays small while consoles read, and shrinks again after a reader that held a snapshot."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from engine.store import database
from engine.store.folder import Folder
from engine.store.rollup import insert_and_fold
from engine.store.series import window
from tests.engine.metrics.samples import T0, record

MIB = 1 << 20


def write(conn: sqlite3.Connection, first: int, batches: int) -> None:
    for n in range(first, first + batches):
        conn.execute("BEGIN IMMEDIATE")
        insert_and_fold(conn, [record(at=T0 + n + i / 100) for i in range(100)])
        conn.execute("COMMIT")


def test_a_console_that_reads_all_the_time_does_not_let_the_log_grow(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    database.create(folder)
    writer, reader = database.open_writer(folder, "NORMAL"), database.open_reader(folder)
    log = Path(f"{folder.database}-wal")
    largest = 0
    for n in range(150):
        write(writer, n, 1)
        window(reader, T0 + n, 300.0)
        largest = max(largest, log.stat().st_size)
    assert writer.execute("SELECT count(*) FROM extraction").fetchone() == (15_000,)
    assert largest < 6 * MIB  # a thousand pages, where checkpoints begin, are four


def test_a_reader_that_holds_on_delays_the_log_and_not_for_longer_than_itself(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    database.create(folder)
    writer, reader = database.open_writer(folder, "NORMAL"), database.open_reader(folder)
    writer.execute(f"PRAGMA journal_size_limit={2 * MIB}")
    log = Path(f"{folder.database}-wal")
    write(writer, 0, 1)
    cursor = reader.execute("SELECT at FROM extraction")
    cursor.fetchone()
    write(writer, 1, 120)
    grown = log.stat().st_size
    assert grown > 4 * MIB
    cursor.close()
    write(writer, 100, 30)
    assert log.stat().st_size <= grown  # begun again from its start
    write(writer, 200, 30)
    assert log.stat().st_size <= grown


def test_a_log_that_a_reader_holds_up_is_reported_with_how_to_find_the_reader(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    database.create(folder)
    log = Path(f"{folder.database}-wal")
    with log.open("wb") as file:
        file.truncate(database.HELD_MIB * MIB - 1)
    assert database.outgrown_log(folder) == ""
    with log.open("wb") as file:
        file.truncate(300 * MIB)
    assert "has grown to 300 MiB" in database.outgrown_log(folder)
    assert f"lsof {log}" in database.outgrown_log(folder)
