"""A trigger's evidence over time. Enter shows the requests that it counted at that moment."""

from __future__ import annotations

from typing import Any, ClassVar

from textual.binding import BindingType

from console import explain
from console.screens.drill.counted import COUNTED, Counted
from console.screens.drill.requests import Requests
from console.screens.listing import Column, Listing, ListRow
from console.screens.page import Hint, key
from console.widgets import curves, words
from console.widgets.blocks import Area
from console.widgets.canvas import Canvas
from engine.gate.samples import has_samples
from engine.metrics.requests import Scope
from engine.plan.durations import clock, format_duration
from engine.plan.model import Trigger
from engine.triggers.history import StoredReading, readings
from engine.view.model import View

WINDOWS = (3600.0, 6 * 3600.0, 86400.0, 7 * 86400.0)
LEAST_S = 300.0  # of requests behind one reading


class EvidencePage(Listing):
    TITLE: ClassVar[str] = "Evidence"
    ABOUT: ClassVar[str] = "what a trigger saw, minute by minute; Enter: the requests it counted"
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("time", 11, largest=True), Column("verdict", 14), Column("value", 9, largest=True, right=True),
        Column("n", 6, largest=True, right=True), Column("timer", 13, largest=True), Column("what it saw", 0),
    )  # fmt: skip
    BINDINGS: ClassVar[list[BindingType]] = [
        key("w", "window", "an hour, 6 hours, a day, 7 days"),
        key("t", "go_there", "all screens as they were at that moment"),
    ]

    def __init__(self, trigger: str) -> None:
        super().__init__()
        self.trigger = trigger
        self.window = 0

    @property
    def rule(self) -> Trigger | None:
        return next((t for t in self.console.plan.triggers if t.id == self.trigger), None)

    @property
    def metric(self) -> str:
        return self.rule.metric if self.rule is not None else "error_rate"

    def heading(self) -> tuple[str, str]:
        return f"evidence of {self.trigger}, last {format_duration(WINDOWS[self.window])}", f"{len(self.lines)}"

    def empty(self) -> str:
        return "no evidence in this window: no engine ran, or retention has deleted it; w widens the window"

    def explained(self) -> list[explain.Explained]:
        lines = self.shown()
        return explain.evidence(lines[min(self.rows.at, len(lines) - 1)].cells[1][0].strip("‖✖✔· ") if lines else "")

    def hints(self) -> tuple[Hint, ...]:
        longer = format_duration(WINDOWS[(self.window + 1) % len(WINDOWS)])
        return (
            ("enter", "requests", "open"),
            ("t", "go to that moment", "go_there"),
            ("w", f"last {longer}", "window"),
            *super().hints()[1:3],
            ("esc", "back", "app.back"),
        )

    def wanted(self) -> Any:
        return (self.beat(), self.window)

    def read(self) -> list[ListRow]:
        until = self.until()
        rows = self.console.link.reader.read(
            lambda conn: readings(conn, self.trigger, until - WINDOWS[self.window], until)
        )
        return [_line(one, self.metric, until) for one in rows]

    def paint(self, c: Canvas, v: View, y: int) -> None:
        drawn = c.height >= 36 and self.metric in curves.MEASURES and self.metric in self.console.series_cache.metrics
        if not drawn:
            super().paint(c, v, y)
            return
        area = self.area(c, y)
        self.curve(c, v, self.metric, Area(area.x, area.y, area.width, 12))
        super().paint(c, v, y + 12)

    def opened(self, line: ListRow) -> None:
        """The requests of the window that the reading judged."""
        at, rule = float(line.order[0] or 0.0), self.rule
        span = max(LEAST_S, rule.for_s if rule is not None else LEAST_S)
        if self.metric in COUNTED:
            scope = Scope(at - span, at, COUNTED[self.metric], shadow=False)
            of = f"{self.trigger}, {format_duration(span)} up to {words.moment(at)}"
            self.console.push_screen(Requests(of, lambda: scope))
        elif has_samples(self.metric):
            self.console.push_screen(Counted(self.trigger, self.metric, until=at))
        else:
            self.console.say(f"{self.trigger} counts no documents: it is judged by calls and probes.", "caution")

    def action_window(self) -> None:
        self.window = (self.window + 1) % len(WINDOWS)
        self.refreshed()

    async def action_go_there(self) -> None:
        lines = self.shown()
        if lines:
            await self.app.run_action(f"travel_to({lines[self.rows.at].order[0]})")


def _line(one: StoredReading, metric: str, until: float) -> ListRow:
    r = one.reading
    sign, style = words.VERDICT.get(one.verdict, ("·", "dim"))
    timer = f"{clock(r.held_s)} of {clock(r.for_s)}" if r.held_s and r.for_s else ""
    cells = (
        (words.hour(one.at, until), "dim"), (f"{sign} {one.verdict}", style),
        (words.figure(metric, r.value), "strong" if one.verdict == "breach" else "text"), (words.count(r.n), "text"),
        (timer, "bad" if timer else "dim"), (r.sentence, "dim"),
    )  # fmt: skip
    return ListRow(one.at, cells, (one.at, one.verdict, r.value, r.n, r.held_s, r.sentence), r.sentence)
