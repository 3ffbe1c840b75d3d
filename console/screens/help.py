"""Help: the keys of the screen it was opened from, from its bindings, and the runbooks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.resources import files
from typing import ClassVar

from rich.cells import cell_len
from textual.binding import Binding, BindingType

from console.screens.fetching import Searching
from console.screens.page import LIST_KEYS, Hint, Page, key, shown
from console.widgets.canvas import Canvas, wrapped
from engine.text import clean_line, counted
from engine.view.model import View

RUNBOOKS = (
    ("keys", "Keys"), ("plan", "Plan"), ("rollback", "Rollback"), ("troubleshooting", "Trouble"),
    ("gameday", "Game day"), ("systemd", "systemd"), ("cluster", "Workers"), ("gateway", "Gateways"),
    ("container", "Container"), ("proxy", "Proxy"), ("monitoring", "Monitoring"), ("client", "Client"),
    ("quality", "Quality"), ("upgrading", "Upgrading"), ("configuration", "Config"),
)  # fmt: skip

KEYS = 20  # columns for the keys of a list of keys


class Help(Searching):
    TITLE: ClassVar[str] = "Help"
    ABOUT: ClassVar[str] = "this screen's keys, and the runbooks"
    PROMPT: ClassVar[str] = "search all pages"
    BINDINGS: ClassVar[list[BindingType]] = [
        *LIST_KEYS,
        key("tab,l,right", "turn(1)", "next page"),
        key("shift+tab,h,left", "turn(-1)", "previous page"),
    ]

    def __init__(self, page: Page | None) -> None:
        super().__init__()
        self.about = page
        self.book = 0
        self.top = 0

    def hints(self) -> tuple[Hint, ...]:
        return (
            ("tab", "next page", "turn(1)"),
            ("j k", "scroll", ""),
            ("/", "search", "search"),
            ("esc", "back", "app.back"),
        )

    def paint(self, c: Canvas, v: View, y: int) -> None:
        self._paint(c, y)

    def nothing(self, c: Canvas, y: int) -> None:
        self._paint(c, y)

    def _paint(self, c: Canvas, y: int) -> None:
        """The pages' names, then the page, in lines short enough to read."""
        first, past = _tabs([title for _, title in RUNBOOKS], self.book, c.width - 4)
        x = c.put(1, y, "< ", "dim") if first else 1
        for i in range(first, past):
            x = c.put(x, y, f" {RUNBOOKS[i][1]} ", "tab" if i == self.book else "dim") + 1
        if past < len(RUNBOOKS):
            c.right(c.width - 1, y, ">", "dim")
        area = self.area(c, y + 2)
        lines = self.lines(min(area.width, 100))
        self.top = max(0, min(self.top, len(lines) - area.height))
        for row, (text, style) in enumerate(lines[self.top : self.top + area.height]):
            c.put(1, area.y + row, text, style, area.width)
        left = len(lines) - self.top - area.height
        if left > 0 and c.width - x > 16:
            c.right(c.width - 1, y, f"{counted(left, 'line')} more", "dim")
        if not lines:
            c.put(1, area.y, "No match. esc in the search (/) shows everything.", "dim")

    def lines(self, width: int) -> list[tuple[str, str]]:
        wanted = self.text_wanted.strip().lower()
        if not wanted:
            return self._page(RUNBOOKS[self.book][0], width)
        out: list[tuple[str, str]] = []
        for at in (self.book, *(i for i in range(len(RUNBOOKS)) if i != self.book)):  # search the open page first
            name, title = RUNBOOKS[at]
            matches = [line for line in self._page(name, width) if wanted in line[0].lower()]
            if matches:
                out += [(f"{title} · {len(matches)}", "head"), *matches, ("", "text")]
        return out

    def _page(self, name: str, width: int) -> list[tuple[str, str]]:
        return [*self._selected(width), *self._keys(width)] if name == "keys" else page_lines(book(name), width)

    def _selected(self, width: int) -> list[tuple[str, str]]:
        """What the row is from which help was opened, first of all."""
        rows = self.about.explained() if self.about is not None else []
        out: list[tuple[str, str]] = []
        for name, meaning in rows:
            first, *rest = wrapped(f"{clean_line(name, 100)}: {clean_line(meaning, 400)}", width - 3)
            out += [(f" {first}", "accent"), *((f"   {line}", "accent") for line in rest)]
        return [("What this is", "head"), *out, ("", "text")] if out else []

    def _keys(self, width: int) -> list[tuple[str, str]]:
        """Generated from the bindings, so the list matches what works."""
        groups = [("Everywhere", _everywhere(type(self.app).BINDINGS))]
        if self.about is not None:
            groups.insert(0, (f"{self.about.TITLE}: {self.about.ABOUT}", self.about.bindings()))
        out: list[tuple[str, str]] = []
        for title, bindings in groups:
            out += [(line, "head") for line in wrapped(title, width)]
            for binding in bindings:
                first, *rest = wrapped(binding.description, max(10, width - KEYS)) or [""]
                out.append((f"  {shown(binding.key):<{KEYS - 3}} {first}", "text"))
                out += [(f"{'':<{KEYS}}{line}", "text") for line in rest]
            if not bindings:
                out.append(("  no keys of its own", "dim"))
            out.append(("", "text"))
        return out

    def action_move(self, by: int) -> None:
        self.top = max(0, self.top + by)
        self.repaint()

    def action_turn(self, by: int) -> None:
        self.book, self.top = (self.book + by) % len(RUNBOOKS), 0
        self.repaint()


