"""What every part of the console shares: its link, its view, its notice. See `console.app`."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
import traceback
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from textual import events, on
from textual.timer import Timer
from textual.worker import Worker, WorkerState

from console import themes
from console.app.drawing import Drawing
from console.attention import Attention
from console.link import EngineSnapshot, Link
from console.output import sentence_of
from console.people import People
from console.plan_commands import CommandRun, CommandRunner, command_environment
from console.poller import Poller
from console.recent_choices import RecentChoices
from console.rollback_attempt import RollbackAttempt
from console.screens.page import Page
from console.screens.rows import Rows
from console.series_cache import SeriesCache
from console.terminal import escape
from console.terminal.first_frame import FirstFrame
from console.terminal.type_ahead import KeyGuard
from console.travel import Travel
from console.widgets import words
from engine.plan.model import Plan
from engine.text import clean_line

NOTICES = 50
FAULT_S = 30.0  # how long a bug is shown
SAID_S = 7.0
_FIGURE = re.compile(r"\d+")


class Base(Drawing):
    """State, notices and painting. The parts build on each other, from here up to `Console`."""

    ENABLE_COMMAND_PALETTE = False  # ours shows keys, works in ASCII, and lists the screen's own actions first
    CSS_PATH = Path(__file__).parents[1] / "styles" / "console.tcss"
    ESCAPE_TO_MINIMIZE = False
    _loop_here: asyncio.AbstractEventLoop  # once it is mounted

    def __init__(
        self,
        link: Link,
        plan: Plan,
        *,
        rehearsal: bool = False,
        read_only: bool = False,
        ascii_only: bool = False,
        theme: str = "dark",
        typed_before: Sequence[str] = (),
        first: FirstFrame | None = None,
    ) -> None:
        """`typed_before`: keys typed before the first paint, by Textual's names; they are reported, not acted on.
        `first`: what is on the terminal already; keys typed since then act, once there is a screen to act on."""
        self.first = first
        super().__init__(ascii_only)
        self.link = link
        self.plan = plan
        self.rehearsal = rehearsal
        self.throwaway = rehearsal  # a store that ends with this console
        self.read_only = read_only
        self.palette = themes.palette(theme)
        self.ending: escape.Ending | None = None  # once there is a screen
        self.key_guard = KeyGuard()
        self.key_guard.ready = first is not None and first.seen
        self._held: deque[events.Key] | None = deque() if self.key_guard.ready else None  # until the first paint
        self._unheard = [*typed_before]
        self.poller = Poller(link)
        self.series_cache = SeriesCache(link)
        self.travel = Travel(link, plan)
        self.attention = Attention(self.write)
        self.people = People(link)
        self.notice: tuple[str, str] | None = None
        self.notices: Sequence[tuple[float, str, str]] = ()
        self.since = 0.0
        self.attempt: RollbackAttempt | None = None
        self.runner = CommandRunner(lambda: command_environment(plan, link.folder.path), self._changed_soon, self._ran)
        self.chosen = RecentChoices()  # in the menu
        self.texts: dict[str, str] = {}
        self.places: dict[str, Rows] = {}
        self.orders: dict[str, int] = {}
        self._faults: dict[tuple[object, ...], str] = {}  # sentences, by where they come from
        self.crash = ""
        self.key_at = 0.0  # when a key was last pressed, monotonic seconds
        self._notice_until = 0.0
        self._shown = self.poller.snapshot
        self._present_at = 0.0
        self._painted_at = 0.0
        self._fast: Timer | None = None  # polls more often until a rollback is proven
        self._asked: Worker[None] | None = None  # the command in progress
        self._repaint_due = False
        self._reads: set[asyncio.Task[None]] = set()  # polls in progress
        themes.dress(self, theme)

    @property
    def who(self) -> str:
        return self.link.who

    @property
    def shows_faults(self) -> bool:
        v = self.live.view
        return self.rehearsal or bool(v and v.shows_faults)

    @property
    def briefing(self) -> tuple[float, float, bool]:
        """A game day's briefing: how long the shift lasts, how fast the calendar runs, whether it can begin."""
        return 0.0, 1.0, False

    def screen_opened(self, screen: str) -> None:
        """A screen is shown; only a game day notes it."""

    @property
    def live(self) -> EngineSnapshot:
        return self.poller.snapshot

    @property
    def snapshot(self) -> EngineSnapshot:
        """The snapshot of the moment that the screens show."""
        return self.live if self.travel.at is None else self.travel.snapshot

    @property
    def page(self) -> Page | None:
        """The topmost screen that is not a question."""
        with contextlib.suppress(KeyError):  # before the first screen
            return next((s for s in reversed(self.screen_stack) if isinstance(s, Page)), None)
        return None

    def _leave_by_signal(self, code: int) -> None:
        self.exit(code, return_code=code)

    # -- painting ------------------------------------------------------------------------------------------------------

    def _page_refreshed(self) -> None:
        self._painted_at = time.monotonic()
        page = self.page
        if page is not None and page.is_mounted:
            page.refreshed()

    def _changed_soon(self) -> None:
        """The page's content has changed: repaint soon, once for any number of calls."""
        if not self._repaint_due:
            self._repaint_due = True
            self.set_timer(0.1, self._repaint)

    def _repaint(self) -> None:
        self._repaint_due = False
        if self.page is not None and self.page.is_mounted:
            self.page.repaint()

    # -- what screens use ----------------------------------------------------------------------------------------------

    def say(self, sentence: str, style: str = "bar", seconds: float = SAID_S) -> None:
        """A sentence above the footer for a few seconds."""
        text, before = clean_line(sentence, 400), self.notices[-1][1] if self.notices else ""
        self.notice, self._notice_until = (text, style), time.monotonic() + seconds
        if _FIGURE.sub("", before) != _FIGURE.sub("", text):  # one that counts up is one notice
            self.notices = (*self.notices, (self._notice_at(), text, style))[-NOTICES:]
        if self.page is not None:
            self.page.repaint()

    def fault(self, error: BaseException) -> str:
        """Show a bug of ours; return its sentence. However often it happens, its traceback is written once."""
        last = traceback.extract_tb(error.__traceback__)[-1:]
        place = (type(error), *((frame.filename, frame.lineno) for frame in last))
        if place not in self._faults:
            self._faults[place] = sentence_of(error)
            self.say(self._faults[place], "caution", FAULT_S)
        return self._faults[place]

    @on(Worker.StateChanged)
    def _worker_ended(self, event: Worker.StateChanged) -> None:
        """What runs beside the loop fails on the screen, not in silence."""
        if event.state is WorkerState.ERROR and event.worker.error is not None:
            self.fault(event.worker.error)

    def _notice_at(self) -> float:
        """The moment of a notice, by the clock that the header shows: a rehearsal has its own."""
        v = self.live.view
        return v.at if v is not None and v.rehearsal else time.time()

    def refuse_text(self, sentence: str) -> None:
        """Refuse keys in place of a question for a text: if someone keeps typing without looking, the letters must
        not act."""
        self.key_guard.typed_blind_from(time.monotonic(), text=True)
        self.say(sentence, "caution")

    def copy(self, text: str) -> str:
        """Copy to the clipboard; returns a sentence that names the way used."""
        return escape.copy(text, self.write)

    def limits(self, metric: str) -> list[tuple[float, str]]:
        """Trigger thresholds on a metric, with labels for the plot."""
        return words.limits(self.plan, metric)

    def _ran(self, running: CommandRun) -> None:
        """A plan command has ended."""
