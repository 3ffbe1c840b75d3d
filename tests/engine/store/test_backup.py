"""A backup is taken while the store is written, is whole and one file, and is only called one when it verifies."""

from __future__ import annotations

import sqlite3
import stat
import threading
import time
from pathlib import Path

import pytest

from engine.rollout.control import note
from engine.rollout.state import Actor, Ask
from engine.store import backup, database, log
from engine.store.folder import Folder


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    store = Folder(tmp_path / "store")
    database.create(store)
    return store


def say(conn: sqlite3.Connection, number: int) -> None:
    ask = Ask(Actor("alice", 1000), float(number), f"r{number}")
    log.commit(conn, ask.request_id, lambda state: note(state, ask, "note", "x" * 2000))


def test_a_backup_is_whole_while_the_store_is_being_written(folder: Folder, tmp_path: Path) -> None:
    going = threading.Event()
    going.set()
    written = 0

    def write() -> None:
        nonlocal written
        conn = database.open_writer(folder, "NORMAL")
        while going.is_set():
            written += 1
            say(conn, written)
        conn.close()

    writer = threading.Thread(target=write)
    writer.start()
    while written < 300:
        time.sleep(0.01)
    before = written
    result = backup.take(folder, tmp_path / "copies" / "one.db")
    going.clear()
    writer.join()
    assert result.ok, result.sentence
    assert before <= result.decisions + 1
    assert sorted(path.name for path in (tmp_path / "copies").iterdir()) == ["one.db"]
    assert stat.S_IMODE((tmp_path / "copies" / "one.db").stat().st_mode) == 0o600
    copy = sqlite3.connect(f"file:{result.path}?mode=ro&immutable=1", uri=True)
    verified = log.verify(copy)
    copy.close()
    assert verified.ok
    assert verified.head[:16] in result.sentence  # to be noted: it shows later whether the log was cut off


def test_a_copy_that_does_not_verify_is_not_a_backup(folder: Folder, tmp_path: Path) -> None:
    conn = database.open_writer(folder, "NORMAL")
    for number in range(3):
        say(conn, number)
    conn.execute("DROP TRIGGER decision_is_append_only_u")
    conn.execute("UPDATE decision SET body = replace(body, 'alice', 'alive') WHERE rev = 2")
    conn.close()
    result = backup.take(folder, tmp_path / "copy.db")
    assert not result.ok
    assert "decision 2" in result.sentence
    assert not list(tmp_path.glob("copy*"))
