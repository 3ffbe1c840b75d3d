"""The store's promises on real files: the log's chain, idempotent commits, fencing, restore, the keyed switch, intents."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.control import Actor, Ask, Decision, State, note
from engine.store import database, documents, log
from engine.store.documents import DocumentWrite
from engine.store.folder import Folder, Intent

ALICE = Actor("alice", 1000)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    found = Folder(tmp_path / "store")
    database.create(found)
    return found


@pytest.fixture
def conn(folder: Folder) -> Iterator[sqlite3.Connection]:
    connection = database.open_writer(folder, "FULL")
    yield connection
    connection.close()


def write(conn: sqlite3.Connection, request_id: str, sentence: str = "said") -> log.Outcome:
    ask = Ask(ALICE, 1.0, request_id)
    return log.commit(conn, request_id, lambda state: note(state, ask, "note", sentence))


def test_a_request_that_landed_unacknowledged_is_answered_from_the_log(conn: sqlite3.Connection) -> None:
    first = write(conn, "r1")
    again = write(conn, "r1", "something else")
    assert first.state.rev == again.state.rev == 1
    assert again.decision is not None
    assert again.decision.sentence == "said"


def test_an_old_engine_that_wakes_up_can_write_nothing(conn: sqlite3.Connection) -> None:
    conn.execute("INSERT INTO lease VALUES (1, 2, 1, 0, 0, 0, 0)")
    ask = Ask(ALICE, 1.0, "r")
    with pytest.raises(log.Fenced):
        log.commit(conn, "r", lambda state: note(state, ask, "note", "late"), token=1)
    assert log.read_state(conn).rev == 0
    assert log.commit(conn, "r", lambda state: note(state, ask, "note", "mine"), token=2).state.rev == 1


def test_a_rising_percentage_by_the_engine_is_stopped_at_the_log(conn: sqlite3.Connection) -> None:
    rising = Decision("trigger", Actor("engine", kind="engine"), "", 2, 1000, 1.0, "r", "up")
    outcome = log.commit(conn, "r", lambda state: rising)
    assert outcome.decision is None
    assert outcome.refusal is not None
    assert log.read_state(conn) == State()


def document(name: str, at: float, llm: tuple[str, ...] | None = ("llm word",), stage: int = 2) -> DocumentWrite:
    method = "llm" if llm else "frequency"
    return DocumentWrite(
        name, f"title {name}", "text", "d" + name, at, "treatment", method, ("plain word",), (), llm, (), stage, 5
    )


def test_restore_serves_frequency_keywords_of_the_window_and_undo_brings_them_back(conn: sqlite3.Connection) -> None:
    documents.write(conn, [document("a", 10), document("b", 20), document("c", 30), document("d", 20, None)])
    assert documents.affected(conn, since=15).documents == 2
    _, count = documents.restore(conn, 40, 1, since=15)
    assert count == 2
    kept = documents.get(conn, "a")
    restored = documents.get(conn, "b")
    assert kept is not None
    assert restored is not None
    assert (kept.keywords, restored.keywords) == (("llm word",), ("plain word",))
    assert [d.id for d in documents.search(conn, "llm")] == ["a"]
    assert {d.id for d in documents.search(conn, "plain")} == {"b", "c", "d"}
    assert documents.undo_restore(conn, 50)[1] == 2
    assert documents.affected(conn).documents == 3


def test_a_document_extracted_anew_after_a_restore_is_not_touched_by_its_undo(conn: sqlite3.Connection) -> None:
    documents.write(conn, [document("a", 10)])
    documents.restore(conn, 20, 1)
    documents.write(conn, [document("a", 30, None)])
    assert documents.undo_restore(conn, 40)[1] == 0
    found = documents.get(conn, "a")
    assert found is not None
    assert found.method == "frequency"


@pytest.mark.parametrize(
    "query", ['"', "a OR b", "NEAR(", "title:x*", "-", "', '); DROP TABLE document; --", "", "é€😀"]
)
def test_any_text_is_a_valid_query(conn: sqlite3.Connection, query: str) -> None:
    documents.write(conn, [document("a", 10)])
    documents.search(conn, query)


def test_folder_and_files_are_their_owner_s_alone(folder: Folder) -> None:
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    assert stat.S_IMODE(folder.database.stat().st_mode) == 0o600
    folder.forge("stage 2")
    folder.arm()
    assert stat.S_IMODE(folder.armed.stat().st_mode) == 0o600


def test_the_switch_is_a_file_that_any_shell_can_remove(folder: Folder) -> None:
    folder.forge("stage 2")
    folder.arm()
    assert folder.is_armed()
    subprocess.run(["rm", str(folder.armed)], check=True)
    assert not folder.is_armed()
    assert not folder.disarm()


def test_the_lock_is_one_s_alone_and_dies_with_its_holder(folder: Folder) -> None:
    script = "import sys,time; from pathlib import Path; from engine.store.folder import Folder\nlock = Folder(Path(sys.argv[1])).try_lock(); print('held', flush=True); time.sleep(60)"
    holder = subprocess.Popen([sys.executable, "-c", script, str(folder.path)], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    assert folder.try_lock() is None
    holder.kill()
    holder.wait()
    holder.stdout.close()
    lock = folder.try_lock()
    assert lock is not None
    lock.release()


def test_an_intent_that_cannot_be_read_still_asks_for_zero(folder: Folder) -> None:
    folder.leave_intent(Intent("one", 5.0, {"name": "alice"}, "search is broken"))
    (folder.path / "rollback-two.intent").write_bytes(b"\xff\xff")
    found = folder.intents()
    assert len(found) == 2
    assert found[1][1].reason == "search is broken"


def test_a_socket_works_in_a_folder_deeper_than_its_address_can_hold(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    found = Folder(deep)
    found.prepare()
    server = found.listen()
    client = found.connect(1.0)
    client.close()
    server.close()


def test_a_group_that_does_not_exist_is_a_sentence(tmp_path: Path) -> None:
    from engine.store.folder import StoreError

    with pytest.raises(StoreError, match="no-such-group"):
        Folder(tmp_path / "s", "no-such-group").prepare()


def test_files_of_a_damaged_store_are_a_sentence(tmp_path: Path) -> None:
    from engine.store.folder import StoreError

    found = Folder(tmp_path / "s")
    found.prepare()
    found.database.write_bytes(os.urandom(8192))
    with pytest.raises(StoreError, match="backup"):
        database.create(found)
