"""Help: the keys of the screen it was opened from, made from its bindings, and the runbooks."""

from __future__ import annotations

from importlib.resources import files
from typing import ClassVar

from textual.binding import Binding, BindingType

from console.screens.page import LIST_KEYS, Hint, Page, key
from console.widgets.canvas import Canvas, wrapped
from engine.view import View

RUNBOOKS = (
    ("keys", "Keys"),
    ("rollback", "Rollback"),
    ("troubleshooting", "Troubleshooting"),
    ("configuration", "Configuration"),
)
SHOWN = {
    "slash": "/",
    "question_mark": "?",
    "colon": ":",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "plus": "+",
    "minus": "-",
    "equals_sign": "=",
}


class Help(Page):
    TITLE: ClassVar[str] = "Help"
    ABOUT: ClassVar[str] = "keys of the screen, and the runbooks"
    BINDINGS: ClassVar[list[BindingType]] = [
        *LIST_KEYS,
        key("tab,l,right", "turn(1)", "next runbook"),
        key("shift+tab,h,left", "turn(-1)", "runbook before"),
    ]

    def __init__(self, page: Page | None = None) -> None:
        super().__init__()
        self.about = page
        self.book = 0
        self.top = 0

    def hints(self) -> tuple[Hint, ...]:
        names = "  ".join(f"[{title}]" if i == self.book else title for i, (_, title) in enumerate(RUNBOOKS))
        return (("tab", names, "turn(1)"), ("j k", "scroll", ""), ("esc", "back", "back"))

    def lines(self, width: int) -> list[tuple[str, str]]:
        name = RUNBOOKS[self.book][0]
        if name == "keys":
            return self._keys()
        text = book(name)
        out: list[tuple[str, str]] = []
        for line in text.splitlines():
            style = "head" if line.startswith("#") else "text"
            for part in wrapped(line.lstrip("# ") if style == "head" else line, width) or [""]:
                out.append((part, style))
        return out

    def _keys(self) -> list[tuple[str, str]]:
        out: list[tuple[str, str]] = []
        groups = [("Everywhere", type(self.app).BINDINGS)]
        if self.about is not None:
            groups.insert(0, (self.about.TITLE, type(self.about).BINDINGS))
        for title, bindings in groups:
            out += [(title, "head")]
            for binding in bindings:
                if isinstance(binding, Binding) and binding.description:
                    keys = " ".join(SHOWN.get(part, part) for part in binding.key.split(","))
                    out.append((f"  {keys:<24} {binding.description}", "text"))
            out.append(("", "text"))
        return out

    def paint(self, c: Canvas, v: View, y: int) -> None:
        self._paint(c, y)

    def nothing(self, c: Canvas, y: int) -> None:
        self._paint(c, y)

    def _paint(self, c: Canvas, y: int) -> None:
        lines = self.lines(c.width - 2)
        room = c.height - 2 - y
        self.top = max(0, min(self.top, len(lines) - room))
        for row, (text, style) in enumerate(lines[self.top : self.top + room]):
            c.put(1, y + row, text, style)
        if self.top + room < len(lines):
            c.right(c.width - 1, c.height - 3, f" {len(lines) - self.top - room} more ", "dim")

    def action_move(self, by: int) -> None:
        self.top = max(0, self.top + by)
        self.repaint()

    def action_turn(self, by: int) -> None:
        self.book, self.top = (self.book + by) % len(RUNBOOKS), 0
        self.repaint()


def book(name: str) -> str:
    """A runbook's text; the configuration's is generated from the typed plan."""
    if name == "configuration":
        from engine.plan.reference import reference

        return reference()
    return (files("console") / "help" / f"{name}.md").read_text(encoding="utf-8")