def _tabs(titles: Sequence[str], chosen: int, width: int) -> tuple[int, int]:
    """[first, past the last) of the titles that fit in a row with the chosen one."""
    first = 0
    while True:
        past, used = first, 0
        while past < len(titles) and used + len(titles[past]) + 3 <= width:
            used += len(titles[past]) + 3
            past += 1
        if chosen < past or first >= chosen:
            return first, max(past, first + 1)
        first += 1


def _everywhere(bindings: Sequence[BindingType]) -> list[Binding]:
    """Keys with a description; the ten digits are one line."""
    own = [b for b in bindings if isinstance(b, Binding) and b.description and not b.key.isdigit()]
    return [Binding("1 … 9 0", "", "the screens, as named in the last row"), *own]


_ITEM = re.compile(r"- |\d+\. ")  # of a list


def page_lines(markdown: str, width: int) -> list[tuple[str, str]]:
    """A runbook in lines: headings, paragraphs and list items joined and wrapped to the width, commands as they are."""
    out: list[tuple[str, str]] = []
    paragraph: list[str] = []

    def flush() -> None:
        if not paragraph:
            return
        item = _ITEM.match(paragraph[0])
        hang = " " * len(item[0]) if item is not None else ""
        first, *more = wrapped(" ".join(paragraph).removeprefix(item[0] if item else ""), width - len(hang))
        out.append((f"{item[0] if item else ''}{first}", "text"))
        out.extend((f"{hang}{part}", "text") for part in more)
        paragraph.clear()

    for line in markdown.splitlines():
        if line.startswith("  ") and paragraph and _ITEM.match(paragraph[0]) and not line.startswith("    "):
            paragraph.append(line.strip())  # a list item continues
        elif line.startswith("    "):
            flush()
            out.extend((part, "accent") for part in _command(line, width))
        elif line.startswith("#"):
            flush()
            out.append((line.lstrip("# "), "strong"))
        elif not line.strip():
            flush()
            out.append(("", "text"))
        else:
            if line.startswith("|") or _ITEM.match(line):
                flush()
            paragraph.append(line.strip())
    flush()
    return out


def _command(line: str, width: int) -> list[str]:
    """A command or a line of a file, whole: what does not fit continues below, indented."""
    if cell_len(line) <= width:
        return [line]
    indent = " " * (len(line) - len(line.lstrip()))
    first, *more = wrapped(line.strip(), width - len(indent) - 4)
    return [f"{indent}{first}", *(f"{indent}    {part}" for part in more)]


def book(name: str) -> str:
    """A runbook's text. The configuration page is generated from the typed plan; a test compares the file."""
    return (files("console") / "help" / f"{name}.md").read_text(encoding="utf-8")
