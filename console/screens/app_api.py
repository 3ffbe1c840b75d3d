"""What a screen needs from the app. Screens import this, never the app: imports go one way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from rich.style import Style

    from console.link import EngineSnapshot, Link
    from console.plan_commands import CommandRunner
    from console.rollback_attempt import RollbackAttempt
    from console.screens.rows import Rows
    from console.series_cache import SeriesCache
    from console.travel import Travel
    from console.widgets.canvas import Canvas
    from engine.client.client import Reply
    from engine.plan.model import Plan
    from engine.view.model import HandoverView


class Extent(Protocol):
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...


class PaintApi(Protocol):
    """What it takes to paint one."""

    link: Link
    series_cache: SeriesCache
    rehearsal: bool

    @property
    def shows_faults(self) -> bool:
        """Whether the screen of faults is there: in a rehearsal, not on a game day."""

    read_only: bool
    ascii_only: bool
    notice: tuple[str, str] | None  # a sentence above the footer and its style

    @property
    def size(self) -> Extent:
        """The terminal's size in cells."""

    since: float  # when the user last looked, in the engine's epoch seconds; 0 = never
    travel: Travel

    @property
    def handover(self) -> HandoverView | None:
        """What the last on-call left; None once it is dismissed."""

    @property
    def snapshot(self) -> EngineSnapshot:
        """The snapshot of the moment that the screens show."""

    @property
    def live(self) -> EngineSnapshot:
        """The snapshot of now, whatever the screens show."""

    @property
    def who(self) -> str: ...

    def limits(self, metric: str) -> list[tuple[float, str]]:
        """Trigger thresholds on a metric, with labels for the plot."""


class AppApi(PaintApi, Protocol):
    plan: Plan
    palette: dict[str, Style]
    notices: Sequence[tuple[float, str, str]]  # recent notices: time, sentence, style
    attempt: RollbackAttempt | None  # the last rollback by this console
    runner: CommandRunner  # of the plan's commands
    texts: dict[str, str]  # drafts, by purpose
    places: dict[str, Rows]  # cursors of lists, kept while their screens are closed
    orders: dict[str, int]  # how each list is sorted, by screen

    @property
    def briefing(self) -> tuple[float, float, bool]:
        """A game day's briefing: how long the shift lasts, how fast the calendar runs, whether it can begin."""

    @property
    def draws(self) -> bool:
        """Whether `draw` reaches a terminal now; else Textual renders."""

    @property
    def stalled(self) -> bool:
        """Whether the line has not taken the last frame yet."""

    def draw(self, canvas: Canvas) -> None:
        """Show a canvas that fills the terminal."""

    def screen_opened(self, screen: str) -> None:
        """A screen is shown: a game day notes it."""

    def say(self, sentence: str, style: str = "bar") -> None:
        """Show a sentence for a few seconds."""

    def fault(self, error: BaseException) -> str:
        """Show a bug of ours, and return its sentence."""

    def refuse_text(self, sentence: str) -> None:
        """Say why no question for a text opens; what is typed on is dropped."""

    def act(self, kind: str, then: Callable[[Reply], None] | None = None, /, **fields: Any) -> None:
        """Send a command and show its answer; `then` gets it."""

    def open_item(self, item: str) -> None:
        """The gate with the cursor on this item of its checklist."""

    def copy(self, text: str) -> str:
        """Copy to the clipboard; returns a sentence that names the way used."""

    def restore(self) -> None:
        """Serve frequency keywords again where the LLM wrote."""

    def push_screen(self, screen: Any, callback: Any = None, /) -> Any: ...
