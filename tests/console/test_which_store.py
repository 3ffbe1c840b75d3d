"""Which store, which engine: a rollback acts on what was meant, certifies only that, and says so; status asks the process."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.plan import memory
from engine.plan.locate import meant
from engine.store.folder import Folder
from tests.engine.service.stage import COMMAND, Stage


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with Stage(tmp_path / "place", speed=None) as made:
        text = made.plan_path.read_text().replace("[store]", '[store]   # ours\npath = "store"', 1)
        made.plan_path.write_text(text)
        made.engine()
        made.climb(3)
        yield made


def rollout(stage: Stage, *words: str) -> subprocess.CompletedProcess[str]:
    """As a person in the plan's folder types it: without --store and --plan."""
    return subprocess.run([*COMMAND, *words], capture_output=True, text=True, cwd=stage.root, timeout=60)


def old_store(stage: Stage) -> Folder:
    """A store of long ago beside the plan, of which nothing runs."""
    old = Folder(stage.root / ".rollout")
    old.prepare()
    old.database.write_bytes(b"")
    old.prepare_armed_file("old")
    old.arm()
    return old


SPELLINGS = (
    '[store] # a comment\npath = "store"',
    '[ store ]\npath = "store"',
    '[store]\n"path" = "store"',
    '[store]\npath = """store"""',
    "[store]\npath = 'store'  # here",
)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_broken_plan_rolls_back_the_store_it_last_ran_with(stage: Stage, spelling: str) -> None:
    old = old_store(stage)
    stage.plan_path.write_text(f"{spelling}\n[broken\n")
    done = rollout(stage, "rollback", "--reason", "the plan is broken")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Store: {stage.folder.path}" in done.stdout
    assert stage.percent_bp == 0
    assert not stage.folder.is_armed()
    assert not old.is_armed()


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_without_a_memory_nothing_is_certified_and_every_armed_file_is_pulled(stage: Stage, spelling: str) -> None:
    old = old_store(stage)
    (stage.root / memory.BESIDE).unlink()
    for path in (stage.root.parent / "state" / "rollout" / "plans").iterdir():
        path.unlink()
    stage.plan_path.write_text(f"{spelling}\n[broken\n")
    done = rollout(stage, "rollback")
    assert done.returncode == 1
    assert "NOT CERTAIN" in done.stderr
    assert str(stage.folder.path) in done.stderr
    assert "--store" in done.stderr
    assert not old.is_armed()
    assert not stage.folder.is_armed()
    assert stage.until(lambda: stage.percent_bp == 0, 10)


def test_a_plan_that_names_another_store_than_the_engine_that_runs_under_it(stage: Stage) -> None:
    text = stage.plan_path.read_text()
    stage.plan_path.write_text(text.replace('path = "store"', 'path = "new-store"'))
    done = rollout(stage, "status")
    assert done.returncode == 1
    assert "ANOTHER ENGINE" in done.stdout + done.stderr
    done = rollout(stage, "rollback")
    assert str(stage.folder.path) in done.stdout + done.stderr
    assert stage.percent_bp == 0
    assert not stage.folder.is_armed()


def test_the_memory_of_a_plan_is_of_that_plan_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    plan = tmp_path / "rollout.toml"
    plan.write_text("")
    memory.remember(plan, tmp_path / "a", 1)
    assert memory.recall(plan) == (tmp_path / "a",)
    assert meant(plan).others == (tmp_path / "a",)
    other = tmp_path / "other.toml"
    other.write_text("[broken")
    assert memory.recall(other) == ()
    assert not meant(other).remembered
    (tmp_path / memory.BESIDE).write_text("not json")
    assert memory.recall(plan) == (tmp_path / "a",)  # from the user's own folder


def test_status_does_not_infer_from_files_that_no_engine_runs(stage: Stage) -> None:
    stage.folder.lock.unlink()
    done = rollout(stage, "status")
    assert "not running" not in done.stdout
    os.kill(stage.processes[-1].pid, signal.SIGSTOP)
    try:
        for gone in ((), ("engine.sock",), ("engine.sock", "lock")):
            for name in gone:
                (stage.folder.path / name).unlink(missing_ok=True)
            done = rollout(stage, "status")
            assert done.returncode == 1
            assert "not running" not in done.stdout + done.stderr
            assert "does not answer" in done.stdout + done.stderr
        done = rollout(stage, "rollback")
        assert "No engine runs" not in done.stdout
        assert stage.folder.has_intents()
    finally:
        os.kill(stage.processes[-1].pid, signal.SIGCONT)


def test_an_engine_that_has_ended_is_said_to_have_ended(stage: Stage) -> None:
    stage.processes[-1].kill()
    stage.processes[-1].wait()
    done = rollout(stage, "status")
    assert done.returncode == 1
    assert "not running" in done.stdout
    done = rollout(stage, "rollback")
    assert done.returncode == 0, done.stderr
    assert "No engine runs" in done.stdout
    assert f"Store: {stage.folder.path}" in done.stdout
