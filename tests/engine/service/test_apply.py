"""The neighbouring service: its file is complete, its command has a time limit, its failure is reported and retried."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

import pytest

from engine.plan.model import Apply
from engine.service import apply
from engine.service.apply import Applier, put_environment, run_command
from tests.machine import crowd, patience

pytestmark = pytest.mark.anyio

TEN = ["export XZE_KEYWORD_EXTRACTION_ROLLOUT_PERCENTAGE=10", "export XZE_KEYWORD_EXTRACTION_METRICS=true"]
ZERO = ["export XZE_KEYWORD_EXTRACTION_ROLLOUT_PERCENTAGE=0", "export XZE_KEYWORD_EXTRACTION_METRICS=true"]


async def until(holds, seconds: float = 30.0) -> None:  # type: ignore[no-untyped-def]
    for _ in patience(seconds):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come to pass")


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


async def test_the_file_has_the_lines_as_systemd_reads_them_and_the_command_runs_after_it(tmp_path: Path) -> None:
    file, seen = tmp_path / "rollout.env", tmp_path / "seen"
    applier = Applier(Apply(str(file), f"cp {file} {seen}"), tmp_path / "applied")
    applier.start(TEN)
    await until((tmp_path / "applied").exists)
    assert seen.read_text().splitlines() == [line.removeprefix("export ") for line in TEN]


async def test_a_command_that_takes_too_long_ends_with_its_children(tmp_path: Path) -> None:
    note = tmp_path / "child"
    output = await run_command(Apply(command=f"sh -c 'sleep 60 & echo $! > {note}; wait'", timeout_s=0.5))
    assert "0.5 s" in output
    child = int(note.read_text())
    await until(lambda: not alive(child))


async def test_a_failure_is_reported_in_a_sentence_and_retried_until_it_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apply, "RETRY_S", (0.05,))
    gate = tmp_path / "gate"
    applier = Applier(Apply(command=f"sh -c 'echo no such unit >&2; test -e {gate}'"), tmp_path / "applied")
    applier.start(TEN)
    await until(lambda: applier.problem)
    assert "ended with 1" in applier.problem
    assert "no such unit" in applier.problem
    gate.touch()
    await until(lambda: not applier.problem)
    await applier.stop()


async def test_a_later_change_ends_the_command_of_the_one_before_and_has_the_last_word(tmp_path: Path) -> None:
    file, pid = tmp_path / "rollout.env", tmp_path / "pid"
    slow = f"""grep -q =0 {file} || {{ trap '' TERM; echo $$ > {pid}; while :; do sleep 0.05; done; }}"""  # deaf to SIGTERM
    applier = Applier(Apply(str(file), slow, 30.0), tmp_path / "applied")
    applier.start(TEN)
    await until(lambda: pid.exists() and pid.read_text().strip())
    began = time.monotonic()
    applier.start(ZERO)
    assert time.monotonic() - began < 0.5 * crowd()  # a rollback waits for none of it
    await until(lambda: "PERCENTAGE=0" in file.read_text(), 1.0)
    await until(lambda: (tmp_path / "applied").exists())
    assert "PERCENTAGE=0" in file.read_text()
    await until(lambda: not alive(int(pid.read_text())))
    await applier.stop()


async def test_an_engine_that_starts_applies_only_what_was_not_applied_last(tmp_path: Path) -> None:
    count, done = tmp_path / "count", tmp_path / "applied"
    settings = Apply(command=f"{sys.executable} -c \"open('{count}', 'a').write('x')\"")

    async def start(lines: list[str]) -> str:
        applier = Applier(settings, done)
        applier.catch_up(lines)
        await asyncio.sleep(0)
        if applier._task is not None:
            await applier._task
        return count.read_text()

    assert await start(TEN) == "x"
    assert await start(TEN) == "x"
    assert await start(ZERO) == "xx"  # a rollback was made while no engine ran


async def test_a_place_that_takes_no_file_is_a_sentence(tmp_path: Path) -> None:
    assert "could not be written" in put_environment(str(tmp_path / "none" / "rollout.env"), TEN)
    assert os.listdir(tmp_path) == []


async def test_its_outcome_is_known_and_reported_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apply, "RETRY_S", (0.02,))
    works, answer = tmp_path / "works", []
    applier = Applier(Apply("", f"test -e {works} || {{ echo no unit; exit 3; }}"), tmp_path / "applied", answer.append)
    applier.start(ZERO)
    assert applier.applied.state == "waiting"
    await until(lambda: applier.applied.state == "failed")
    assert "3" in applier.problem
    assert "no unit" in applier.problem
    assert "may still run with the previous percentage" in applier.problem
    await asyncio.sleep(0.2)
    assert [one.state for one in answer] == ["failed"], "retried, reported once"
    works.touch()
    await until(lambda: applier.applied.state == "done")
    assert applier.problem == ""
    assert [one.state for one in answer] == ["failed", "done"]
    await applier.stop()


def test_without_an_engine_the_file_is_written_and_the_command_run(tmp_path: Path) -> None:
    file, seen = tmp_path / "rollout.env", tmp_path / "seen"
    done = apply.apply_without_engine(Apply(str(file), f"cp {file} {seen}"), ZERO, tmp_path / "applied")
    assert done.state == "done"
    assert "ROLLOUT_PERCENTAGE=0" in seen.read_text()
    failed = apply.apply_without_engine(Apply(str(file), "echo no unit; exit 3"), ZERO, tmp_path / "applied")
    assert failed.state == "failed"
    assert "no unit" in failed.sentence
    nowhere = apply.apply_without_engine(Apply(str(tmp_path / "no" / "file"), "touch ran"), ZERO, tmp_path / "applied")
    assert (nowhere.state, (tmp_path / "ran").exists()) == ("failed", False)
