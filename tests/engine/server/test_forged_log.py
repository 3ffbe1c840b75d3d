"""A log that is replaced while no engine runs is a valid chain: the head kept in the user's state folder gives it away."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

from engine.rollout.state import Actor, Decision, State
from engine.store import database, head_memory, lease, log, log_continuity
from engine.store.folder import Folder
from engine.store.reader import Reader
from tests.engine.service.rig import EngineRig

QUIET = {"llm.url": "http://127.0.0.1:9"}


def forged(stage: EngineRig, percent_bp: int) -> None:
    """Another database in the store's place, whose chain verifies, at a percentage that no one decided."""
    other = Folder(stage.root / "other")
    database.create(other)
    conn = database.open_writer(other, "FULL")
    lease.take(conn, 1, time.time(), time.time())
    lease.ended(conn)
    state = log.append(
        conn, State(), Decision("start", Actor("alice"), "", 0, 0, time.time(), "r1", "the rollout begins")
    )
    log.append(
        conn,
        state,
        Decision("promote", Actor("alice"), "", 3, percent_bp, time.time(), "r2", "alice promoted to Limited"),
    )
    assert log.verify(conn).ok
    conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    conn.close()
    for name in ("-wal", "-shm"):
        stage.folder.database.with_name(stage.folder.database.name + name).unlink(missing_ok=True)
    shutil.copy(other.database, stage.folder.database)
    stage.folder.prepare_armed_file("forged")
    stage.folder.arm()
    stage.reader.close()
    stage.reader = Reader(stage.folder)


def events(stage: EngineRig) -> list[str]:
    """Of the engine that runs now, once it has shown a view: the store may have the one before it, or none."""

    def is_shown() -> bool:
        view = stage.reader.engine_record().view
        return view is not None and view.engine.pid == stage.pid

    assert stage.until(is_shown)
    return [text for _, text in stage.view.events]


def stopped(stage: EngineRig) -> None:
    assert stage.cli("stop").returncode == 0
    assert stage.until(lambda: not stage.folder.is_locked())


def test_a_chain_forged_while_no_engine_runs_goes_to_zero(tmp_path: Path) -> None:
    with EngineRig(tmp_path, speed=None, settings=QUIET) as stage:
        stage.engine()
        stage.climb(2)
        time.sleep(1.0)
        stopped(stage)
        stage.engine()  # an ordinary start comes back as it was
        assert stage.percent_bp == 1000
        time.sleep(1.0)
        stopped(stage)
        forged(stage, 2500)
        stage.engine()
        assert stage.until(lambda: stage.percent_bp == 0)
        (row,) = stage.reader.log(1, kind="rollback")
        assert "the log was cut or replaced while no engine ran" in row.reason
        assert stage.until(lambda: any("cut or replaced" in text for text in events(stage)))
        assert not stage.folder.is_armed()


def added_without_an_engine(stage: EngineRig, kind: str, at: int, percent_bp: int, **more: Any) -> None:
    """A decision with a right hash, and the control row that follows."""
    conn = database.open_writer(stage.folder, "FULL")
    state = log.read_state(conn)
    decision = Decision(
        kind, Actor("alice"), "", at, percent_bp, time.time(), f"f{state.rev}", f"alice: {kind}", **more
    )
    conn.execute("BEGIN IMMEDIATE")
    log.append(conn, state, decision)
    conn.execute("COMMIT")
    assert log.verify(conn).ok
    conn.close()


