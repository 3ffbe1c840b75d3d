"""Which store, which engine: a rollback acts on what was meant, certifies and names only that; status asks the process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.plan import memory
from engine.plan.locate import CandidateStores, candidate_stores
from engine.store.folder import Folder
from tests.engine.service.rig import COMMAND, EngineRig


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EngineRig]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with EngineRig(tmp_path / "place", speed=None) as made:
        text = made.plan_path.read_text().replace("[store]", '[store]   # ours\npath = "store"', 1)
        made.plan_path.write_text(text)
        made.engine()
        made.climb(3)
        yield made


def rollout(rig: EngineRig, *words: str) -> subprocess.CompletedProcess[str]:
    """As a person in the plan's folder types it: without --store and --plan."""
    return subprocess.run([*COMMAND, *words], capture_output=True, text=True, cwd=rig.root, timeout=60)


def old_store(rig: EngineRig) -> Folder:
    """A store of long ago beside the plan, of which nothing runs."""
    old = Folder(rig.root / ".rollout")
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
def test_a_broken_plan_rolls_back_the_store_it_last_ran_with(rig: EngineRig, spelling: str) -> None:
    old = old_store(rig)
    rig.plan_path.write_text(f"{spelling}\n[broken\n")
    done = rollout(rig, "rollback", "--reason", "the plan is broken")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Store: {rig.folder.path}" in done.stdout
    assert rig.percent_bp == 0
    assert not rig.folder.is_armed()
    assert not old.is_armed()


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_without_a_memory_nothing_is_certified_and_every_armed_file_is_pulled(rig: EngineRig, spelling: str) -> None:
    old = old_store(rig)
    (rig.root / memory.BESIDE).unlink()
    for path in (rig.root.parent / "state" / "rollout" / "plans").iterdir():
        path.unlink()
    rig.plan_path.write_text(f"{spelling}\n[broken\n")
    done = rollout(rig, "rollback")
    assert done.returncode == 1
    assert "NOT CERTAIN" in done.stderr
    assert str(rig.folder.path) in done.stderr
    assert "--store" in done.stderr
    assert not old.is_armed()
    assert not rig.folder.is_armed()
    assert rig.until(lambda: rig.percent_bp == 0, 10)


def test_a_plan_that_names_another_store_than_the_engine_that_runs_under_it(rig: EngineRig) -> None:
    text = rig.plan_path.read_text()
    rig.plan_path.write_text(text.replace('path = "store"', 'path = "new-store"'))
    done = rollout(rig, "status")
    assert done.returncode == 1
    assert "ANOTHER ENGINE" in done.stdout + done.stderr
    done = rollout(rig, "rollback")
    assert str(rig.folder.path) in done.stdout + done.stderr
    assert rig.percent_bp == 0
    assert not rig.folder.is_armed()


def test_the_memory_of_a_plan_is_of_that_plan_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    plan = tmp_path / "rollout.toml"
    plan.write_text("")
    memory.remember(plan, tmp_path / "a", 1)
    assert memory.recall(plan) == (tmp_path / "a",)
    assert candidate_stores(plan).others == (tmp_path / "a",)
    other = tmp_path / "other.toml"
    other.write_text("[broken")
    assert memory.recall(other) == ()
    assert not candidate_stores(other).remembered
    (tmp_path / memory.BESIDE).write_text("not json")
    assert memory.recall(plan) == (tmp_path / "a",)  # from the user's own folder


def test_status_does_not_infer_from_files_that_no_engine_runs(rig: EngineRig) -> None:
    rig.folder.lock.unlink()
    done = rollout(rig, "status")
    assert "not running" not in done.stdout
    os.kill(rig.processes[-1].pid, signal.SIGSTOP)
    try:
        for gone in ((), ("engine.sock",), ("engine.sock", "lock")):
            for name in gone:
                (rig.folder.path / name).unlink(missing_ok=True)
            done = rollout(rig, "status")
            assert done.returncode == 1
            assert "not running" not in done.stdout + done.stderr
            assert "does not answer" in done.stdout + done.stderr
        done = rollout(rig, "rollback")
        assert "No engine runs" not in done.stdout
        assert rig.folder.has_intents()
    finally:
        os.kill(rig.processes[-1].pid, signal.SIGCONT)


def test_an_engine_that_has_ended_is_reported_to_have_ended(rig: EngineRig) -> None:
    rig.processes[-1].kill()
    rig.processes[-1].wait()
    done = rollout(rig, "status")
    assert done.returncode == 1
    assert "not running" in done.stdout
    taken = json.loads(rollout(rig, "metrics", "snapshot").stdout)  # though its last heartbeat is a moment old
    assert (taken["engine"], taken["current_rollout_percentage"]) == ("not running", 0)
    done = rollout(rig, "rollback")
    assert done.returncode == 0, done.stderr
    assert "No engine runs" in done.stdout
    assert f"Store: {rig.folder.path}" in done.stdout


