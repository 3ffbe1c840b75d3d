"""The product as its user meets it: the real `rollout rehearse` in a pseudo-terminal, by keys, read from the screen alone."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Iterator

import pyte
import pytest

ROWS, COLUMNS = 24, 80


class Terminal:
    """A terminal with a person in front of it: what is drawn, and keys."""

    def __init__(self) -> None:
        self.screen = pyte.Screen(COLUMNS, ROWS)
        self.stream = pyte.ByteStream(self.screen)
        command = [sys.executable, "-c", "from console.cli import main; main()", "rehearse", "--speed", "60"]
        self.pid, self.line = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm-256color", LANG="C.UTF-8", COLUMNS=str(COLUMNS), LINES=str(ROWS))
            os.execv(command[0], command)
        fcntl.ioctl(self.line, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))

    def read(self, seconds: float = 0.05) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            ready, _, _ = select.select([self.line], [], [], left)
            if not ready:
                return
            try:
                self.stream.feed(os.read(self.line, 65536))
            except OSError:
                return

    @property
    def text(self) -> str:
        return "\n".join(self.screen.display)

    def until(self, *words: str, seconds: float = 30.0) -> None:
        """Wait for all the words to stand on the screen."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.read()
            if all(word in self.text for word in words):
                return
        pytest.fail(f"not on the screen within {seconds:g} s: {words}\n{self.text}")

    def press(self, *keys: str) -> None:
        """One key after the other, at a person's pace: bursts are taken for a paste."""
        for each in keys:
            os.write(self.line, each.encode())
            self.read(0.15)

    def type(self, text: str) -> None:
        for char in text:
            self.press(char)

    def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        end = time.monotonic() + 20
        while time.monotonic() < end:
            self.read()
            with contextlib.suppress(ChildProcessError):
                if os.waitpid(self.pid, os.WNOHANG)[0]:
                    return
                continue
            return
        os.kill(self.pid, signal.SIGKILL)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    made = Terminal()
    yield made
    made.end()


def override(terminal: Terminal) -> None:
    """Past the gate with a written reason, confirmed by a key of its own."""
    terminal.press("o")
    terminal.until("why past the gate")
    terminal.type("walked by a test")
    terminal.press("\r", "y")


def test_from_preparation_to_a_rollback_by_itself_and_one_by_hand(terminal: Terminal) -> None:
    terminal.until("REHEARSAL", "STAGE 0", "IDLE")
    terminal.press("2")
    terminal.until("GATE SHUT", "checklist")
    override(terminal)
    terminal.until("STAGE 1")
    override(terminal)
    terminal.until("STAGE 2", "10 %")
    terminal.press("1")
    terminal.until("error rate", "ollama-1")
    terminal.press("0")
    terminal.until("faults of the simulated")
    terminal.press("s")
    terminal.until("on ", "Errors")
    terminal.press("1")
    terminal.until("ROLLED BACK", seconds=90)
    terminal.until("REHEARSAL")
    terminal.press("R")
    terminal.until("Effective in", seconds=10)
