"""The store's promises on real files: the log's chain, idempotent commits, fencing, restore, the armed file, intents."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.rollout.control import note
from engine.rollout.state import Actor, Ask, Decision, State
from engine.store import database, documents, lease, log, restores, schema
from engine.store.documents import DocumentWrite
from engine.store.file_systems import type_of
from engine.store.folder import Folder, StoreError
from engine.store.intents import Intent
from engine.store.search import search

ALICE = Actor("alice", 1000)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    store = Folder(tmp_path / "store")
    database.create(store)
    return store


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
    assert [lease.take(conn, 1, 0.0, 0.0).token, lease.take(conn, 2, 0.0, 0.0).token] == [1, 2]
    ask = Ask(ALICE, 1.0, "r")
    with pytest.raises(log.Fenced):
        log.commit(conn, "r", lambda state: note(state, ask, "note", "late"), token=1)
    assert log.read_state(conn).rev == 0
    assert log.commit(conn, "r", lambda state: note(state, ask, "note", "mine"), token=2).state.rev == 1


def test_the_log_refuses_a_raise_by_the_engine(conn: sqlite3.Connection) -> None:
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
    assert restores.affected(conn, since=15).documents == 2
    _, count = restores.restore(conn, 40, 1, since=15)
    assert count == 2
    kept = documents.get(conn, "a")
    restored = documents.get(conn, "b")
    assert kept is not None
    assert restored is not None
    assert (kept.keywords, restored.keywords) == (("llm word",), ("plain word",))
    assert [d.id for d in search(conn, "llm")] == ["a"]
    assert {d.id for d in search(conn, "plain")} == {"b", "c", "d"}
    assert restores.undo_restore(conn, 50)[1] == 2
    assert restores.affected(conn).documents == 3


def test_a_document_extracted_again_after_a_restore_is_not_touched_by_its_undo(conn: sqlite3.Connection) -> None:
    documents.write(conn, [document("a", 10)])
    restores.restore(conn, 20, 1)
    documents.write(conn, [document("a", 30, None)])
    assert restores.undo_restore(conn, 40)[1] == 0
    result = documents.get(conn, "a")
    assert result is not None
    assert result.method == "frequency"


@pytest.mark.parametrize(
    "query", ['"', "a OR b", "NEAR(", "title:x*", "-", "', '); DROP TABLE document; --", "", "é€😀"]
)
def test_any_text_is_a_valid_query(conn: sqlite3.Connection, query: str) -> None:
    documents.write(conn, [document("a", 10)])
    search(conn, query)


def test_folder_and_files_are_their_owner_s_alone(folder: Folder) -> None:
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    assert stat.S_IMODE(folder.database.stat().st_mode) == 0o600
    folder.prepare_armed_file("stage 2")
    folder.arm()
    assert stat.S_IMODE(folder.armed.stat().st_mode) == 0o600


def test_the_armed_file_can_be_removed_from_any_shell(folder: Folder) -> None:
    folder.prepare_armed_file("stage 2")
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


def test_probing_the_lock_needs_no_write_access_and_hides_no_other_probe(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.lock.unlink(missing_ok=True)
    assert not folder.is_locked()
    assert not folder.lock.exists()
    folder.lock.touch(0o600)
    opened = os.open

    def only_to_read(path: os.PathLike[str], flags: int, *rest: int) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return opened(path, flags, *rest)

    with folder.lock.open() as looker:
        fcntl.flock(looker, fcntl.LOCK_SH)
        monkeypatch.setattr(os, "open", only_to_read)
        assert not folder.is_locked()
        fcntl.flock(looker, fcntl.LOCK_EX)
        assert folder.is_locked()


def test_a_store_put_back_under_an_open_console_is_reported_as_held(folder: Folder) -> None:
    with contextlib.closing(sqlite3.connect(folder.database)) as conn:
        conn.execute("PRAGMA journal_mode=DELETE")  # as a backup is
    reader = sqlite3.connect(f"file:{folder.database}?mode=ro", uri=True, isolation_level=None)
    with contextlib.closing(reader):
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM control").fetchall()
        with pytest.raises(StoreError, match="locked by another program"):
            database.create(folder, busy_s=0.1)


def test_an_intent_that_cannot_be_read_still_asks_for_zero(folder: Folder) -> None:
    folder.leave_intent(Intent("one", 5.0, {"name": "alice"}, "search is broken"))
    (folder.path / "rollback-two.intent").write_bytes(b"\xff\xff")
    result = folder.intents()
    assert len(result) == 2
    assert result[1][1].reason == "search is broken"


def test_an_intent_s_request_id_comes_from_its_file_name(folder: Folder) -> None:
    (folder.path / "rollback-a.intent").write_bytes(b'{"request_id":"../../b","at":1.0,"actor":{},"reason":""}')
    ((path, intent),) = folder.intents()
    assert intent.request_id == "a"
    assert path.name == f"rollback-{intent.request_id}.intent"


def test_a_folder_with_other_files_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(0o755)
    (home / "letter.txt").write_text("dear")
    with pytest.raises(StoreError, match="is not a store"):
        Folder(home).prepare()
    assert stat.S_IMODE(home.stat().st_mode) == 0o755
    assert [path.name for path in home.iterdir()] == ["letter.txt"]


def test_no_file_of_the_store_is_written_through_a_link(folder: Folder, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("precious")
    (folder.path / "armed.forged").symlink_to(other)
    with pytest.raises(OSError, match="symbolic link"):
        folder.prepare_armed_file("stage 2")
    assert other.read_text() == "precious"


def test_a_socket_works_in_a_folder_deeper_than_its_address_can_hold(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    store = Folder(deep)
    store.prepare()
    server = store.listen()
    client = store.connect(1.0)
    client.close()
    server.close()


def test_a_group_that_does_not_exist_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no-such-group"):
        Folder(tmp_path / "s", "no-such-group").prepare()


def test_files_of_a_damaged_store_are_a_sentence(tmp_path: Path) -> None:
    store = Folder(tmp_path / "s")
    store.prepare()
    store.database.write_bytes(os.urandom(8192))
    with pytest.raises(StoreError, match="backup"):
        database.create(store)


def test_a_store_whose_making_was_interrupted_is_called_unfinished_and_the_next_engine_finishes_it(
    tmp_path: Path,
) -> None:
    store = Folder(tmp_path / "s")
    store.prepare()
    store.database.touch(0o600)  # as far as a kill -9 can let `create` come
    with pytest.raises(StoreError, match="not made yet"):
        database.open_reader(store)
    database.create(store)
    database.open_reader(store).close()


def test_a_store_is_made_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(db: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    store = Folder(tmp_path / "s")
    with monkeypatch.context() as patch:
        patch.setattr(schema, "steps", [*schema.steps, schema.SchemaStep("the_last", fail)])
        with pytest.raises(StoreError, match="disk I/O error"):
            database.create(store)
    with contextlib.closing(sqlite3.connect(store.database)) as conn:
        assert conn.execute("SELECT name FROM sqlite_master").fetchall() == []
    database.create(store)
    database.open_reader(store).close()


MOUNTS = """\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
31 22 0:40 / /srv rw,relatime - nfs4 files:/export rw
32 31 0:41 / /srv/local rw,relatime - xfs /dev/vdb rw
33 22 0:42 / /mnt/with\\040space rw,relatime - fuse.sshfs someone@host:/ rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home/a", "ext4"),
        ("/srv/rollout", "nfs4"),
        ("/srv/local/rollout", "xfs"),
        ("/srvx", "ext4"),
        ("/mnt/with space/a", "fuse.sshfs"),
    ],
)
def test_the_file_system_is_the_innermost_mount_s(tmp_path: Path, path: str, kind: str) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(MOUNTS)
    assert type_of(Path(path), table) == kind


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs", "9p"])
def test_a_store_on_a_network_file_system_is_refused_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr("engine.store.file_systems.type_of", lambda path: kind)
    with pytest.raises(StoreError, match="shared memory") as refused:
        Folder(tmp_path / "s").prepare()
    assert kind in str(refused.value)


