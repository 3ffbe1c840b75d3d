"""Applies the percentage to a neighbouring service: an atomically written environment file, and a command.

Runs after the decision is in force here. A failure is shown and retried, and never blocks a rollback.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

from msgspec import Struct

from engine import files, shell
from engine.plan.model import Apply
from engine.store import ownership

T = TypeVar("T")


class Applied(Struct, frozen=True):
    """The state of the neighbouring service. `state` is "" if the plan names none."""

    state: Literal["", "waiting", "done", "failed"] = ""
    sentence: str = ""


RETRY_S = (1.0, 5.0, 15.0, 60.0)


def write_environment(path: Path, lines: Sequence[str]) -> None:
    """Atomic: a reader sees the old lines or the new. OSError when the folder is not writable."""
    text = "\n".join(line.removeprefix("export ") for line in lines) + "\n"
    files.write_whole(path, text.encode(), 0o644)


def put_environment(path: str, lines: Sequence[str]) -> str:
    """Write the file, if one is configured; "" on success, else a sentence."""
    if not path:
        return ""
    try:
        write_environment(Path(path), lines)
    except OSError as error:
        return f"The environment file {path} could not be written ({error.strerror})."
    return ""


async def run_command(apply: Apply) -> str:
    """Run the command, if one is configured; "" on success, else a sentence."""
    if not apply.command:
        return ""
    done = await shell.run(apply.command, apply.timeout_s)
    if done.ok:
        return ""
    last = f": {done.last_line.rstrip('.')}." if done.last_line else ", without output."
    return f"The apply command `{apply.command}` {done.sentence}{last}"


async def _to_the_end(writing: asyncio.Task[T]) -> T:
    """A thread cannot be cancelled: wait for it, so that an older percentage is never written after a newer one."""
    try:
        return await asyncio.shield(writing)
    except asyncio.CancelledError:
        await asyncio.wait([writing])
        raise


def _names(apply: Apply) -> str:
    """What the plan names to be applied; "" for nothing."""
    return " and ".join(filter(None, (apply.env_file, f"`{apply.command}`" if apply.command else "")))


def _note(done: Path, lines: Sequence[str], durable: bool) -> None:
    """Record what was applied last; if that is lost, a start applies once more."""
    with contextlib.suppress(OSError):
        body = "\n".join(lines).encode()
        made = partial(ownership.give, folder=done.parent)
        files.write_whole(done, body, 0o600, made=made, durable=durable)


class Applier:
    """Applies one change at a time, the latest wins: a new one ends the previous command. A failure is retried until it
    succeeds.

    `done` is a file that records what was applied last, so that a starting engine applies what a dead one, or a
    rollback without an engine, could not.
    """

    def __init__(self, apply: Apply, done: Path, changed: Callable[[Applied], None] = lambda _: None) -> None:
        """`changed` is called with each new state: the first failure, and the recovery after it."""
        self._changed = changed
        self.applied = Applied("done", "not changed since the engine started") if _names(apply) else Applied()
        self._apply = apply
        self._done = done
        self._task: asyncio.Task[None] | None = None
        self._writing = asyncio.Lock()
        self._failing = False  # the last attempt failed

    @property
    def problem(self) -> str:
        """What is failing now, and what may still be in force there; "" when all is well."""
        if self.applied.state != "failed":
            return ""
        return f"{self.applied.sentence} The neighbouring service may still run with the previous percentage."

    def start(self, lines: Sequence[str]) -> None:
        if not _names(self._apply):
            return
        self._set(Applied("waiting", f"{_names(self._apply)}: being applied"), tell=False)
        if self._task is not None:
            self._task.cancel()
        self._task = asyncio.create_task(self._apply_until_done(lines, self._task))

    def catch_up(self, lines: Sequence[str]) -> None:
        """At startup, apply the percentage unless it is what was applied last."""
        try:
            if files.read(self._done).content == "\n".join(lines).encode():
                return
        except OSError:
            pass
        self.start(lines)

    async def _apply_until_done(self, lines: Sequence[str], before: asyncio.Task[None] | None) -> None:
        tries = 0
        while True:
            async with self._writing:  # write the new file immediately, even while the previous command is being ended
                put = asyncio.to_thread(put_environment, self._apply.env_file, lines)
                problem = await _to_the_end(asyncio.create_task(put))
            if before is not None:
                await asyncio.wait([before])
            problem = problem or await run_command(self._apply)
            if not problem:
                self._set(Applied("done", f"{_names(self._apply)}: done"), tell=self._failing)
                _note(self._done, lines, durable=False)  # the loop must not wait for a disk
                return
            self._set(Applied("failed", problem), tell=True)
            await asyncio.sleep(RETRY_S[min(tries, len(RETRY_S) - 1)])
            tries += 1

    def _set(self, applied: Applied, tell: bool) -> None:
        news = applied.state != self.applied.state
        self.applied = applied
        if applied.state != "waiting":
            self._failing = applied.state == "failed"
        if news and tell:
            self._changed(applied)

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])


def apply_without_engine(apply: Apply, lines: Sequence[str], done: Path) -> Applied:
    """Apply once, as the current user and without retry, when no engine runs."""
    if not _names(apply):
        return Applied()
    problem = put_environment(apply.env_file, lines) or asyncio.run(run_command(apply))
    if problem:
        return Applied("failed", problem)
    _note(done, lines, durable=True)
    return Applied("done", f"{_names(apply)}: done")
