"""A command of the plan ends when it must, with all its children, and its output is kept in bounds."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from pathlib import Path

import pytest

from engine import shell
from tests.machine import patience

pytestmark = pytest.mark.anyio


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def gone(pid: int) -> bool:
    for _ in patience(10.0):
        if not alive(pid):
            return True
        await asyncio.sleep(0.02)
    return False


def running(word: str) -> list[int]:
    """Processes whose command line has it."""
    pids = [int(name) for name in os.listdir("/proc") if name.isdecimal()]
    lines: dict[int, str] = {}
    for pid in pids:
        with contextlib.suppress(OSError):  # it ended meanwhile
            lines[pid] = Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    return [pid for pid, line in lines.items() if word in line and alive(pid)]


async def test_pipes_and_redirections_work_and_the_status_is_the_command_s(tmp_path: Path) -> None:
    done = await shell.run("echo one two | wc -w > n.txt; cat n.txt; exit 3", 10, cwd=tmp_path)
    assert (done.exit, done.output.strip()) == (3, "2")
    assert done.sentence.startswith("ended with 3 after ")


async def test_cancelled_at_any_moment_it_leaves_nothing_running(tmp_path: Path) -> None:
    for steps in range(12):  # of the loop: while its pipe is connected, while it starts, while it runs
        task = asyncio.create_task(shell.run(f"sleep 600; true {tmp_path}", 60))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
    assert running(str(tmp_path)) == []


async def test_past_its_limit_the_whole_group_is_ended_even_if_it_will_not_listen(tmp_path: Path) -> None:
    line = "trap '' TERM; echo $$; (trap '' TERM; echo $BASHPID; sleep 60) & sleep 60"
    done = await shell.run(
        f"bash -c '{line.replace(chr(39), chr(39) + chr(92) + chr(39) + chr(39))}'", 0.5, cwd=tmp_path
    )
    assert done.exit is None
    assert "not finished within 0.5 s" in done.sentence
    pids = [int(word) for word in done.output.split() if word.isdigit()]
    assert len(pids) == 2
    for pid in pids:
        assert await gone(pid)


async def test_cancelling_ends_it() -> None:
    output: asyncio.Queue[str] = asyncio.Queue()
    task = asyncio.create_task(shell.run("echo $$; sleep 60", 60, heard=output.put_nowait))
    pid = int(await output.get())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await gone(pid)


async def test_a_daemon_that_keeps_the_pipe_open_does_not_keep_the_command() -> None:
    began = time.monotonic()
    done = await shell.run("sleep 30 & echo $!", 20)
    assert time.monotonic() - began < 15
    assert done.ok
    os.kill(int(done.output), 9)


async def test_a_long_output_keeps_its_beginning_and_its_end() -> None:
    done = await shell.run("seq 1 200000", 30)
    assert len(done.output) < shell.HEAD + shell.TAIL + 100
    assert done.output.startswith("1\n2\n")
    assert done.output.endswith("199999\n200000\n")
    assert "characters left out" in done.output
