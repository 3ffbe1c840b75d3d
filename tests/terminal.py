"""A terminal with a person in front of it: a real pseudo-terminal whose output is kept with its times, that answers what programs
ask terminals, and whose keys are bytes on the line."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyte

from tests import warm
from tests.machine import patience

ROLLOUT = (sys.executable, "-c", "from console.cli import main; main()")
ROOT = Path(__file__).parent.parent

# what a modern terminal answers when queried for its name, which modes it knows, and its colours
ANSWERS = (
    (re.compile(rb"\x1b\[0?c"), b"\x1b[?62;22c"),
    (re.compile(rb"\x1b\[>0?c"), b"\x1b[>41;390;0c"),
    (re.compile(rb"\x1b\[\?2026\$p"), b"\x1b[?2026;2$y"),
    (re.compile(rb"\x1b\[\?2048\$p"), b"\x1b[?2048;2$y"),
    (re.compile(rb"\x1b\[\?u"), b"\x1b[?0u"),
    (re.compile(rb"\x1b\]10;\?(?:\x07|\x1b\\)"), b"\x1b]10;rgb:d3d3/dada/e6e6\x1b\\"),
    (re.compile(rb"\x1b\]11;\?(?:\x07|\x1b\\)"), b"\x1b]11;rgb:1010/1414/1b1b\x1b\\"),
)


class Chunk(NamedTuple):
    at: float  # monotonic seconds
    data: bytes


class Terminal:
    """Runs a program on its own pseudo-terminal. `answers=False`: a terminal that answers nothing, as an old one."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        rows: int = 24,
        columns: int = 80,
        environ: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        answers: bool = True,
        stderr: Path | None = None,
    ) -> None:
        self.rows, self.columns = rows, columns
        self.answers = answers
        self._reports_sizes = False  # in the line itself, as the program asked for
        self.chunks: list[Chunk] = []
        self.status: int | None = None  # as from waitpid
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self._fed = 0
        self._text: str | None = None  # of the screen as fed
        line, child_line = pty.openpty()
        fcntl.ioctl(child_line, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.line_settings = termios.tcgetattr(child_line)  # the line's settings, to compare with afterwards
        env = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "PYTHONPATH": str(ROOT)}
        env |= {
            name: os.environ[name] for name in ("XDG_CONFIG_HOME",) if name in os.environ
        }  # of the test, not the user's
        env |= {"TERM": "xterm-256color", "LANG": "C.UTF-8", **(environ or {})}
        self.began = time.monotonic()
        error = child_line if stderr is None else os.open(stderr, os.O_WRONLY | os.O_CREAT, 0o600)
        files = (child_line, child_line, error)
        self.pid = warm.start_on_terminal(command, env, str(cwd or Path.cwd()), files) or os.fork()
        if self.pid == 0:
            os.setsid()
            fcntl.ioctl(child_line, termios.TIOCSCTTY, 0)
            for number, file in enumerate(files):
                os.dup2(file, number)
            os.closerange(3, 64)
            if cwd is not None:
                os.chdir(cwd)
            os.execve(command[0], list(command), env)
        if error != child_line:
            os.close(error)
        self.line, self.child_line = line, child_line

    # -- what comes out ----------------------------------------------------------------------------------------------------

    def read(self, seconds: float = 0.05) -> bool:
        """What comes within `seconds`, at least one look; whether anything came."""
        end = time.monotonic() + seconds
        came = False
        while True:
            ready, _, _ = select.select([self.line], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                return came
            try:
                data = os.read(self.line, 65536)
            except OSError:
                return came
            came = True
            self.chunks.append(Chunk(time.monotonic(), data))
            if self.answers:
                self._answer(data)
            if time.monotonic() >= end:
                return came

    def _answer(self, data: bytes) -> None:
        if b"\x1b[?2048h" in data:
            self._reports_sizes = True
            self._report_size()
        for asked, answer in ANSWERS:
            for _ in asked.findall(data):
                with contextlib.suppress(OSError):
                    os.write(self.line, answer)

    @property
    def raw(self) -> bytes:
        return b"".join(chunk.data for chunk in self.chunks)

    @property
    def text(self) -> str:
        """The text on the screen."""
        if self._fed < len(self.chunks) or self._text is None:
            for chunk in self.chunks[self._fed :]:
                self._stream.feed(chunk.data)
            self._fed = len(self.chunks)
            self._text = "\n".join(self._screen.display)
        return self._text

    def shows(self, *words: str, seconds: float = 30.0) -> bool:
        """Whether all the words come to be on the screen within `seconds` of a quiet machine."""
        for _ in patience(seconds):
            if all(word in self.text for word in words):
                return True
            if self.ended(0.05) and not self.read(0.5):  # nothing more will come
                break
        return all(word in self.text for word in words)

    def until(self, *words: str, seconds: float = 30.0) -> None:
        assert self.shows(*words, seconds=seconds), f"not on the screen within {seconds:g} s: {words}\n{self.text}"

    def until_keys_act(self) -> None:
        """Keys that come before the first paint are dropped; right after it the console sets the title."""
        self.wrote(b"\x1b]2;")

    def until_gone(self, word: str, seconds: float = 30.0) -> None:
        for _ in patience(seconds):
            if word not in self.text:
                return
            self.read()
        raise AssertionError(f"still on the screen after {seconds:g} s: {word}\n{self.text}")

    def wrote(self, sequence: bytes, seconds: float = 30.0) -> None:
        for _ in patience(seconds):
            if sequence in self.raw:
                return
            self.read()
        raise AssertionError(f"it did not write {sequence!r} within {seconds:g} s")

    # -- what goes in ------------------------------------------------------------------------------------------------------

    def press(self, *keys: str) -> None:
        """One key after the other, at a person's pace: bursts look like a paste."""
        for item in keys:
            self.send(item)
            self.read(0.1)

    def type(self, text: str) -> None:
        for char in text:
            self.press(char)

    def send(self, text: str) -> None:
        """All at once, as a paste or a lump of a slow line."""
        os.write(self.line, text.encode())

    def resize(self, columns: int, rows: int) -> None:
        self.text  # noqa: B018  what came before belongs to the old size
        self.rows, self.columns = rows, columns
        self._screen.resize(rows, columns)
        self._text = None
        fcntl.ioctl(self.line, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        if self._reports_sizes:
            self._report_size()

    def _report_size(self) -> None:
        self.send(f"\x1b[48;{self.rows};{self.columns};{self.rows * 16};{self.columns * 8}t")

    # -- its end -----------------------------------------------------------------------------------------------------------

    def ended(self, seconds: float = 0.0) -> bool:
        """Whether the program ends within `seconds`; all that it wrote has been read then."""
        for _ in patience(seconds):
            if self.status is None:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                self.status = status if pid else None
            if self.status is not None:
                while self.read(0.0):  # a line gives what it holds in pieces
                    pass
                return True
            self.read(0.01)
        return False

    def leaves(self) -> None:
        """q until the console has ended: a key pressed while the screen is still coming does nothing."""
        for _ in range(20):
            self.press("q")
            if self.ended(2.0):
                return
        assert self.ended(30.0), self.text

    def hang_up(self) -> None:
        """The line is gone: both ends that this side holds are closed."""
        for descriptor in (self.line, self.child_line):
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def close(self) -> None:
        """SIGTERM, then SIGKILL; nothing of it stays."""
        for number, seconds in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
            if self.status is None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.pid, number)
                with contextlib.suppress(OSError, ValueError):
                    self.ended(seconds)
        self.hang_up()

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class SlowTerminal(Terminal):
    """At the far end of a bad line: `rate` bytes a second reach it, `delay` seconds after they were written, and its keys as late."""

    def __init__(self, command: Sequence[str], *, rate: float = 4000.0, delay: float = 0.15, **more: Any) -> None:
        super().__init__(command, **more)
        self._rate, self._delay = rate, delay
        self._free_at = time.monotonic()  # when the line has carried what it has
        self._coming: list[Chunk] = []
        self._going: list[tuple[float, bytes]] = []

    def read(self, seconds: float = 0.05) -> bool:
        end, before = time.monotonic() + seconds, len(self.chunks)
        while True:
            self._carry()
            if time.monotonic() >= end:
                return len(self.chunks) > before
            time.sleep(0.005)

    def _carry(self) -> None:
        now = time.monotonic()
        while self._going and self._going[0][0] <= now:
            os.write(self.line, self._going.pop(0)[1])
        if self._free_at <= now and select.select([self.line], [], [], 0)[0]:
            with contextlib.suppress(OSError):
                data = os.read(self.line, 100)
                self._free_at = max(self._free_at, now - 0.1) + len(data) / self._rate
                self._coming.append(Chunk(now + self._delay, data))
        while self._coming and self._coming[0].at <= now:
            chunk = self._coming.pop(0)
            self.chunks.append(chunk)
            if self.answers:
                self._answer(chunk.data)

    def send(self, text: str) -> None:
        self._going.append((time.monotonic() + self._delay, text.encode()))
