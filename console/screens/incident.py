"""The last incident, from the first bad document to proof, cause and resume: a chart, and each moment with its number
on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from textual.binding import BindingType

from console import explain
from console.screens.fetching import FetchingPage
from console.screens.page import LIST_KEYS, Hint, key
from console.screens.rollback import ways_back
from console.screens.rows import Rows, draw_whole
from console.widgets import blocks, curves, words
from console.widgets.blocks import Area
from console.widgets.canvas import Canvas, wrapped
from console.widgets.timegrid import ZOOMS, Grid
from engine.plan.durations import format_duration, iso
from engine.report import incidents
from engine.report.model import Incident, IncidentMoment
from engine.view.model import View

KIND = {
    "first": "bad", "seen": "warn", "fired": "bad", "proof": "ok", "decision": "accent", "complaint": "warn",
    "look": "dim", "message": "dim",
}  # fmt: skip
AIR_S = 120.0  # of the chart before the beginning
AFTER_S = 600.0  # what of the time after the decision is drawn


def number(place: int, ascii_only: bool) -> str:
    """The sign of a row on the chart: one cell."""
    if ascii_only:
        return "123456789abcdefghijklmnopqrstuvwxyz"[min(place, 34)]
    return chr(0x2460 + place) if place < 20 else "·"


def grid_around(incident: Incident, now: float) -> Grid:
    """The chart's window: up to some minutes after the decision, in the narrowest buckets that cover it."""
    start = min(h.at for h in incident.happened) if incident.happened else incident.decided
    until = min(now, incident.decided + AFTER_S)
    zoom = next((z for z in ZOOMS if z.seconds >= until - start + 2 * AIR_S), ZOOMS[-1])
    points = max(12, int((until - start + 2 * AIR_S) / zoom.span))
    first = (start - AIR_S) // zoom.span * zoom.span
    return Grid(first, zoom.span, points)


