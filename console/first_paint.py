"""The first frame, drawn before the screen's library is imported, which takes most of the start: whoever types
`rollout` reads the figures meanwhile. The library then continues on the same frame.

Keys pressed while it is up are read with their times and act once the screen is ready, because whoever pressed them saw
it.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import termios
import time
from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

from rich.color import ColorSystem
from rich.style import Style

from console import last_visit, themes
from console.link import EngineSnapshot, Link
from console.people import People
from console.screens.live import Live
from console.series_cache import SeriesCache
from console.terminal import escape
from console.terminal.diff import Frame
from console.terminal.first_frame import FirstFrame
from console.terminal.first_keys import FirstKeys
from console.travel import Travel
from console.widgets import words
from console.widgets.canvas import Canvas
from engine.plan.model import Plan
from engine.store.folder import StoreError
from engine.view.model import HandoverView

START = escape.ENTER + escape.HIDE_CURSOR + escape.PASTES_MARKED
END = escape.PASTES_UNMARKED + escape.SHOW_CURSOR + escape.LEAVE


class Cells(NamedTuple):
    """The terminal's size."""

    width: int
    height: int


class PaintContext:
    """What a screen needs from the app to be painted once."""

    notice: tuple[str, str] | None = None

    def __init__(self, link: Link, plan: Plan, *, rehearsal: bool, read_only: bool, ascii_only: bool) -> None:
        self.link, self.rehearsal, self.read_only, self.ascii_only = link, rehearsal, read_only, ascii_only
        self.live, self.size = link.poll(), Cells(*escape.size())
        self.series_cache = SeriesCache(link)
        self.travel = Travel(link, plan)
        self.since = 0.0 if rehearsal else last_visit.recall(link)
        self._plan = plan

    @property
    def snapshot(self) -> EngineSnapshot:
        return self.live

    @property
    def who(self) -> str:
        return self.link.who

    @property
    def shows_faults(self) -> bool:
        return bool(self.live.view and self.live.view.shows_faults)

    @property
    def handover(self) -> HandoverView | None:
        return People(self.link).handover(self.live.view) if self.live.view is not None else None

    def limits(self, metric: str) -> list[tuple[float, str]]:
        return words.limits(self._plan, metric)


class FirstPaint(Live):
    def __init__(self, onlooker: PaintContext) -> None:
        self._onlooker = onlooker

    @property
    def console(self) -> PaintContext:
        return self._onlooker


@contextlib.contextmanager
def shown(onlooker: PaintContext, theme: str) -> Iterator[FirstFrame | None]:
    """Draw it; None where there is nothing to draw yet. The screen that takes it restores the terminal when it ends; if
    none does, this does. Runs in the main thread, which signals interrupt."""
    snapshot, size = onlooker.live, onlooker.size
    if snapshot.view is None or snapshot.liveness.state == "starting":
        yield None
        return
    try:
        canvas = FirstPaint(onlooker).canvas(*size)
    except (StoreError, OSError):  # the screen reads it again and reports that
        yield None
        return
    frame = Frame(escape.erases_in_colour())
    system = None if theme == "mono" else themes.color_system()
    out = START + frame.diff(text(canvas, themes.palette(theme), system))
    first = FirstFrame(frame, size)
    handlers = {number: signal.signal(number, first.leave) for number in escape.ENDS}
    try:
        escape.keys_only()
        if not _written(out.encode("utf-8", "replace")):
            frame.forget()
            first.seen = False
        first.typed = escape.typed_now()
        first.keys = FirstKeys(0)
        yield first
    finally:
        if first.keys is not None:
            first.keys.stop()
        if not first.taken:
            _written((escape.ABANDON + END).encode())
            with contextlib.suppress(termios.error):
                termios.tcflush(0, termios.TCIFLUSH)  # not for the shell
        for number, handler in handlers.items():
            if signal.getsignal(number) == first.leave:
                signal.signal(number, handler)


def text(canvas: Canvas, palette: dict[str, Style], system: ColorSystem | None) -> str:
    """The canvas as a terminal takes it, in the sequences that Textual writes."""
    plain = palette["text"]
    out = []
    for y, (chars, styles) in enumerate(zip(canvas.chars, canvas.styles, strict=True)):
        out.append(f"\x1b[{y + 1};1H")
        x = 0
        for name, run in groupby(styles):
            end = x + len(list(run))
            out.append(palette.get(name, plain).render("".join(chars[x:end]), color_system=system))
            x = end
    return "".join(out)


def _written(data: bytes) -> bool:
    """Whether the terminal took all of it within a moment: a stalled line must not stop the start."""
    until, terminal = time.monotonic() + escape.LEAVES_S, escape.open_terminal()
    try:
        while data and select.select([], [terminal], [], max(0.0, until - time.monotonic()))[1]:
            with contextlib.suppress(BlockingIOError):
                data = data[os.write(terminal, data) :]
    except OSError:
        return False
    finally:
        os.close(terminal)
    return not data