def test_a_store_behind_a_link_is_judged_and_used_where_it_really_is(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    store = Folder(tmp_path / "link")
    database.create(store)
    store.prepare_armed_file("")
    store.arm()
    assert Folder(tmp_path / "real").is_armed()
    assert Folder(tmp_path / "real").disarm()
    assert not store.is_armed()


def test_files_keep_their_mode_under_any_umask(tmp_path: Path) -> None:
    for umask in (0o000, 0o077):
        before = os.umask(umask)
        try:
            store = Folder(tmp_path / f"s{umask}")
            database.create(store)
            store.prepare_armed_file("")
            store.arm()
            store.lay_ballast()
        finally:
            os.umask(before)
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in store.path.iterdir()}
        assert set(modes.values()) == {0o600}, modes
        assert stat.S_IMODE(store.path.stat().st_mode) == 0o700


def test_the_socket_of_a_dead_engine_is_replaced_and_that_of_a_new_one_left_alone(tmp_path: Path) -> None:
    dead, new = Folder(tmp_path / "s"), Folder(tmp_path / "s")
    dead.prepare()
    first = dead.listen()
    first.close()
    second = new.listen()
    dead.stop_listening()
    new.connect(1.0).close()
    new.stop_listening()
    assert not new.socket.exists()
    second.close()