def _a_pipe(plan: Path) -> None:
    os.mkfifo(plan)


def _a_folder(plan: Path) -> None:
    plan.mkdir()


def _a_circle(plan: Path) -> None:
    plan.symlink_to("other")
    (plan.parent / "other").symlink_to(plan.name)


def _a_device(plan: Path) -> None:
    plan.symlink_to("/dev/zero")


def _text(text: str) -> Callable[[Path], None]:
    def write(plan: Path) -> None:
        plan.write_text(text, "utf-8")

    return write


ODD_PLANS: dict[str, Callable[[Path], None]] = {
    "pipe": _a_pipe,
    "folder": _a_folder,
    "circle": _a_circle,
    "absent": lambda plan: None,
    "unknown user": _text('[store]\npath = "~no-such-user/store"'),
    "unknown user, broken": _text('[store]\npath = "~no-such-user/store"\n[broken'),
    "NUL in the path": _text('[store]\npath = "a\\u0000b"'),
    "NUL in the path, broken": _text('[store]\npath = "a\0b"\n[broken'),
}


@pytest.mark.parametrize("name", ODD_PLANS)
def test_whatever_lies_under_the_plans_name_a_rollback_does_not_wait_or_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / ".rollout").mkdir()
    os.mkfifo(tmp_path / memory.BESIDE)  # planted by someone who may write here
    plan = tmp_path / "rollout.toml"
    ODD_PLANS[name](plan)
    assert memory.recall(plan) == ()
    store = candidate_stores(plan)
    assert store.doubt
    assert store.first == tmp_path / ".rollout"


def test_a_plan_may_be_a_link_but_not_to_a_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "kept.toml").write_text('[store]\npath = "here"')
    (tmp_path / "rollout.toml").symlink_to("kept.toml")
    assert candidate_stores(tmp_path / "rollout.toml") == CandidateStores(tmp_path / "here")
    _a_device(tmp_path / "device.toml")
    assert candidate_stores(tmp_path / "device.toml").doubt


@pytest.mark.parametrize("text", ['store.path = "here"', 'store = { path = "here" }', "[store]\npath='here'"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_every_store_that_a_broken_plan_names_is_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, encoding: str
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in ("here", "commented"):
        (tmp_path / name).mkdir()
    plan = tmp_path / "rollout.toml"
    plan.write_text(f'# path = "commented"\n{text}\nx = = 1', encoding)
    store = candidate_stores(plan)
    assert store.doubt
    assert store.first == tmp_path / "here"
    assert tmp_path / "commented" not in store.others


def test_a_plan_that_was_moved_away_leaves_its_store_to_roll_back(rig: EngineRig) -> None:
    rig.plan_path.rename(rig.root / "away.toml")
    done = rollout(rig, "rollback")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Store: {rig.folder.path}" in done.stdout
    assert rig.percent_bp == 0
    assert not rig.folder.is_armed()


def test_a_plan_that_is_gone_is_named_whatever_is_read_by_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "rollout.toml").write_text("[broken")  # of another rollout
    with EngineRig(tmp_path / "place", speed=None) as rig:
        rig.folder = Folder(rig.root / ".rollout")
        assert rig.cli("load", "rollout.toml").returncode == 0
        rig.plan_path.unlink()
        for words in (("log",), ("triggers", "list"), ("gate",), ("promote", "--dry-run")):
            done = rollout(rig, *words)
            assert done.stderr.startswith(f"{rig.plan_path} is gone; the plan that the last"), done
        assert "put it back" in rollout(rig, "serve").stderr
        assert rollout(rig, "log", "--quiet").stderr == ""


@pytest.mark.parametrize(("verb", "said"), [("rollback", "Rolled back from 25 %"), ("status", "Stage 3")])
def test_what_a_running_engine_answers_waits_for_no_plan(rig: EngineRig, verb: str, said: str) -> None:
    main = "from console.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", main, verb], capture_output=True, text=True, cwd=rig.root
    )
    assert said in done.stdout, done.stdout + done.stderr
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "engine.client.client" in loaded
    assert not loaded & {"engine.plan.load", "engine.store.plans"}


def test_a_planted_lock_stops_no_rollback(rig: EngineRig) -> None:
    rig.processes[-1].kill()
    rig.processes[-1].wait()
    rig.folder.lock.unlink()
    os.mkfifo(rig.folder.lock)
    done = rollout(rig, "rollback", "--reason", "the lock is a pipe")
    assert "Rolled back to 0 %" in done.stdout + done.stderr
    assert rig.folder.has_intents()
    assert not rig.folder.is_armed()
