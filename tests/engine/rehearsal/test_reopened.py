"""A rehearsal that is kept and reopened resumes where it was."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest

from engine.plan.init import set_value
from engine.plan.load import default_plan_text
from engine.server.rehearse import Rehearsal
from tests.engine.service.rig import EngineRig


def test_the_calendar_of_a_kept_rehearsal_never_runs_backwards(tmp_path: Path) -> None:
    with EngineRig(tmp_path, speed=3600.0) as rig:
        first = rig.engine()
        began = rig.view.at
        assert rig.until(lambda: rig.view.at > began + 7200)
        first.terminate()
        assert first.wait(15) == 0
        ended = rig.view.at
        rig.engine()
        assert rig.until(lambda: rig.view.engine.pid != first.pid)
        assert rig.view.at >= ended


def test_a_kept_rehearsal_continues_under_its_own_plan(tmp_path: Path) -> None:
    with Rehearsal(keep=tmp_path) as first:
        assert first.start() == ""
    edited = first.plan_path.read_text() + "# edited\n"
    first.plan_path.write_text(edited)
    with Rehearsal(keep=tmp_path) as second:
        assert second.start() == ""
    assert second.plan_path.read_text() == edited


def test_a_kept_rehearsal_may_be_named_from_the_folder_one_is_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with Rehearsal(keep=Path("kept")) as rehearsal:
        assert rehearsal.start() == ""


def test_a_rehearsal_never_overwrites_a_real_plan(tmp_path: Path) -> None:
    plan = tmp_path / "rollout.toml"
    plan.write_text(default_plan_text())
    with Rehearsal(keep=tmp_path) as rehearsal:
        assert "real rollout" in rehearsal.start()
    assert plan.read_text() == default_plan_text()


# -- from any folder, by the commands that its own output names ---------------------------------------------------------


def rollout(words: str, folder: Path, code: int = 0) -> str:
    """Run a command as it was printed, in another folder."""
    verb, *rest = shlex.split(words)
    assert verb == "rollout"
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    command = [sys.executable, "-c", "from console.cli import main; main()", *rest]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environ, timeout=60)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@contextmanager
def rehearsing(words: str, folder: Path, printed: list[str]) -> Iterator[None]:
    """`rollout rehearse ... --no-console` while the body runs; `printed` gets its lines, at once and after its end."""
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-c", "from console.cli import main; main()", *shlex.split(words)[1:], "--no-console"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder, env=environ)
    assert process.stdout is not None
    try:
        printed += [process.stdout.readline().strip(), process.stdout.readline().strip()]
        yield
    finally:
        process.send_signal(2)
        printed += process.communicate(timeout=30)[0].splitlines()
    assert process.returncode == 0


def test_a_kept_rehearsal_is_attached_to_and_continued_by_the_commands_that_it_prints(tmp_path: Path) -> None:
    kept, elsewhere = tmp_path / "it is kept", tmp_path / "elsewhere"
    elsewhere.mkdir()
    printed: list[str] = []
    with rehearsing(f"rollout rehearse --speed 3600 --keep {shlex.quote(str(kept))}", elsewhere, printed):
        attach = printed[1].partition(": ")[2]
        running = json.loads(rollout(f"{attach} status --json", elsewhere))
        assert running["rehearsal"] is True
        assert running["engine"]["pid"]
        time.sleep(1.0)  # an hour of its calendar
    (line,) = [line for line in printed if line.startswith("Kept: ")]
    reads, continues = re.findall(r"`([^`]*)`", line)
    assert "not running" in rollout(reads, elsewhere, code=1)
    before = json.loads(rollout(reads.replace(" status", " log --json"), elsewhere))
    for refused in ("serve", "load --method frequency rollout.toml"):
        (elsewhere / "rollout.toml").write_text("about = 'a document for an engine'\n")
        words = f"rollout --plan {shlex.quote(str(kept / 'rollout.toml'))} {refused}"
        assert f"rollout rehearse --keep '{kept}'" in rollout(words, elsewhere, code=1)
    with rehearsing(continues, elsewhere, printed):
        again = json.loads(rollout(f"{attach} log --json", elsewhere))
    assert len(again) > len(before)
    start = max((row for row in again if row["kind"] == "engine_start"), key=lambda row: row["rev"])
    ended = re.search(r"previous one ended at (\S+)", start["sentence"])
    assert ended is not None
    stop = next(row for row in before if row["kind"] == "engine_stop")
    assert abs(_epoch(ended[1]) - _epoch(stop["at"])) < 3600  # of its calendar, as the log's times are
    assert _epoch(ended[1]) <= _epoch(start["at"])


def _epoch(at: str) -> float:
    return datetime.fromisoformat(at).timestamp()


def test_a_rehearsal_kept_by_an_older_version_is_given_its_store(tmp_path: Path) -> None:
    plan = tmp_path / "rollout.toml"
    plan.write_text(set_value(default_plan_text(), "environment", "rehearsal"))
    with Rehearsal(keep=tmp_path) as rehearsal:
        assert rehearsal.start() == ""
        assert rehearsal.plan.store.path == "store"
