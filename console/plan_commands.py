"""Runs the plan's command lines from the console, as the current user, in the console's working folder.

One at a time. A command keeps running when its screen is left, and ends with the console.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from engine import shell
from engine.plan.model import MonitoringCommand, Plan
from engine.text import clean_block

SHOWN = 20_000
DEFAULT_PORT = 8080
ADDRESS = re.compile(r"http://(?:[0-9A-Za-z.-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}")


def localized(command: str, plan: Plan, address: str) -> str:
    """The line with the plan's port replaced by this engine's own address, because a rehearsal may use another port.

    The address comes from the store, which others may write: anything beyond an address would run in the shell.
    """
    if not ADDRESS.fullmatch(address):
        return command
    port = plan.http.port or DEFAULT_PORT  # 0 means any free port; the plan's lines then use the default
    for host in ("localhost", "127.0.0.1"):
        command = command.replace(f"http://{host}:{port}/", f"{address}/")
    return command


def command_environment(plan: Plan, store: Path, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a command: `rollout` is this installation, with this plan and this store."""
    variables = dict(os.environ if environ is None else environ)
    here = shutil.which("rollout", path=str(Path(sys.executable).parent))
    if here is not None:
        variables["PATH"] = f"{Path(here).parent}{os.pathsep}{variables.get('PATH', os.defpath)}"
    if plan.source:
        variables["ROLLOUT_PLAN"] = str(Path(plan.source).resolve())
    variables["ROLLOUT_STORE"] = str(store.resolve())
    return variables


class CommandRun:
    """One run: `output` grows; `done` is None until it ends."""

    def __init__(self, command: MonitoringCommand, line: str) -> None:
        self.command = command
        self.line = line
        self.done: shell.Run | None = None
        self.kept = shell.BoundedOutput()
        self._began = asyncio.get_running_loop().time()

    @property
    def output(self) -> str:
        return clean_block(self.kept.text, SHOWN)

    @property
    def seconds(self) -> float:
        return self.done.ms / 1000 if self.done else asyncio.get_running_loop().time() - self._began


class CommandRunner:
    """Calls `changed` when there is something new to show, `ended` once per run."""

    def __init__(
        self, environ: Callable[[], Mapping[str, str]], changed: Callable[[], None], ended: Callable[[CommandRun], None]
    ) -> None:
        self.last: CommandRun | None = None
        self.folder: Path | None = None  # where commands run, if not in this console's working folder
        self._environ = environ
        self._changed = changed
        self._ended = ended
        self._task: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        return self.last is not None and self.last.done is None

    def start(self, command: MonitoringCommand, line: str) -> None:
        self.last = CommandRun(command, line)
        self._task = asyncio.create_task(self._run(self.last))

    async def _run(self, running: CommandRun) -> None:
        def heard(text: str) -> None:
            running.kept.add(text)
            self._changed()

        limit = running.command.timeout_s
        try:
            running.done = await shell.run(running.line, limit, self.folder, self._environ(), heard)
        except asyncio.CancelledError:
            running.done = shell.Run(None, running.seconds * 1000, running.kept.text, "cancelled")
        self._ended(running)

    def cancel(self) -> None:
        if self._task is not None and self.busy:
            self._task.cancel()
