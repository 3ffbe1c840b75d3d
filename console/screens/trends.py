"""How it went: the plan's historical trends over an hour, a day, a week, a month."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from textual.binding import BindingType

from console.screens.fetching import FetchingPage
from console.screens.page import Hint, key
from console.widgets import blocks, curves
from console.widgets.blocks import Area
from console.widgets.canvas import Canvas
from engine.view.model import View

HOUR, DAY = 3600.0, 86_400.0
WINDOWS = (
    ("h", "1 h", HOUR),
    ("d", "24 h", DAY),
    ("w", "7 d", 7 * DAY),
    ("m", "30 d", 30 * DAY),
)  # key, words, seconds
PANELS = (
    "error_rate", "latency_mean", "cache_hit_rate", "llm_share", "documents", "latency_p95", "latency_p50", "latency_p99",
)  # fmt: skip
ARMS = {"treatment": "LLM arm", "shadow": "shadow", "control": "frequency arm"}
OF_ALL = ("llm_share", "documents")  # whatever the arm


class Trends(FetchingPage):
    NUMBER: ClassVar[int] = 4
    TITLE: ClassVar[str] = "Trends"
    ABOUT: ClassVar[str] = "error rate, latency, cache, methods over an hour to a month"
    BINDINGS: ClassVar[list[BindingType]] = [
        *(key(hit, f"window({i})", f"the last {name}") for i, (hit, name, _) in enumerate(WINDOWS)),
        key("left,left_square_bracket", "step(-1)", "shorter window"),
        key("right,right_square_bracket", "step(1)", "longer window"),
        key("f,tab", "arm", "LLM arm, shadow or frequency arm"),
        key("n", "more", "the other curves"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.at = 0
        self.arm = "treatment"
        self.first = 0  # of PANELS
        self.shown = 4  # as many as there is room for
        self.series: dict[str, list[float | None]] = {}

    def hints(self) -> tuple[Hint, ...]:
        windows = [
            (hit, f"[{name}]" if i == self.at else name, f"window({i})") for i, (hit, name, _) in enumerate(WINDOWS)
        ]
        return (*windows, ("f", f"show {ARMS[self._other()]}", "arm"), ("n", "more", "more"))

    def _other(self) -> str:
        """The arm after this one; shadow only where there is some."""
        v = self.sight.view
        arms = [arm for arm in ARMS if arm != "shadow" or arm == self.arm or (v is not None and v.shadow)]
        return arms[(arms.index(self.arm) + 1) % len(arms)]

    def wanted(self) -> Any:
        v = self.sight.view
        points = 240 if self.size.width >= 120 else 120
        column = WINDOWS[self.at][2] / points
        return (self.at, self.arm, points, int(v.at // max(column, 2.0 * v.speed)) if v else 0)

    def fetch(self, wanted: Any) -> Callable[[], None]:
        at, arm, points, _ = wanted
        v = self.sight.view
        window = WINDOWS[at][2]
        column = window / points
        end = (int(v.at / column) + 1) * column if v else 0.0
        found = self.console.link.curves(PANELS, window, points, end, arm)

        def put() -> None:
            self.series = found

        return put

    def paint(self, c: Canvas, v: View, y: int) -> None:
        area = self.area(c, y)
        if self.trouble:
            c.block(1, y, c.width - 2, 3, self.trouble, "bad")
            return
        across = 1 if c.width < 70 else 2 if c.width < 200 else 3
        gap = 1 if c.width >= blocks.BOXED else 2
        fit = max(1, area.height // 6) * across
        self.shown = min(6 if c.height >= 34 else 4, fit)
        metrics = PANELS[self.first : self.first + self.shown]
        for metric, spot in zip(metrics, blocks.grid(area, self.shown, across, gap), strict=False):
            self._curve(c, v, metric, spot)

    def _curve(self, c: Canvas, v: View, metric: str, area: Area) -> None:
        _, name, seconds = WINDOWS[self.at]
        limits = self.console.limits(metric) if self.arm != "control" else []
        marks = curves.marks(v.log, v.at, seconds)
        series, measure = self.series.get(metric, []), curves.MEASURES[metric]
        if metric not in OF_ALL:
            measure = measure._replace(title=f"{measure.title}, {ARMS[self.arm]}")
        empty = "no data in this window" if metric in self.series else "reading …"
        curves.curve(c, area, measure, series, limits, name.replace(" ", ""), marks=marks, empty=empty)

    def action_window(self, at: int) -> None:
        self.at = at
        self.refreshed()

    def action_step(self, by: int) -> None:
        self.action_window(max(0, min(len(WINDOWS) - 1, self.at + by)))

    def action_more(self) -> None:
        self.first = self.first + self.shown if self.first + self.shown < len(PANELS) else 0
        self.refreshed()

    def action_arm(self) -> None:
        self.arm = self._other()
        self.refreshed()
