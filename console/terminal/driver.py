"""Textual's driver for a line that may be slow, stall or hang up: the screen's loop never waits for the terminal.

Textual writes in a thread behind a queue of 30 frames; once that is full, the loop that reads the keys stands still (measured: 11 s
for a terminal that was not read for 12 s), and leaving waits for ever. Here the terminal is opened without blocking: what it does not
take waits in memory, too much of it is thrown away, and the screen is drawn whole when the line takes output again.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import threading
import time
from typing import Any

from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

from console.terminal.diff import Frame
from console.terminal.escape import ABANDON, PIXEL_MOUSE_OFF, erases_in_colour

MOST_WAITING = 64 * 1024  # bytes; several whole screens
LEAVE_S = 0.25  # how long the last bytes may take at the end


class Redraw(Message):
    """The line takes output again after some of it was thrown away: draw everything."""


class PatientDriver(LinuxDriver):
    """`app.line` is this driver while the app runs."""

    def __init__(
        self, app: Any, *, debug: bool = False, mouse: bool = True, size: tuple[int, int] | None = None
    ) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        self._terminal = -1
        self._frame = Frame(erases_in_colour())
        self._waiting = bytearray()
        self._lost = False
        self.gone = False  # hung up
        self._turn = threading.Lock()  # Textual's input thread writes too, when a query is answered
        app.line = self

    @property
    def stalled(self) -> bool:
        """Output waits; painting more now would only be thrown away."""
        return bool(self._waiting)

    def forget(self) -> None:
        """What stands on the terminal is not known any more: a resize, another program's words. The next frames are sent whole."""
        with self._turn:
            self._frame.forget()

    def write(self, data: str) -> None:
        with self._turn:
            if len(self._waiting) > MOST_WAITING:
                self._waiting[:] = ABANDON.encode()
                self._lost = True
                self._frame.forget()
            waited = bool(self._waiting)
            self._waiting += self._frame.diff(data).encode("utf-8", "replace")
            if not waited:
                self._push()
            if self._waiting and not waited:
                self._loop.call_soon_threadsafe(self._loop.add_writer, self._terminal, self._drain)

    def _push(self) -> None:
        """Give the terminal what it takes now. A terminal that is gone takes everything: nobody reads it."""
        try:
            while self._waiting:
                del self._waiting[: os.write(self._terminal, self._waiting)]
        except BlockingIOError:
            return
        except OSError:
            self.gone = True
            self._waiting.clear()

    def _drain(self) -> None:
        with self._turn:
            self._push()
            if self._waiting:
                return
            self._loop.remove_writer(self._terminal)
            lost, self._lost = self._lost, False
        if lost:
            self.send_message(Redraw())

    def start_application_mode(self) -> None:
        """At the start, and again when a stopped console goes on."""
        self._terminal = _open_terminal()
        super().start_application_mode()  # type: ignore[no-untyped-call]

    def stop_application_mode(self) -> None:
        """Frames that wait are of no use any more; what puts the terminal back in order is."""
        with self._turn:
            if self._waiting:
                self._waiting[:] = ABANDON.encode()
            self._frame.forget()
        self.write(PIXEL_MOUSE_OFF)  # Textual 8.2 turns it on and leaves it on
        super().stop_application_mode()

    def close(self) -> None:
        """A line that takes nothing keeps nobody from leaving."""
        until = time.monotonic() + LEAVE_S
        with self._turn:
            self._push()
            while self._waiting and (left := until - time.monotonic()) > 0:
                select.select([], [self._terminal], [], left)
                self._push()
            with contextlib.suppress(RuntimeError, ValueError):
                self._loop.remove_writer(self._terminal)
        super().close()
        with contextlib.suppress(OSError):
            os.close(self._terminal)
        self._terminal = -1


def _open_terminal() -> int:
    """Our own descriptor of the terminal: not to block is a property of the descriptor, and the shell shares the inherited ones."""
    error = sys.__stderr__
    assert error is not None
    names = ["/dev/tty"]
    with contextlib.suppress(OSError):
        names.insert(0, os.ttyname(error.fileno()))
    for name in names:
        with contextlib.suppress(OSError):
            return os.open(name, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    return os.dup(error.fileno())  # another user's terminal, as after su: blocks as everywhere
