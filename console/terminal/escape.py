"""Terminal sequences: title, bell, notification, clipboard, and restoring the terminal whatever happens."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.files import write_whole
from engine.text import clean_line

if TYPE_CHECKING:
    import asyncio

ENDS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)  # they end a console; Ctrl+C is a key and sends none
PIXEL_MOUSE_OFF = "\x1b[?1016l"
LEAVES_S = 0.3  # how long a console may take to end after a signal before it is killed
KILLED_S = 0.45  # and then killed
ENTER, LEAVE = "\x1b[?1049h", "\x1b[?1049l"  # the alternate screen
HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
PASTES_MARKED, PASTES_UNMARKED = "\x1b[?2004h", "\x1b[?2004l"  # bracketed paste
ERASING = frozenset({"xterm", "xterm-256color"})  # the most common terminals are not looked up: that loads ncurses
ABANDON = "\x18\x1b[0m"  # ends a truncated sequence
SAVE_TITLE, RESTORE_TITLE = "\x1b[22;2t", "\x1b[23;2t"


def title(text: str) -> str:
    """The sequence that sets the title of the window or tab."""
    return f"\x1b]2;{clean_line(text, 120)}\x07"


def _through_tmux(sequence: str) -> str:
    if not os.environ.get("TMUX"):
        return sequence
    return "\x1bPtmux;" + sequence.replace("\x1b", "\x1b\x1b") + "\x1b\\"


def notification(text: str) -> str:
    """The sequences for a bell and a desktop notification; a terminal without notifications only rings."""
    line = clean_line(text, 200).replace(";", ",")
    if os.environ.get("VTE_VERSION") or os.environ.get("TERM", "").startswith(("rxvt", "foot")):
        wanted = f"\x1b]777;notify;rollout;{line}\x1b\\"
    else:
        wanted = f"\x1b]9;{line}\x1b\\"
    return "\x07" + _through_tmux(wanted)


def copy(text: str, write: Callable[[str], None]) -> str:
    """Copy text to the clipboard; returns a sentence that names the way, because not every terminal allows it."""
    import base64
    import shutil
    import subprocess

    if os.environ.get("TMUX") and shutil.which("tmux"):
        try:
            done = subprocess.run(
                ["tmux", "load-buffer", "-w", "-"], input=text.encode(), capture_output=True, timeout=2, check=False
            )
            if done.returncode == 0:
                return "Copied to tmux's buffer and, if the terminal allows it, to the clipboard (prefix ] pastes)."
        except (OSError, subprocess.TimeoutExpired):
            pass
    write(f"\x1b]52;c;{base64.b64encode(text.encode()).decode()}\x07")
    return "Copied to the clipboard by OSC 52; if the terminal forbids that, use the file."


def keep(text: str, suffix: str = ".txt") -> Path | None:
    """A file in the working or the temporary folder that only its owner can read."""
    import tempfile

    name = time.strftime("rollout-%Y%m%dT%H%M%SZ", time.gmtime()) + suffix
    for folder in (Path.cwd(), Path(tempfile.gettempdir())):
        try:
            write_whole(folder / name, text.encode("utf-8", "replace"), 0o600)
        except OSError:
            continue
        return folder / name
    return None


def size() -> tuple[int, int]:
    """Columns and rows, as Textual's `shutil.get_terminal_size` finds them; importing shutil takes as long as painting
    the first frame."""
    asked = []
    for name in ("COLUMNS", "LINES"):
        try:
            asked.append(int(os.environ[name]))
        except (KeyError, ValueError):
            asked.append(0)
    try:
        there = os.get_terminal_size(sys.__stdout__.fileno() if sys.__stdout__ else 1)
    except (OSError, ValueError):
        there = os.terminal_size((0, 0))
    columns, rows = (a if a > 0 else t for a, t in zip(asked, there, strict=True))
    return columns or 80, rows or 24


def ascii_only() -> bool:
    """Whether this terminal may show nothing but ASCII correctly."""
    if os.environ.get("TERM", "") == "linux":
        return True
    if os.environ.get("LC_ALL", "") in ("C", "POSIX"):
        return True
    return "utf" not in (sys.stdout.encoding or "").lower()


def erases_in_colour() -> bool:
    """Whether erasing uses the current background (terminfo's `bce`). tmux does, though its entry omits it; screen
    doesn't."""
    name = os.environ.get("TERM", "")
    if name in ERASING or name.startswith("tmux") or ("TMUX" in os.environ and "STY" not in os.environ):
        return True
    try:
        import curses
    except ImportError:  # it is not everywhere
        return False
    try:
        curses.setupterm(name, sys.__stderr__.fileno() if sys.__stderr__ else 2)
        return curses.tigetflag("bce") == 1
    except (curses.error, OSError, ValueError):
        return False


def unusable() -> str:
    """Why the console can't run here, or ""."""
    if not sys.stdin.isatty() or not (sys.__stderr__ and sys.__stderr__.isatty()):
        return (
            "The console needs a terminal on standard input and standard error. `rollout status --watch` prints "
            "lines instead."
        )
    if os.environ.get("TERM", "") in ("", "dumb"):
        return "This terminal (TERM=dumb) cannot show a screen. `rollout status --watch` prints lines instead."
    return ""


class Ending:
    """Ends the process within `LEAVES_S` of `begin`, whatever the loop, a thread or the terminal waits for.

    Its thread waits on a pipe from the start: a signal handler must not start threads, because that takes locks which
    the interrupted code may hold.
    """

    def __init__(self, restore: Callable[[], None]) -> None:
        self.begun = False
        self._read, self._write = os.pipe()
        threading.Thread(target=self._watch, args=(restore,), name="ending", daemon=True).start()

    def begin(self, code: int) -> None:
        """Start the countdown; `code` is the exit code if it runs out. The kernel's timer comes last: it also ends a
        process that hangs in Python's own shutdown, when no thread runs any more."""
        self.begun = True
        signal.setitimer(signal.ITIMER_REAL, KILLED_S)
        os.write(self._write, bytes([code]))

    def cancel(self) -> None:
        """Cancel the countdown: the screen has ended cleanly, and what follows may take longer."""
        self.begun = False
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        os.write(self._write, bytes([0]))

    def _watch(self, restore: Callable[[], None]) -> None:
        while True:
            code = os.read(self._read, 1)[0]
            until = time.monotonic() + LEAVES_S
            while code and (left := until - time.monotonic()) > 0:
                if select.select([self._read], [], [], left)[0] and not os.read(self._read, 1)[0]:
                    code = 0
            if code:
                with contextlib.suppress(Exception):
                    restore()
                os._exit(code)


def on_signals(loop: asyncio.AbstractEventLoop, leave: Callable[[int], None], ending: Ending) -> None:
    """SIGTERM, SIGHUP and SIGINT end the console and restore the terminal; the engine keeps running.

    A hung-up terminal is first replaced by /dev/null, because reads and writes would spin or block on it. Python
    handles them, not the event loop, which may be what hangs.
    """

    def end(number: int, _frame: object) -> None:
        ending.begin(128 + number)
        if number == signal.SIGHUP and not alive(0):
            with contextlib.suppress(OSError):
                null = os.open(os.devnull, os.O_RDWR)
                for descriptor in (0, 1, 2):
                    os.dup2(null, descriptor)
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(leave, 128 + number)

    with contextlib.suppress(ValueError):  # not in the main thread: a test
        for number in ENDS:
            signal.signal(number, end)


def alive(descriptor: int) -> bool:
    """Whether a terminal is still there."""
    try:
        termios.tcgetattr(descriptor)
    except (termios.error, OSError, ValueError):
        return False
    return True


def _typed_before(before: list[Any]) -> str:
    """Read what was typed before the first paint, the unfinished line too: it must not act, but it can be reported."""
    raw = [*before[:6], [*before[6]]]
    raw[3] &= ~(termios.ICANON | termios.ECHO)
    raw[6][termios.VMIN], raw[6][termios.VTIME] = 0, 0
    termios.tcsetattr(0, termios.TCSANOW, raw)
    return typed_now()


def keys_only() -> None:
    """Every key arrives as a key, as while the screen is up: the line neither interprets nor translates any."""
    raw = termios.tcgetattr(0)
    raw[0] &= ~(termios.IXON | termios.IXOFF | termios.ICRNL | termios.INLCR | termios.IGNCR)
    raw[3] &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN | termios.ISIG)
    raw[6][termios.VMIN], raw[6][termios.VTIME] = 1, 0
    termios.tcsetattr(0, termios.TCSANOW, raw)


def typed_now() -> str:
    """What waits on the terminal, read and gone."""
    typed = os.read(0, 4096) if select.select([0], [], [], 0)[0] else b""
    termios.tcflush(0, termios.TCIFLUSH)
    return typed.decode("utf-8", "replace")


@contextlib.contextmanager
def left_as_found() -> Iterator[str]:
    """Restore the terminal's settings whatever happens inside; yields what was typed before, which must not act."""
    try:
        before = termios.tcgetattr(0)
        typed = _typed_before(before)
    except (termios.error, OSError):
        yield ""
        return
    try:
        yield typed
    finally:
        with contextlib.suppress(termios.error, OSError, ValueError):
            termios.tcsetattr(0, termios.TCSANOW, before)


def open_terminal() -> int:
    """Our own descriptor of the terminal: O_NONBLOCK applies to the open file, and the shell shares the inherited
    one."""
    error = sys.__stderr__
    assert error is not None
    names = ["/dev/tty"]
    with contextlib.suppress(OSError):
        names.insert(0, os.ttyname(error.fileno()))
    for name in names:
        with contextlib.suppress(OSError):
            return os.open(name, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    return os.dup(error.fileno())  # another user's terminal, as after su: keep the inherited, blocking one
