"""The A/B test: both arms metric by metric, the always-valid interval, the verdict in words; the fixed test stays shut until its day."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from textual.binding import BindingType

from console.screens.page import Hint, key
from console.screens.reading import Reading
from console.widgets.canvas import Canvas
from engine.view import View


class AbTest(Reading):
    NUMBER: ClassVar[int] = 6
    TITLE: ClassVar[str] = "A/B test"
    ABOUT: ClassVar[str] = "per metric both arms, interval, verdict, days left"
    BINDINGS: ClassVar[list[BindingType]] = [key("m", "measure", "measure now, as evidence for the gate")]

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, Any] = {}

    def hints(self) -> tuple[Hint, ...]:
        return (("m", "measure now", "measure"),)

    def wanted(self) -> Any:
        v = self.sight.view
        return int(v.at // max(60.0, 20.0 * v.speed)) if v else None

    def fetch(self, wanted: Any) -> Callable[[], None]:
        found = self.console.link.ab_results()

        def put() -> None:
            self.found = found

        return put

    def paint(self, c: Canvas, v: View, y: int) -> None:
        report = self.found.get("report")
        if not report:
            text = self.trouble or "Reading both arms ..."
            c.block(1, y + 1, c.width - 2, 3, text, "bad" if self.trouble else "dim")
            return
        y += c.block(1, y, c.width - 2, 3, report["verdict"]["sentence"], "strong")
        y += c.block(1, y, c.width - 2, 2, report["lock"]["sentence"], "dim")
        y += c.block(1, y, c.width - 2, 2, report["ratio"]["sentence"], "dim")
        c.rule(1, y, c.width - 2, "metric: control against treatment")
        y += 1
        bottom = c.height - 2
        for metric in report["metrics"]:
            if y >= bottom:
                break
            y += c.block(1, y, c.width - 2, min(2, bottom - y), f"{metric['label']}: {metric['sentence']}", "text")

    def action_measure(self) -> None:
        self.console.say("Measuring search quality and the A/B test; this takes a few seconds.", "bar")
        self.console.act("measure")
