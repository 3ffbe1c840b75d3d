"""Everything that was decided, by whom, from where, why, and on what evidence; newest first, filtered by `/`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from textual.binding import BindingType

from console.screens.page import LIST_KEYS, Hint, Rows, key
from console.screens.reading import Searching
from console.screens.triggers import SELECT
from console.widgets import blocks, words
from console.widgets.canvas import Canvas
from engine.plan.durations import iso
from engine.view import DecisionView, View

PAGE = 200


class Log(Searching):
    NUMBER: ClassVar[int] = 8
    TITLE: ClassVar[str] = "Log"
    ABOUT: ClassVar[str] = "every decision with who, why and evidence; filter with /"
    PROMPT: ClassVar[str] = "filter the log"
    BINDINGS: ClassVar[list[BindingType]] = [*LIST_KEYS, key("y", "copy_line", "copy the line")]

    def __init__(self) -> None:
        super().__init__()
        self.rows = Rows()
        self.found: list[DecisionView] = []
        self.evidence: tuple[int, dict[str, Any]] = (-1, {})
        self.limit = PAGE

    def hints(self) -> tuple[Hint, ...]:
        shown = f"{len(self.found)} decisions" + (f" with “{self.text_wanted}”" if self.text_wanted else "")
        return (("/", "filter", "search"), ("j k", "move", ""), ("y", "copy", "copy_line"), ("", shown, ""))

    def wanted(self) -> Any:
        v = self.sight.view
        at = self.found[self.rows.at].rev if self.rows.at < len(self.found) else -1
        return (v.rev if v else -1, self.text_wanted, self.limit, at)

    def fetch(self, wanted: Any) -> Callable[[], None]:
        _, text, limit, at = wanted
        found = self.console.link.log(limit, text=text)
        evidence = self.console.link.evidence(at) if at >= 0 else {}

        def put() -> None:
            self.found, self.evidence = found, (at, evidence)

        return put

    def paint(self, c: Canvas, v: View, y: int) -> None:
        c.rule(1, y, c.width - 2, "log")
        bottom = c.height - 2
        detail = 5 if c.height < 34 else 9
        room = bottom - y - 1 - detail
        if self.trouble or not self.found:
            c.block(
                1,
                y + 1,
                c.width - 2,
                3,
                self.trouble or ("No decision matches." if self.text_wanted else "No decision yet."),
                "bad" if self.trouble else "dim",
            )
        for row, index in enumerate(self.rows.window(len(self.found), room)):
            d = self.found[index]
            c.spans(1, y + 1 + row, [*blocks.decision_spans(d, v.at)], c.width - 2)
            if index == self.rows.at:
                c.tint(y + 1 + row, SELECT)
        if self.found:
            self._detail(c, bottom - detail, detail, self.found[self.rows.at])

    def _detail(self, c: Canvas, y: int, rows: int, d: DecisionView) -> None:
        c.rule(1, y, c.width - 2, f"decision {d.rev}")
        end = y + rows
        y += 1
        y += c.block(1, y, c.width - 2, 2, d.sentence, "text")
        change = (
            f"{words.percent(d.percent_from)} → {words.percent(d.percent_to)}"
            if d.percent_from != d.percent_to
            else words.percent(d.percent_to)
        )
        c.spans(
            1,
            y,
            [
                (f"{iso(d.at)}  ", "dim"),
                (d.actor, "strong"),
                (f" from {d.where}  ", "dim"),
                (f"stage {d.stage}  {change}  epoch {d.epoch}", "dim"),
            ],
            c.width - 2,
        )
        y += 1
        if d.reason and y < end:
            y += c.block(1, y, c.width - 2, 1, f"reason: {d.reason}", "text")
        rev, evidence = self.evidence
        if rev == d.rev and evidence and y < end:
            c.block(
                1,
                y,
                c.width - 2,
                end - y,
                "evidence: " + ", ".join(f"{k} {_short(value)}" for k, value in evidence.items()),
                "dim",
            )

    def action_move(self, by: int) -> None:
        self.rows.move(by, len(self.found))
        if self.rows.at >= len(self.found) - 2 and len(self.found) == self.limit:
            self.limit += PAGE
        self.refreshed()

    def action_copy_line(self) -> None:
        if self.found:
            d = self.found[self.rows.at]
            self.console.say(self.console.copy(f"{iso(d.at)} {d.sentence}\n"))


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)[:120]
