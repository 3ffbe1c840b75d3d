"""The terminal itself: title, bell, notification, clipboard, and leaving it as it was found, whatever happens."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from engine.text import clean_line

PIXEL_MOUSE_OFF = "\x1b[?1016l"
ABANDON = "\x18\x1b[0m"  # ends a sequence that was cut in the middle
SAVE_TITLE, RESTORE_TITLE = "\x1b[22;2t", "\x1b[23;2t"


def title(text: str) -> str:
    """The sequence that names the window or tab."""
    return f"\x1b]2;{clean_line(text, 120)}\x07"


def _through_tmux(sequence: str) -> str:
    if not os.environ.get("TMUX"):
        return sequence
    return "\x1bPtmux;" + sequence.replace("\x1b", "\x1b\x1b") + "\x1b\\"


def notification(text: str) -> str:
    """The sequences for a bell and a desktop notification; a terminal that knows none of them rings."""
    line = clean_line(text, 200).replace(";", ",")
    if os.environ.get("VTE_VERSION") or os.environ.get("TERM", "").startswith(("rxvt", "foot")):
        wanted = f"\x1b]777;notify;rollout;{line}\x1b\\"
    else:
        wanted = f"\x1b]9;{line}\x1b\\"
    return "\x07" + _through_tmux(wanted)


def copy(text: str, write: Callable[[str], None]) -> str:
    """Put text on the clipboard; the sentence says by which way, for not every terminal lets it through."""
    if os.environ.get("TMUX") and shutil.which("tmux"):
        try:
            done = subprocess.run(
                ["tmux", "load-buffer", "-w", "-"], input=text.encode(), capture_output=True, timeout=2, check=False
            )
            if done.returncode == 0:
                return "Copied to tmux's buffer and, where the terminal allows it, to the clipboard (prefix ] pastes)."
        except (OSError, subprocess.TimeoutExpired):
            pass
    write(f"\x1b]52;c;{base64.b64encode(text.encode()).decode()}\x07")
    return "Copied to the clipboard by OSC 52; if the terminal does not allow that, the file has it."


def keep(text: str, suffix: str = ".txt") -> Path | None:
    """A file in the working or the temporary folder that only its owner can read."""
    name = time.strftime("rollout-%Y%m%dT%H%M%SZ", time.gmtime()) + suffix
    for folder in (Path.cwd(), Path(tempfile.gettempdir())):
        try:
            descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        except OSError:
            continue
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        return folder / name
    return None


def write_traceback(error: BaseException) -> str:
    """The whole story in a 0600 file, without locals; its name, or "" when no file could be written."""
    try:
        descriptor, name = tempfile.mkstemp(prefix="rollout-", suffix=".traceback", text=True)
        with os.fdopen(descriptor, "w") as file:
            traceback.print_exception(error, file=file)
    except OSError:
        return ""
    return name


def ascii_only() -> bool:
    """Whether this terminal cannot be trusted with more than ASCII."""
    if os.environ.get("TERM", "") == "linux":
        return True
    if os.environ.get("LC_ALL", "") in ("C", "POSIX"):
        return True
    return "utf" not in (sys.stdout.encoding or "").lower()


def erases_in_colour() -> bool:
    """Whether what is erased takes the current background (terminfo's `bce`). tmux does and its entry does not say so; screen does not."""
    name = os.environ.get("TERM", "")
    if name.startswith("tmux") or ("TMUX" in os.environ and "STY" not in os.environ):
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
    """Why no screen can be drawn here, or ""."""
    if not sys.stdin.isatty() or not (sys.__stderr__ and sys.__stderr__.isatty()):
        return "The console needs a terminal on standard input and standard error. `rollout status --watch` prints lines instead."
    if os.environ.get("TERM", "") in ("", "dumb"):
        return "This terminal (TERM=dumb) cannot show a screen. `rollout status --watch` prints lines instead."
    return ""


def on_signals(loop: asyncio.AbstractEventLoop, leave: Callable[[int], None]) -> None:
    """SIGTERM and SIGHUP end the console and restore the terminal; the engine goes on.

    A hung-up line is put to /dev/null first: Textual's writer would otherwise block for ever on a terminal that is gone, and its
    reader would spin on it.
    """

    def hang_up(_number: int, _frame: object) -> None:
        try:
            termios.tcgetattr(0)
        except (termios.error, OSError):
            with contextlib.suppress(OSError):
                null = os.open(os.devnull, os.O_RDWR)
                for descriptor in (0, 1, 2):
                    os.dup2(null, descriptor)
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(leave, 128 + signal.SIGHUP)

    with contextlib.suppress(ValueError, NotImplementedError, RuntimeError):  # not in the main thread: a test
        loop.add_signal_handler(signal.SIGTERM, leave, 128 + signal.SIGTERM)
        signal.signal(signal.SIGHUP, hang_up)


def _typed_before(before: list[Any]) -> str:
    """Take from the line what was typed before, the unfinished line too: nobody saw what it would do, but what it was can be told."""
    raw = [*before[:6], [*before[6]]]
    raw[3] &= ~(termios.ICANON | termios.ECHO)
    raw[6][termios.VMIN], raw[6][termios.VTIME] = 0, 0
    termios.tcsetattr(0, termios.TCSANOW, raw)
    typed = os.read(0, 4096) if select.select([0], [], [], 0)[0] else b""
    termios.tcflush(0, termios.TCIFLUSH)
    return typed.decode("utf-8", "replace")


@contextlib.contextmanager
def left_as_found() -> Iterator[str]:
    """Put the line's settings back whatever happens inside; what was typed before, and is not taken."""
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
