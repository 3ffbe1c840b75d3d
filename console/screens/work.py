"""The base of the screens under 9: Tab cycles through messages, commands and report."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType

from console.screens import WORK, working
from console.screens.fetching import FetchingPage
from console.screens.page import Hint, key
from console.screens.rows import Rows
from console.widgets.canvas import Canvas, Span


class Work(FetchingPage):
    """A screen under 9; `TAB` is its position."""

    NUMBER: ClassVar[int] = 9
    TAB: ClassVar[int] = 0
    BINDINGS: ClassVar[list[BindingType]] = [
        key("tab", "turn(1)", "messages, commands, report: the next one"),
        key("shift+tab", "turn(-1)", "the one before"),
    ]

    @property
    def rows(self) -> Rows:
        """Kept by the console, so that the cursor is in the same place when the tab is reopened."""
        return self.console.places.setdefault(self.TITLE, Rows())

    def tabs(self, c: Canvas, y: int) -> int:
        """The row of tabs. Returns the next free row."""
        parts: list[Span] = []
        for index, (_, _, title) in enumerate(WORK):
            parts += [(f" {title} ", "select" if index == self.TAB else "dim"), (" ", "text")]
        c.spans(1, y, parts)
        for index, (_, _, title) in enumerate(WORK):
            at = 1 + sum(len(t) + 3 for _, _, t in WORK[:index])
            c.zone(at, y, len(title) + 2, 1, f"turn({index - self.TAB})")
        return y + 1

    def turn_hint(self) -> Hint:
        return ("tab", WORK[(self.TAB + 1) % len(WORK)][2].lower(), "turn(1)")

    def action_turn(self, by: int) -> None:
        if by % len(WORK):
            self.app.switch_screen(working(WORK[(self.TAB + by) % len(WORK)][0])())
