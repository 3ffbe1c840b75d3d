"""Runs a command line of the plan in a shell, in its own process group, with a time limit and bounded output.

It is stopped as a whole group: SIGTERM first, then SIGKILL.
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

HEAD, TAIL = 4_000, 12_000  # characters of output to keep
GRACE_S = 2.0
LAST_WORDS_S = 0.5


class Run(Struct, frozen=True):
    """The result. `exit` is negative if a signal ended the command, None if we stopped it; then `ended` has the
    reason.
    """

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
    """Keeps the beginning and the end of an output of any length."""

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
    """Run a command line to its end or its time limit. Cancelling the task stops it. `heard` gets output as it
    arrives.
    """
    began = time.monotonic()
    kept = BoundedOutput()

    def took() -> float:
        return (time.monotonic() - began) * 1000

    # connected before the command starts: between the start and the `try` below, no cancellation may leave it running
    reader, pipe, write_end = await _pipe()
    try:
        process = await _started(command, write_end, cwd, environ)
    except (OSError, ValueError) as error:
        pipe.close()
        return Run(127, took(), str(error))
    except BaseException:
        pipe.close()
        raise
    finally:
        os.close(write_end)

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
        return Run(None, took(), kept.text, f"stopped, not finished within {timeout_s:g} s,")
    except asyncio.CancelledError:
        await asyncio.shield(_end(process))
        raise
    finally:
        listening.cancel()
        pipe.close()
    return Run(process.returncode, took(), kept.text)


async def _pipe() -> tuple[asyncio.StreamReader, asyncio.ReadTransport, int]:
    """(reader, its transport, the end to write to). Our own: asyncio would wait for its pipe to close, and a daemon
    left by the command keeps it open."""
    read_end, write_end = os.pipe()
    reader = asyncio.StreamReader()
    try:
        pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(read_end, "rb", buffering=0)
        )
    except BaseException:
        os.close(write_end)
        raise
    return reader, pipe, write_end


async def _started(
    command: str, output: int, cwd: Path | None, environ: Mapping[str, str] | None
) -> asyncio.subprocess.Process:
    """The process. Cancelled while it starts, it is ended with its whole group."""
    starting = asyncio.create_task(_start(command, output, cwd, environ))
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        with contextlib.suppress(OSError, ValueError):
            await asyncio.shield(_end(await starting))
        raise


async def _start(
    command: str, output: int, cwd: Path | None, environ: Mapping[str, str] | None
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        "/bin/sh",
        "-c",
        command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
        cwd=cwd,
        env=dict(environ) if environ is not None else None,
    )


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
