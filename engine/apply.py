"""The percentage for a service beside the engine: an environment file, written whole or not at all, and a command.

Runs after the decision is in force here; its failure is shown and tried again, and never blocks a rollback.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import signal
from collections.abc import Sequence
from pathlib import Path

from engine.plan.model import Apply

RETRY_S = (1.0, 5.0, 15.0, 60.0)
OUTPUT_LIMIT = 4000


def write_environment(path: Path, lines: Sequence[str]) -> None:
    """Atomically: whoever reads it sees the old lines or the new. OSError when the folder is not writable."""
    part = path.with_name(path.name + ".part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    with os.fdopen(descriptor, "w") as file:
        file.write("\n".join(line.removeprefix("export ") for line in lines) + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


async def run_command(command: str, timeout_s: float) -> tuple[int | None, str]:
    """(exit status, output); None when it took too long and was ended with its children."""
    try:
        process = await asyncio.create_subprocess_exec(
            *shlex.split(command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        return 127, str(error)
    try:
        output, _ = await asyncio.wait_for(process.communicate(), timeout_s)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        return None, f"no end after {timeout_s:g} s; it was ended"
    return process.returncode, output.decode(errors="replace")[-OUTPUT_LIMIT:]


async def apply_once(apply: Apply, lines: Sequence[str]) -> str:
    """Write and run; "" when both worked, else a sentence."""
    if apply.env_file:
        try:
            await asyncio.to_thread(write_environment, Path(apply.env_file), lines)
        except OSError as error:
            return f"The environment file {apply.env_file} could not be written ({error.strerror})."
    if apply.command:
        status, output = await run_command(apply.command, apply.timeout_s)
        if status != 0:
            last = output.strip().splitlines()[-1:] or [""]
            how = "took too long" if status is None else f"ended with {status}"
            return f"The apply command `{apply.command}` {how}: {last[0]}"
    return ""


class Applier:
    """One at a time, the latest wins; a failure is retried until it works or the percentage changes again."""

    def __init__(self, apply: Apply) -> None:
        self._apply = apply
        self._task: asyncio.Task[None] | None = None
        self.problem = ""

    def start(self, lines: Sequence[str]) -> None:
        if not (self._apply.env_file or self._apply.command):
            return
        if self._task is not None:
            self._task.cancel()
        self._task = asyncio.create_task(self._insist(lines))

    async def _insist(self, lines: Sequence[str]) -> None:
        tries = 0
        while True:
            self.problem = await apply_once(self._apply, lines)
            if not self.problem:
                return
            await asyncio.sleep(RETRY_S[min(tries, len(RETRY_S) - 1)])
            tries += 1

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
