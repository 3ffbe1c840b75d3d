"""The plan's historical trends over an hour, a day, a week or a month."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from textual.binding import BindingType

from console import explain
from console.screens.fetching import FetchingPage
from console.screens.page import Hint, key
from console.series_cache import COMPARED
from console.travel import STEPS
from console.widgets import blocks, curves, words
from console.widgets.blocks import Area
from console.widgets.canvas import Canvas
from console.widgets.timegrid import ZOOMS, grid_of
from engine.measures.record import SeenArm
from engine.view.model import View

WINDOWS = tuple(z for z in ZOOMS if z.name in ("1h", "24h", "7d", "30d"))
HITS = ("h", "d", "w", "m")  # the key of each
CHARTS = ("error_rate", "latency_mean", "cache_hit_rate", "llm_share", "documents", "latency_quantiles")
PANELS = (
    "error_rate", "latency_mean", "cache_hit_rate", "llm_share", "documents", "latency_p95", "latency_p50",
    "latency_p99",
)  # fmt: skip
ARMS = {"treatment": "LLM arm", "shadow": "shadow", "control": "frequency arm"}
OF_ALL = ("llm_share", "documents")  # whatever the arm


class Trends(FetchingPage):
    NUMBER: ClassVar[int] = 4
    TITLE: ClassVar[str] = "Trends"
    TRAVELS: ClassVar[bool] = True
    ABOUT: ClassVar[str] = "error rate, latency, cache, methods over an hour to a month"
    BINDINGS: ClassVar[list[BindingType]] = [
        *(key(hit, f"window({i})", f"the last {WINDOWS[i].name}") for i, hit in enumerate(HITS)),
        key("left", "app.travel(-1)", "back in time"),
        key("right", "app.travel(1)", "forward in time"),
        key("plus,equals_sign", "step(-1)", "shorter window"),
        key("minus", "step(1)", "longer window"),
        key("f,tab", "arm", "LLM arm, shadow or frequency arm"),
        key("n", "more", "the other curves"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.at = 0
        self.chosen = ""  # an arm; until one is chosen, the one that Live watches
        self.first = 0  # of CHARTS
        self.shown = 4  # as many as fit
        self.series: dict[str, list[float | None]] = {}
        self.other: dict[str, list[float | None]] = {}
        self.grid = grid_of(WINDOWS[0], 0.0, None)

    @property
    def arm(self) -> str:
        v = self.snapshot.view
        return self.chosen or (words.watched_arm(v) if v is not None else "treatment")

    def hints(self) -> tuple[Hint, ...]:
        windows = [
            (hit, f"[{z.name}]" if i == self.at else z.name, f"window({i})")
            for i, (hit, z) in enumerate(zip(HITS, WINDOWS, strict=True))
        ]
        return (*windows, ("f", f"show {ARMS[self._other()]}", "arm"), ("n", "more", "more"))

    def explained(self) -> list[explain.Explained]:
        metrics = CHARTS[self.first : self.first + self.shown]
        return explain.chart((metric, curves.MEASURES[metric].title) for metric in metrics)

    def _other(self) -> str:
        """The next arm; shadow only if it has data."""
        v = self.snapshot.view
        arms = [arm for arm in ARMS if arm != "shadow" or arm == self.arm or (v is not None and v.shadow)]
        return arms[(arms.index(self.arm) + 1) % len(arms)]

    @property
    def step_s(self) -> float:
        return WINDOWS[self.at].seconds / STEPS

    def wanted(self) -> Any:
        v = self.console.live.view
        grid = grid_of(WINDOWS[self.at], v.at, self.cursor) if v else None
        return (self.arm, grid, int(v.at // (2.0 * v.speed)) if v and v.speed > 1 and self.cursor is None else 0)

    def fetch(self, wanted: Any) -> Callable[[], None]:
        arm, grid, _ = wanted
        if grid is None:
            return lambda: None
        curves = self.console.link.reader.curves(PANELS, grid.seconds, grid.points, grid.end, arm)
        other: SeenArm = "treatment" if arm == "control" else "control"
        compared = self.console.link.reader.curves(COMPARED, grid.seconds, grid.points, grid.end, other)

        def put() -> None:
            self.series, self.other, self.grid = curves, compared, grid

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
        metrics = CHARTS[self.first : self.first + self.shown]
        for metric, spot in zip(metrics, blocks.grid(area, self.shown, across, gap), strict=False):
            self._curve(c, v, metric, spot)

    def _curve(self, c: Canvas, v: View, metric: str, area: Area) -> None:
        limits = self.console.limits(metric) if self.arm != "control" else []
        measure = curves.MEASURES[metric]
        if metric not in OF_ALL:
            measure = measure._replace(title=f"{measure.title}, {ARMS[self.arm]}")
        lines = (
            [(q, self.series.get(f"latency_{q}", ())) for q in curves.QUANTILES]
            if metric == "latency_quantiles"
            else ()
        )
        chart = curves.Chart(
            measure,
            self.series.get(metric, ()),
            self.grid,
            WINDOWS[self.at].name,
            limits,
            words.now(v, metric, self.arm),
            curves.marks(v.log),
            "no data in this window" if self.series else "reading …",
            self.other.get(metric, ()),
            self.cursor,
            lines,
        )
        curves.curve(c, area, chart)

    def action_window(self, at: int) -> None:
        self.at = at
        self.refreshed()

    def action_step(self, by: int) -> None:
        self.action_window(max(0, min(len(WINDOWS) - 1, self.at + by)))

    def action_more(self) -> None:
        self.first = self.first + self.shown if self.first + self.shown < len(CHARTS) else 0
        self.refreshed()

    def action_arm(self) -> None:
        self.chosen = self._other()
        self.refreshed()
