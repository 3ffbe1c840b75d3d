"""Runs a command line of the plan: in a shell, in a process group of its own, with a time limit, its output kept in bounds.

Ended means ended: the whole group, first asked (SIGTERM), then not (SIGKILL).
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import Struct

HEAD, TAIL = 4_000, 12_000  # characters of output that are kept
GRACE_S = 2.0
LAST_WORDS_S = 0.5


class Run(Struct, frozen=True):
    """How it went. `exit` is None when it was ended, and `ended` says why; below zero it is the signal that ended it."""

    exit: int | None
    ms: float
    output: str
    ended: str = ""

    @property
    def ok(self) -> bool:
        return self.exit == 0

    @property
    def last_line(self) -> str:
        return next((line for line in reversed(self.output.splitlines()) if line.strip()), "")

    @property
    def sentence(self) -> str:
        took = f"{self.ms / 1000:.1f} s" if self.ms >= 1000 else f"{self.ms:.0f} ms"
        if self.exit is None:
            return f"{self.ended} after {took}"
        return f"ended with {self.exit} after {took}"


class BoundedOutput:
    """The beginning and the end of an output, however long it is."""

    def __init__(self) -> None:
        self._head, self._tail, self._dropped = "", "", 0

    def add(self, text: str) -> None:
        room = HEAD - len(self._head)
        self._head += text[:room] if room > 0 else ""
        self._tail += text[max(0, room) :]
        if len(self._tail) > 2 * TAIL:
            self._dropped += len(self._tail) - TAIL
            self._tail = self._tail[-TAIL:]

    @property
    def text(self) -> str:
        tail, dropped = self._tail[-TAIL:], self._dropped + max(0, len(self._tail) - TAIL)
        gap = f"\n[... {dropped} characters left out ...]\n" if dropped else ""
        return self._head + gap + tail


async def run(
    command: str,
    timeout_s: float,
    cwd: Path | None = None,
    environ: Mapping[str, str] | None = None,
    heard: Callable[[str], None] | None = None,
) -> Run:
    """Run a command line to its end or its limit; cancelling the task ends it too. `heard` gets output as it comes."""
    began = time.monotonic()
    kept = BoundedOutput()

    def took() -> float:
        return (time.monotonic() - began) * 1000

    # a pipe of our own: asyncio would wait for its own to close, and a daemon that the command leaves behind keeps it open
    read_end, write_end = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            "/bin/sh", "-c", command,
            stdin=asyncio.subprocess.DEVNULL, stdout=write_end, stderr=write_end,
            start_new_session=True, cwd=cwd, env=dict(environ) if environ is not None else None,
        )  # fmt: skip
    except (OSError, ValueError) as error:
        os.close(read_end)
        return Run(127, took(), str(error))
    finally:
        os.close(write_end)
    reader = asyncio.StreamReader()
    pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(read_end, "rb", buffering=0)
    )

    decoder = codecs.getincrementaldecoder("utf-8")("replace")

    async def listen() -> None:
        while chunk := await reader.read(65536):
            text = decoder.decode(chunk)
            kept.add(text)
            if heard is not None:
                heard(text)

    listening = asyncio.create_task(listen())
    try:
        await asyncio.wait_for(process.wait(), timeout_s)
        await asyncio.wait([listening], timeout=LAST_WORDS_S)
    except TimeoutError:
        await _end(process)
        return Run(None, took(), kept.text, f"no end within {timeout_s:g} s: it was ended")
    except asyncio.CancelledError:
        await asyncio.shield(_end(process))
        raise
    finally:
        listening.cancel()
        pipe.close()
    return Run(process.returncode, took(), kept.text)


async def _end(process: asyncio.subprocess.Process) -> None:
    for number, grace in ((signal.SIGTERM, GRACE_S), (signal.SIGKILL, GRACE_S)):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), grace)
            if number == signal.SIGKILL or not _group_lives(process.pid):
                return


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True
