"""What a screen looks like: header, health, its own part, footer, painted from the latest snapshot.

It does not import Textual, so that the first frame need not wait for it.
"""

from __future__ import annotations

from typing import ClassVar

from console.link import EngineSnapshot
from console.screens.app_api import PaintApi
from console.series_cache import COMPARED
from console.terminal.type_ahead import ACTING
from console.travel import STEPS
from console.widgets import bars, curves, waiting, words
from console.widgets.bars import Hint
from console.widgets.blocks import Area
from console.widgets.canvas import Canvas, fit, wrapped
from console.widgets.waiting import WaitingRow
from engine.view.model import View

LEAST_ROWS = 16  # on a smaller terminal a notice covers what is below it


class Painting:
    """Subclasses paint below the header and above the footer."""

    NUMBER: ClassVar[int] = 0
    TRAVELS: ClassVar[bool] = (
        False  # through time: shows the moment that the cursor is at; other screens always show now
    )
    LOG_LAST: ClassVar[bool] = False  # its log ends with the screen and gives up rows for a notice; nothing else moves

    @property
    def console(self) -> PaintApi:
        raise NotImplementedError

    @property
    def snapshot(self) -> EngineSnapshot:
        return self.console.snapshot if self.TRAVELS else self.console.live

    def may(self, action: str) -> bool:
        """Whether this action's key is bound here."""
        return not (self.console.read_only or self.cursor is not None) or action.removeprefix("app.") not in ACTING

    @property
    def acts(self) -> bool:
        """Whether its acting keys work: they are bound, and an engine answers. Else nothing on the screen offers
        them."""
        return self.may("promote") and self.console.live.fresh

    def offers(self, action: str) -> bool:
        """Whether this action's key, given as in a hint, is worth showing: without an engine only R and what starts one
        act."""
        name = action.removeprefix("app.").partition("(")[0]
        return self.acts or name not in ACTING or (name == "start_engine" and self.may(name))

    def paint(self, c: Canvas, v: View, y: int) -> None:
        """Everything below row `y`; the last row is the footer's, the one above it the hints'."""
        raise NotImplementedError

    def hints(self) -> tuple[Hint, ...]:
        """Keys of this screen, for the row above the footer; the most useful first."""
        return ()

    def area(self, c: Canvas, y: int) -> Area:
        """The paintable area: from row `y` to the hints, with a one-cell margin on both sides."""
        return Area(1, y, c.width - 2, max(0, c.height - 2 - y))

    def curve(self, c: Canvas, v: View, metric: str, area: Area) -> None:
        """A metric of the last hour (or what the window is), with the plan's thresholds and the changes of the
        percentage."""
        if area.height < curves.LEAST_ROWS:
            return
        history, measure = self.console.series_cache, curves.MEASURES[metric]
        if metric in COMPARED:
            measure = measure._replace(title=words.of_arm(measure.title, history.arm))
        other = history.control.get(metric, ())
        nothing = (
            "no LLM data in this window" if any(value is not None for value in other) else "no data in this window"
        )
        curves.curve(
            c,
            area,
            curves.Chart(
                measure,
                history.series.get(metric, ()),
                history.grid,
                history.window_text,
                self.console.limits(metric),
                words.now(v, metric, history.arm),
                curves.marks(v.log),
                nothing if metric in history.series else "reading …",
                other,
                self.cursor,
            ),
        )

    @property
    def todo(self) -> list[WaitingRow]:
        """What waits for a person; without the keys that do nothing here."""
        every = waiting.rows(self.snapshot, self.console.rehearsal)
        return [row if self.offers(row.action) else row._replace(key="", action="") for row in every]

    @property
    def step_s(self) -> float:
        """The cursor's step in seconds."""
        return self.console.series_cache.window_s / STEPS

    @property
    def cursor(self) -> float | None:
        """The moment that this screen shows; None while that is now."""
        return self.console.travel.shown_at if self.TRAVELS else None

    def canvas(self, width: int, height: int) -> Canvas:
        """Paint the whole screen as it is now, at this size. A notice takes rows of its own where there is text below
        it."""
        c = self._painted(width, height)
        if not self.console.notice:
            return c
        lines = self._notice_lines(c)
        top = height - 1 - bool(self.keys_now()) - len(lines)  # the keys stay readable
        if height - len(lines) >= LEAST_ROWS and not c.blank(top, len(lines)):
            if self.LOG_LAST:
                c = self._painted(width, height, len(lines))
            else:
                c = self._painted(width, height - len(lines))
                c.open(top, len(lines))
        style = self.console.notice[1]
        for y, line in enumerate(lines, top):
            c.fill(0, y, width, style)
            c.put(1, y, line, style)
        return c

    def _painted(self, width: int, height: int, spare: int = 0) -> Canvas:
        """The screen without a notice, with this many rows left free for it."""
        app = self.console
        c = Canvas(width, height, app.ascii_only)
        c.spare = spare
        bars.header(
            c, self.snapshot if self.snapshot.view is not None else app.live, app.who, app.read_only, app.link.terminal
        )
        y = 1
        if (moment := app.travel.shown_at) is not None:
            y += bars.as_of(c, y, moment, app.live, self.TRAVELS, app.travel.busy)
        y += bars.banner(c, y, self.snapshot, not app.read_only)
        if self.NUMBER == 1 and app.handover is not None:
            y += bars.handover(c, y, app.handover, app.live)
        v = self.snapshot.view
        if v is None:
            self.nothing(c, y)
        else:
            old = not (self.snapshot.fresh or self.snapshot.corrected)
            y += bars.problems(c, y, v, old)
            self.paint(c, v, y + bars.band(c, y, v, old))
        badge = waiting.badge(self.snapshot, app.rehearsal)
        bars.footer(c, self.NUMBER, app.shows_faults, self.keys_now(), badge)
        return c

    def keys_now(self) -> tuple[Hint, ...]:
        """The hints whose keys do something now."""
        hints = tuple(hint for hint in self.hints() if self.offers(hint[2]))
        app = self.console
        if app.live.liveness.state != "dead" or app.rehearsal or app.read_only:
            return hints
        return (("E", "start the engine", "app.start_engine"), *hints)

    def nothing(self, c: Canvas, y: int) -> None:
        if not bars.warned(c, self.snapshot, not self.console.read_only):
            sentence = self.snapshot.liveness.sentence or "Waiting for the engine's first figures."
            y += 1 + c.block(2, y + 1, c.width - 4, 4, sentence, "text")
        c.put(2, y + 1, f"store {self.console.link.folder.path}", "dim", c.width - 4)
        c.spans(2, y + 2, [("R", "key"), (" rolls back to 0 % anyway; it needs no figures", "dim")], c.width - 4)

    def _notice_lines(self, c: Canvas) -> list[str]:
        """The notice in as many rows as it may take."""
        sentence, style = self.console.notice or ("", "")
        most = 2 if style == "bar" else max(1, c.height // 5)  # show refusals in full
        lines = wrapped(sentence, c.width - 2)
        if len(lines) > most:
            lines = [*lines[: most - 1], fit(f"{lines[most - 1]} …", c.width - 2)]
        return lines