def test_a_raise_that_no_engine_recorded_is_not_in_force(tmp_path: Path) -> None:
    with EngineRig(tmp_path, speed=None, settings=QUIET) as stage:
        stage.engine()
        stage.climb(2)
        os.kill(stage.pid, signal.SIGKILL)  # with nothing but the promotion noted
        assert stage.until(lambda: not stage.folder.is_locked())
        stage.engine()
        assert stage.percent_bp == 1000
        assert "the log has none after it" in stage.cli("log", "--verify").stdout
        stopped(stage)
        added_without_an_engine(stage, "approve", 2, 1000, approval="bo")
        added_without_an_engine(stage, "ceiling", 2, 1000, ceiling_bp=10_000)
        added_without_an_engine(stage, "promote", 3, 2500)
        verified = stage.cli("log", "--verify")
        assert verified.returncode == 1
        assert "no engine of this user recorded decisions" in verified.stderr
        stage.engine()
        assert stage.until(lambda: stage.percent_bp == 0)
        assert events(stage)
        assert stage.view.effective_bp == 0
        assert not stage.folder.is_armed()
        assert any("ALARM: no engine of this user" in text for text in events(stage))
        state = stage.reader.state()
        assert (state.stage, state.approvers, state.undo, state.setback) == (1, (), None, None)
        assert "promote to 25 % as alice" in state.locked
        fields = {"epoch": state.epoch, "override": True, "reason": "climbing in a test"}
        assert not stage.client.command("promote", **fields).ok
        assert stage.client.command("resume", reason="the store's group was cleaned up", epoch=state.epoch).ok
        stage.climb(2)
        stopped(stage)
        assert stage.client.rollback("without an engine").ok
        stage.engine()  # which lowers, and is taken over
        assert stage.percent_bp == 0
        assert not any("ALARM" in text for text in events(stage))
        assert not stage.reader.state().locked
        stage.folder.path.rename(tmp_path / "moved")
        answers: list[str] = []

        def is_at_zero() -> bool:
            status = stage.cli("status")
            answers.append(status.stdout + status.stderr)
            return "was replaced" in status.stdout

        assert stage.until(is_at_zero)
        assert not any("not running" in words for words in answers), "it lives"
        rolled_back = stage.cli("rollback")
        assert "Rolled back" in rolled_back.stdout + rolled_back.stderr


def test_without_a_memory_there_is_nothing_to_compare(tmp_path: Path) -> None:
    """The test above would pass for another reason if this one did not come up at the forged percentage."""
    with EngineRig(tmp_path, speed=None, settings=QUIET) as stage:
        stage.engine()
        stage.climb(2)
        time.sleep(1.0)
        stopped(stage)
        head_memory.places(stage.folder.path)[0].unlink()
        forged(stage, 2500)
        stage.engine()
        assert stage.percent_bp == 2500


def test_an_epoch_that_was_seen_never_comes_back_with_an_older_copy(tmp_path: Path) -> None:
    with EngineRig(tmp_path, speed=None, settings=QUIET) as stage:
        stage.engine()
        stage.climb(1)
        stopped(stage)
        copy = tmp_path / "copy.db"
        stage.reader.close()  # a copy made in this process would drop the locks of its connection
        shutil.copy(stage.folder.database, copy)
        stage.engine()
        assert stage.client.command("hold", reason="looking", epoch=stage.epoch).ok
        assert stage.client.command("resume", reason="looked", epoch=stage.epoch).ok
        assert stage.client.rollback("as a test").ok
        seen = stage.epoch
        remembered = head_memory.places(stage.folder.path)[0]
        assert stage.until(lambda: f'"epoch":{seen}' in remembered.read_text())
        stopped(stage)
        shutil.copy(copy, stage.folder.database)
        for name in ("-wal", "-shm"):
            stage.folder.database.with_name(stage.folder.database.name + name).unlink(missing_ok=True)
        stage.reader.close()
        stage.reader = Reader(stage.folder)
        stage.engine()
        assert stage.epoch > seen
        (row,) = stage.reader.log(1, kind="epoch")
        assert f"epochs continue above {seen + log_continuity.UNREMEMBERED}" in row.sentence
        for epoch in range(seen + 1):
            assert not stage.client.command("promote", reason="seen before", override=True, epoch=epoch).ok
        assert stage.cli("log", "--verify").returncode == 0
        now = stage.epoch
        stopped(stage)
        stage.engine()  # once is enough
        assert stage.epoch == now