class IncidentPage(FetchingPage):
    NUMBER: ClassVar[int] = 12
    ENTER: ClassVar[str] = "go_there"
    TITLE: ClassVar[str] = "Incident"
    ABOUT: ClassVar[str] = "the last incident, from the first bad document to proof, cause and resume"
    BINDINGS: ClassVar[list[BindingType]] = [
        *LIST_KEYS,
        key("enter", "go_there", "all screens as they were at that moment"),
        key("t", "restore", "restore frequency keywords where the LLM wrote"),
        key("e", "app.on_gate('resume')", "resume with the cause (on the gate)"),
        key("s", "app.servers", "the LLM servers: errors by kind, documents, one request"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.rows = Rows()
        self.incident: Incident | None = None
        self.known = False
        self.grid = Grid(0.0, 10.0, 12)
        self.series: dict[str, list[float | None]] = {}

    def hints(self) -> tuple[Hint, ...]:
        if self.incident is None:
            return (("esc", "back", "app.back"),)
        return (
            *ways_back(self.snapshot.view),
            ("v", "proof, why" if self.acts else "proof", "app.proof"),
            ("enter", "go to that moment", ""),
            ("Y", "copy", "app.copy_screen"),
            ("esc", "back", "app.back"),
        )

    def explained(self) -> list[explain.Explained]:
        moments = self.incident.happened if self.incident is not None else ()
        return explain.moment(moments[self.rows.at].kind) if self.rows.at < len(moments) else []

    def wanted(self) -> Any:
        v = self.snapshot.view
        return (v.rev, int(v.at // max(10.0, 2.0 * v.speed))) if v else None

    def fetch(self, wanted: Any) -> Callable[[], None]:
        plan, v = self.console.plan, self.snapshot.view
        last = self.console.link.reader.read(lambda conn: incidents.latest(conn, plan))
        grid, series = self.grid, self.series
        if last is not None and v is not None:
            grid = grid_around(last, v.at)
            metrics = list(dict.fromkeys([self._metric(last), "error_rate"]))
            series = self.console.link.reader.curves(metrics, grid.seconds, grid.points, grid.end)

        def put() -> None:
            self.incident, self.grid, self.series, self.known = last, grid, series, True

        return put

    def _metric(self, incident: Incident) -> str:
        named = next((t.metric for t in self.console.plan.triggers if t.id == incident.trigger), "error_rate")
        return named if named in curves.MEASURES else "error_rate"

    def paint(self, c: Canvas, v: View, y: int) -> None:
        area = self.area(c, y)
        incident = self.incident
        if self.trouble:
            c.block(1, y, c.width - 2, 3, self.trouble, "bad")
        elif incident is None:
            none = "No incident: the percentage was not lowered, and no trigger acted."
            c.block(1, y + 1, c.width - 2, 3, none if self.known else "Reading …", "text")
        else:
            self._paint(c, v, area, incident)

    def _paint(self, c: Canvas, v: View, area: Area, incident: Incident) -> None:
        chart_rows = max(6, min(14, area.height * 2 // 5))
        foot = self._foot(incident, area.width)[: max(2, area.height // 4)]
        chart, rows, last = blocks.stack(area, (chart_rows, area.height - chart_rows - len(foot), 0))
        self._chart(c, chart, incident)
        self._rows(c, rows, v, incident)
        for row, (line, style) in enumerate(foot):
            c.put(last.x, last.y + row, line, style, last.width)

    def _foot(self, incident: Incident, width: int) -> list[tuple[str, str]]:
        v = self.snapshot.view
        where = (" (e resumes with it)" if v and v.locked else " (v, then w, writes it)") if self.acts else ""
        cause = f"Cause: {incident.cause.rstrip('. ')}." if incident.cause else f"No cause recorded yet{where}."
        resumed = (
            f"Resumed after {format_duration(incident.resumed - incident.decided)}."
            if incident.resumed
            else "Not resumed yet."
        )
        return [
            *((line, "text") for line in wrapped(incident.cost, width)),
            *((line, "dim") for line in wrapped(f"{cause} {resumed}", width)),
        ]

    def _chart(self, c: Canvas, area: Area, incident: Incident) -> None:
        metric = self._metric(incident)
        signs = [(h.at, number(place, c.ascii)) for place, h in enumerate(incident.happened)]
        limits = [limit for limit in self.console.limits(metric) if limit][:2]
        span = format_duration(self.grid.seconds)
        chart = curves.Chart(
            curves.MEASURES[metric],
            self.series.get(metric, ()),
            self.grid,
            span,
            limits,
            f"incident, decision {incident.rev}",
            signs,
        )
        curves.curve(c, area, chart)

    def _rows(self, c: Canvas, area: Area, v: View, incident: Incident) -> None:
        inner = blocks.panel(c, area, "what happened", f"{len(incident.happened)} moments", "dim")

        def line(index: int, y: int, height: int) -> None:
            h = incident.happened[index]
            sign, stamp = (f"{number(index, c.ascii)} ", KIND.get(h.kind, "text")), words.hour(h.at, v.at)
            x = c.spans(inner.x, y, [sign, (f"{stamp} ", "dim")], inner.width)
            c.block(x, y, inner.x + inner.width - x, height, h.sentence, "text")

        moments = incident.happened
        if not moments:
            return
        self.rows.at = min(self.rows.at, len(moments) - 1)
        lines = [len(wrapped(h.sentence, inner.width - 3 - len(words.hour(h.at, v.at)))) for h in moments]
        draw_whole(c, inner, self.rows, lines, line)

    def text(self) -> str:
        """The whole timeline, for the incident channel, not only the rows that fit."""
        return super().text() if self.incident is None else as_text(self.incident)

    # -- keys ----------------------------------------------------------------------------------------------------------

    def action_move(self, by: int) -> None:
        if self.incident is not None:
            self.rows.move(by, len(self.incident.happened))
            self.repaint()

    async def action_go_there(self) -> None:
        if self.incident is not None and self.incident.happened:
            at = self.incident.happened[self.rows.at].at
            await self.run_action("app.back")
            await self.app.run_action(f"travel_to({at})")

    def action_restore(self) -> None:
        self.console.restore()


def as_text(incident: Incident) -> str:
    """The incident as plain text: what happened, each moment, the cost, the cause."""
    cause = f"Cause: {incident.cause}" if incident.cause else "No cause recorded yet."
    return "\n".join(
        [
            f"INCIDENT {iso(incident.decided)}: {incident.what}",
            "",
            *map(_line, incident.happened),
            "",
            incident.cost,
            cause,
            "",
        ]
    )


def _line(h: IncidentMoment) -> str:
    return f"{iso(h.at)}  {h.sentence}"
