"""The base of every screen: a sheet painted from the latest sight, a header, a footer, and described keys."""

from __future__ import annotations

from typing import ClassVar, cast

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen

from console.explain import Explained
from console.link import Sight
from console.screens.app_api import AppApi
from console.terminal.type_ahead import ACTING
from console.travel import STEPS
from console.widgets import blocks, curves, waiting
from console.widgets.blocks import Area, Hint
from console.widgets.canvas import Canvas, fit, wrapped
from console.widgets.sheet import Sheet
from engine.view.model import View

__all__ = ["LIST_KEYS", "Hint", "Page", "key", "shown"]


class Page(Screen[None]):
    """A screen with a number. Subclasses paint below the header and above the footer."""

    NUMBER: ClassVar[int] = 0
    TITLE: ClassVar[str] = ""
    ABOUT: ClassVar[str] = ""  # one line for the help
    TRAVELS: ClassVar[bool] = (
        False  # through time: shows the moment that the cursor is at; other screens always show now
    )
    ENTER: ClassVar[str] = ""  # the action of Enter on a list's row, and of a click on the selected one
    ESCAPE_TO_MINIMIZE = False
    AUTO_FOCUS = ""
    DEFAULT_CSS = "Page { layout: vertical; }"

    @property
    def console(self) -> AppApi:
        return cast(AppApi, self.app)

    @property
    def sight(self) -> Sight:
        return self.console.sight if self.TRAVELS else self.console.live

    def compose(self) -> ComposeResult:
        sheet = Sheet(id="sheet")
        width, height = self.app.size
        if width and height:
            sheet.show(self.canvas(width, height), self.console.palette)
        yield sheet
        yield from self.more()

    def more(self) -> ComposeResult:
        """Widgets beside the sheet, usually an input."""
        yield from ()

    @classmethod
    def bindings(cls) -> list[Binding]:
        """This screen's described keys, its own first, without Textual's."""
        kinds = [kind for kind in cls.__mro__ if issubclass(kind, Page)]
        return [
            b for kind in kinds for b in kind.__dict__.get("BINDINGS", ()) if isinstance(b, Binding) and b.description
        ]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A read-only console does not bind what acts, nor does a moment in the past; its keys are hidden and
        ignored."""
        return self.acts or action.removeprefix("app.") not in ACTING

    @property
    def acts(self) -> bool:
        """Whether its acting keys work; else nothing on the screen offers them."""
        return not self.console.read_only and self.cursor is None

    # -- painting ------------------------------------------------------------------------------------------------------

    def paint(self, c: Canvas, v: View, y: int) -> None:
        """Everything below row `y`; the last row is the footer's, the one above it the hints'."""
        raise NotImplementedError

    def hints(self) -> tuple[Hint, ...]:
        """Keys of this screen, for the row above the footer; the most useful first."""
        return ()

    def area(self, c: Canvas, y: int) -> Area:
        """The paintable area: from row `y` to the hints, with a one-cell margin on both sides."""
        return Area(1, y, c.width - 2, max(0, c.height - 2 - y))

    def curve(self, c: Canvas, v: View, metric: str, area: Area, now: str = "") -> None:
        """A metric of the last hour (or what the window is), with the plan's thresholds and the changes of the
        percentage."""
        if area.height < curves.LEAST_ROWS:
            return
        history = self.console.series_cache
        curves.curve(
            c,
            area,
            curves.Chart(
                curves.MEASURES[metric],
                history.series.get(metric, ()),
                history.grid,
                history.window_text,
                self.console.limits(metric),
                now,
                curves.marks(v.log),
                "no data in this window" if metric in history.series else "reading …",
                history.control.get(metric, ()),
                self.cursor,
            ),
        )

    @property
    def step_s(self) -> float:
        """How far the cursor moves at a time."""
        return self.console.series_cache.window_s / STEPS

    @property
    def cursor(self) -> float | None:
        """The moment that this screen shows; None while that is now."""
        return self.console.travel.at if self.TRAVELS else None

    def canvas(self, width: int, height: int) -> Canvas:
        """Paint the whole screen as it is now, at this size."""
        app = self.console
        c = Canvas(width, height, app.ascii_only)
        blocks.header(
            c, self.sight if self.sight.view is not None else app.live, app.who, app.read_only, app.link.terminal
        )
        y = 1
        if app.travel.at is not None:
            y += blocks.as_of(c, y, app.travel.at, app.live, self.TRAVELS, app.travel.busy)
        y += blocks.banner(c, y, self.sight)
        if self.NUMBER == 1 and app.handover is not None:
            y += blocks.handover(c, y, app.handover, app.live)
        v = self.sight.view
        if v is not None:
            y += blocks.problems(c, y, v)
        if v is None:
            self.nothing(c, y)
        else:
            self.paint(c, v, y + blocks.band(c, y, v, not (self.sight.fresh or self.sight.corrected)))
        hints = tuple(hint for hint in self.hints() if self.check_action(hint[2].partition("(")[0], ()))
        blocks.footer(c, self.NUMBER, app.shows_faults, hints, waiting.badge(self.sight, app.rehearsal))
        if app.notice:
            self._say(c, *app.notice, bool(hints))
        return c

    def explained(self) -> list[Explained]:
        """What the selected row is, for the top of the help; [] if it needs no explanation."""
        return []

    def nothing(self, c: Canvas, y: int) -> None:
        sentence = self.sight.pulse.sentence or "Waiting for the engine's first figures."
        y += 1 + c.block(2, y + 1, c.width - 4, 4, sentence, "text")
        c.put(2, y + 1, f"store {self.console.link.folder.path}", "dim", c.width - 4)
        c.spans(2, y + 2, [("R", "key"), (" goes to 0 % anyway; it needs no figures", "dim")], c.width - 4)

    def _say(self, c: Canvas, sentence: str, style: str, hints: bool) -> None:
        most = 2 if style == "bar" else max(1, c.height // 5)  # show refusals in full
        lines = wrapped(sentence, c.width - 2)
        if len(lines) > most:
            lines = [*lines[: most - 1], fit(f"{lines[most - 1]} …", c.width - 2)]
        top = c.height - 1 - bool(hints) - len(lines)  # the keys stay readable
        for i, line in enumerate(lines):
            c.fill(0, top + i, c.width, style)
            c.put(1, top + i, line, style)

    async def action_pick(self, index: int) -> None:
        """A click on a row of the list selects it; on the selected one it does what Enter does."""
        rows = getattr(self, "rows", None)
        if rows is None:
            return
        if rows.at == index and self.ENTER:
            await self.run_action(self.ENTER)
            return
        rows.place(index)
        self.refreshed()

    def repaint(self) -> None:
        """Cheap if nothing changed: only differences are sent."""
        sheet = self.query("#sheet").first(Sheet) if self.is_mounted and self.query("#sheet") else None
        if sheet is not None and sheet.size.width and sheet.size.height:
            sheet.show(self.canvas(*sheet.size), self.console.palette)

    def refreshed(self) -> None:
        """A new sight came in; screens that read more than the view start reading here."""
        self.repaint()

    def on_resize(self, _: events.Resize) -> None:
        self.call_after_refresh(self.repaint)

    def on_screen_resume(self) -> None:
        self.console.looked(self.TITLE)
        self.refreshed()

    def text(self) -> str:
        return self.query_one("#sheet", Sheet).canvas.text()


SHOWN = {
    "slash": "/", "question_mark": "?", "colon": ":", "left_square_bracket": "[", "right_square_bracket": "]",
    "plus": "+", "minus": "-", "equals_sign": "=", "exclamation_mark": "!", "escape": "esc", "pagedown": "pgdn",
    "pageup": "pgup", "comma": ",", "full_stop": ".", "f1": "F1", "f9": "F9", "left": "←", "right": "→",
    "up": "↑", "down": "↓",
}  # fmt: skip


def shown(keys: str) -> str:
    """A binding's keys as people call them: "slash,f1" -> "/ F1"."""
    return " ".join(SHOWN.get(part, part) for part in keys.split(","))


def key(keys: str, action: str, description: str, *, show: bool = True, priority: bool = False) -> BindingType:
    """A binding whose description appears in the help."""
    return Binding(keys, action, description, show=show, priority=priority)


LIST_KEYS: list[BindingType] = [
    key("j,down", "move(1)", "next line"),
    key("k,up", "move(-1)", "line before"),
    key("pagedown,ctrl+d,space", "move(10)", "ten down", show=False),
    key("pageup,ctrl+u", "move(-10)", "ten up", show=False),
    key("g,home", "move(-100000)", "first", show=False),
    key("G,end", "move(100000)", "last", show=False),
]
