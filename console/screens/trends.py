"""How it went: the plan's historical trends over an hour, a day or a week."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from textual.binding import BindingType

from console.screens.page import Hint, key
from console.screens.reading import Reading
from console.widgets import blocks
from console.widgets.canvas import Canvas, columns
from engine.plan.durations import format_duration
from engine.store.folder import StoreError
from engine.view import View

WINDOWS = (3600.0, 6 * 3600.0, 86400.0, 7 * 86400.0, 28 * 86400.0)
# metric, title, scale, unit
PANELS = (
    ("error_rate", "error rate", 0.01, " %"),
    ("latency_mean", "latency, mean", 1000.0, " s"),
    ("cache_hit_rate", "cache hits", 0.01, " %"),
    ("llm_share", "share of documents by LLM", 0.01, " %"),
    ("documents", "documents enriched", 1.0, ""),
    ("latency_p95", "latency, p95", 1000.0, " s"),
)


class Trends(Reading):
    NUMBER: ClassVar[int] = 4
    TITLE: ClassVar[str] = "Trends"
    ABOUT: ClassVar[str] = "error rate, latency, cache, methods over an hour to four weeks"
    BINDINGS: ClassVar[list[BindingType]] = [
        key("left_square_bracket,h,left", "window(-1)", "shorter window"),
        key("right_square_bracket,l,right", "window(1)", "longer window"),
        key("f", "arm", "LLM arm or frequency arm"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.at = 0
        self.arm = "treatment"
        self.series: dict[str, list[float | None]] = {}
        self.shown = (0, "")

    def hints(self) -> tuple[Hint, ...]:
        names = " ".join(
            f"[{format_duration(w)}]" if i == self.at else format_duration(w) for i, w in enumerate(WINDOWS)
        )
        return (("h l", names, ""), ("f", "LLM arm" if self.arm == "treatment" else "frequency arm", "arm"))

    def wanted(self) -> Any:
        v = self.sight.view
        window = WINDOWS[self.at]
        points = 240 if self.size.width >= 120 else 120
        column = window / points
        return (self.at, self.arm, points, int(v.at // max(column, 2.0 * v.speed)) if v else 0)

    def fetch(self, wanted: Any) -> Callable[[], None]:
        at, arm, points, _ = wanted
        v = self.sight.view
        window = WINDOWS[at]
        end = (int(v.at / (window / points)) + 1) * (window / points) if v else 0.0
        found: dict[str, list[float | None]] = {}
        trouble = ""
        for metric, *_rest in PANELS:
            try:
                found[metric] = [value for _, value in self.console.link.series(metric, window, points, end, arm)]
            except (KeyError, ValueError):
                found[metric] = []
            except StoreError as error:
                trouble = str(error)
        if trouble and not found:
            raise StoreError(trouble)

        def put() -> None:
            self.series, self.shown = found, (at, arm)

        return put

    def paint(self, c: Canvas, v: View, y: int) -> None:
        blocks.stage_line(c, y, v)
        y += 1
        bottom = c.height - 2
        if self.trouble:
            c.block(1, y + 1, c.width - 2, 2, self.trouble, "bad")
            return
        across = 2 if c.width < 200 else 3
        count = 4 if c.height < 34 else 6
        down = -(-count // across)
        each = (bottom - y) // down
        text = format_duration(WINDOWS[self.at])
        for i, (metric, title, scale, unit) in enumerate(PANELS[:count]):
            x, width = columns(c.width - 2, [1] * across, 3)[i % across]
            top = y + (i // across) * each
            limits = self.console.limits(metric) if self.arm == "treatment" else []
            blocks.curve(
                c,
                1 + x,
                top,
                width,
                each - (1 if each > 9 else 0),
                title,
                self.series.get(metric, []),
                limits,
                scale,
                unit,
                text,
            )

    def action_window(self, by: int) -> None:
        self.at = max(0, min(len(WINDOWS) - 1, self.at + by))
        self.refreshed()

    def action_arm(self) -> None:
        self.arm = "control" if self.arm == "treatment" else "treatment"
        self.refreshed()
