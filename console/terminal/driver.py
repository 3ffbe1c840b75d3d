"""A Textual driver for lines that may be slow, stall or hang up: the event loop never waits for the terminal.

Textual writes in a thread behind a queue of 30 frames; once that is full, the loop that reads the keys blocks
(measured: 11 s for a terminal that was not read for 12 s), and quitting waits forever. This driver opens the terminal
non-blocking: pending output waits in memory, excess output is dropped, and the screen is redrawn whole when the line
accepts output again.
"""

from __future__ import annotations

import contextlib
import math
import os
import select
import selectors
import signal
import termios
import threading
import time
from codecs import getincrementaldecoder
from collections.abc import Callable
from itertools import zip_longest
from typing import Any

from textual import constants
from textual._parser import ParseError
from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

from console.terminal import escape
from console.terminal.diff import CellStyles, Frame, Rows
from console.terminal.escape import ABANDON, ENTER, PIXEL_MOUSE_OFF, RESTORE_TITLE, Ending, alive, erases_in_colour
from console.terminal.first_frame import FirstFrame

MOST_WAITING = 64 * 1024  # bytes; several whole screens
LEAVE_S = 0.15  # how long the last bytes may take on exit
LEAVE = (  # what Textual writes on exit, and the title
    "\x1b[?2004l\x1b[?7h\x1b[?2048l\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l"
    + PIXEL_MOUSE_OFF
    + "\x1b[<u\x1b[?1049l\x1b[?25h"
    "\x1b[?1004l" + RESTORE_TITLE
)
CONTINUED_S = 0.2  # a SIGTSTP this soon after a SIGCONT is the one it answered: no one presses Ctrl-Z so fast
ANSWERS = ("\x1b[?2048h", "\x1b[?1016h")  # modes that Textual's input thread sets when the terminal answers a query


class Redraw(Message):
    """The line accepts output again after some was dropped: draw everything."""


class PatientDriver(LinuxDriver):
    """`app.terminal` is this driver while the app runs."""

    def __init__(
        self, app: Any, *, debug: bool = False, mouse: bool = True, size: tuple[int, int] | None = None
    ) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        self._terminal = -1
        self._first: FirstFrame | None = app.first  # on the screen already: what equals it is not sent
        self._first_keys = self._first.keys if self._first is not None else None
        self._frame = self._first.frame if self._first is not None else Frame(erases_in_colour())
        self._waiting = bytearray()
        self._lost = False
        self.gone = False  # hung up
        self.ended: Callable[[], None] = lambda: None  # called in another thread when the terminal is gone
        self.ending: Ending | None = None
        self._paused = False  # by SIGTSTP, after which SIGCONT starts the screen again
        self._pausing = False  # on the way there
        self._continued = -math.inf  # when SIGCONT last came, monotonic seconds
        self._left = False  # the modes are reset; a late answer must not set them again
        self._turn = threading.RLock()  # Textual's input thread writes too; a signal may stop the screen amid a write
        app.terminal = self

    @property
    def stalled(self) -> bool:
        """Whether output is pending; more would only be dropped."""
        return bool(self._waiting)

    def forget(self) -> None:
        """The terminal's content is unknown after a resize or another program's output. The next frames are sent
        whole."""
        with self._turn:
            self._frame.forget()

    def write(self, data: str) -> None:
        if self._first is not None and data == ENTER:
            first, self._first = self._first, None
            if first.take():
                return  # it would clear the first frame
        with self._turn:
            if not (self._left and data in ANSWERS):
                self._send(lambda: self._frame.diff(data))

    def draw(self, rows: Rows, styles: CellStyles, rest: tuple[int, int], atomic: bool) -> None:
        """Show these rows on the whole screen, past Textual's compositor; see `Frame.draw`."""
        with self._turn:
            if not self._left:
                self._send(lambda: self._frame.draw(rows, styles, rest, atomic))

    def _send(self, made: Callable[[], str]) -> None:
        if len(self._waiting) > MOST_WAITING:
            self._waiting[:] = ABANDON.encode()
            self._lost = True
            self._frame.forget()
        waited = bool(self._waiting)
        self._waiting += made().encode("utf-8", "replace")
        if not waited:
            self._push()
        if self._waiting and not waited:
            self._loop.call_soon_threadsafe(self._loop.add_writer, self._terminal, self._drain)

    def _push(self) -> None:
        """Write what the terminal accepts now. A terminal that is gone swallows everything."""
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

    # -- what comes in -------------------------------------------------------------------------------------------------

    def run_input_thread(self) -> None:
        """Like Textual's, but it stops at end of file: a terminal that is gone yields empty reads forever."""
        parser, decode = XTermParser(self._debug), getincrementaldecoder("utf-8")("replace").decode
        with selectors.SelectSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            self._process_first_keys(parser, decode)
            while not self.exit_event.is_set():
                if selector.select(0.1):
                    try:
                        data = os.read(self.fileno, 4096)
                    except OSError:
                        data = b""
                    if not data:
                        self._hung_up()
                        return
                    for event in parser.feed(decode(data)):
                        self.process_message(event)
                for event in parser.tick():
                    self.process_message(event)
        with contextlib.suppress(EOFError, ParseError):
            for _ in parser.feed(""):
                pass

    def _process_first_keys(self, parser: XTermParser, decode: Callable[[bytes], str]) -> None:
        """What was typed under the first frame, with the times at which it was typed."""
        reads = self._first_keys.stop() if self._first_keys is not None else []
        for read, following in zip_longest(reads, reads[1:]):
            incoming = [*parser.feed(decode(read.data))]
            if following and read.data.endswith(b"\x1b") and following.at - read.at > constants.ESCAPE_DELAY:
                time.sleep(constants.ESCAPE_DELAY)  # the parser's clock: Escape alone, no key with Alt
                incoming += parser.tick()
            for event in incoming:
                event.time = read.at
                self.process_message(event)

    def _hung_up(self) -> None:
        self.gone = True
        self.ended()

    # -- stopped and continued -----------------------------------------------------------------------------------------

    def _sigtstp_application(self, *_: object) -> None:
        """Runs on the loop, after the handlers of signals that came at the same time: Python calls them by number,
        SIGTSTP last, and one may interrupt another."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._pause)

    def _pause(self) -> None:
        """Stop only if a SIGCONT is still to come: not on a terminal that is gone, not when one came just now or as the
        screen was left, and not once the console ends. Nothing would wake the process."""
        if self.gone or not alive(self.fileno):
            self._hung_up()
            return
        if self._leaves or time.monotonic() - self._continued < CONTINUED_S:
            return
        self._paused = self._pausing = True
        if self._auto_restart:
            self.suspend_application_mode()
            self._must_signal_resume = True
        if not alive(self.fileno):
            self._hung_up()
        elif self._pausing and not self._leaves:
            self._pausing = False
            os.kill(os.getpid(), signal.SIGSTOP)
        elif not self._leaves:
            self._sigcont_application()

    @property
    def _leaves(self) -> bool:
        return self.ending is not None and self.ending.begun

    def _sigcont_application(self, *_: object) -> None:
        """The kernel sends SIGCONT with a closed terminal's SIGHUP, and anyone may send one. Restart the screen only if
        it was stopped; otherwise two threads would read the keys, and one would never end."""
        self._continued = time.monotonic()
        if self.gone or self._leaves:
            return
        if self._pausing:  # this interrupts `_pause`, which starts the screen again
            self._pausing = False
        elif self._paused and self._auto_restart:
            self._paused = False
            super()._sigcont_application()
        else:  # stopped by SIGSTOP, which cannot be caught: other programs may have written to the terminal
            self._loop.call_soon_threadsafe(self._restart)

    def _restart(self) -> None:
        if not alive(self.fileno):
            self._hung_up()
        elif self._key_thread is not None and self._key_thread.is_alive() and self._auto_restart:
            self.suspend_application_mode()
            self.resume_application_mode()
            self.send_message(Redraw())

    def restore_now(self) -> None:
        """Restore the terminal without waiting for anything, as the process ends."""
        if self._terminal < 0:
            return
        self._left = True
        with contextlib.suppress(OSError):
            os.write(self._terminal, ABANDON.encode() + LEAVE.encode())
        if self.attrs_before is not None:
            with contextlib.suppress(termios.error, OSError):
                termios.tcsetattr(self.fileno, termios.TCSANOW, self.attrs_before)

    def start_application_mode(self) -> None:
        """Runs at the start, and again when a stopped console resumes."""
        self._left = False
        self._terminal = escape.open_terminal()
        super().start_application_mode()  # type: ignore[no-untyped-call]

    def stop_application_mode(self) -> None:
        """Drop pending frames; keep what restores the terminal."""
        with self._turn:
            self._left = True
            if self._waiting:
                self._waiting[:] = ABANDON.encode()
            self._frame.forget()
        self.write(PIXEL_MOUSE_OFF)  # Textual 8.2 turns this on and leaves it on
        super().stop_application_mode()

    def close(self) -> None:
        """Wait briefly for pending output: a stalled line must not prevent quitting."""
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
