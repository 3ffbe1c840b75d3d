"""A list's selection, which survives changes of the list, and the visible part of the list."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from console.widgets import blocks
from console.widgets.blocks import Area
from console.widgets.canvas import Canvas


class Rows:
    def __init__(self) -> None:
        self.at = 0
        self.top = 0
        self._on: Hashable = None  # the selected item; None: whatever is in row `at`

    def move(self, by: int, count: int) -> None:
        self.at = max(0, min(count - 1, self.at + by))
        self._on = None

    def place(self, at: int) -> None:
        self.at = at
        self._on = None

    def hold(self, keys: Sequence[Hashable]) -> None:
        """Replace the list; the cursor follows its item. A key must never act on a line other than the one on
        screen."""
        if self._on is not None and self._on in keys:
            self.at = keys.index(self._on)
        self.at = max(0, min(self.at, len(keys) - 1))
        self._on = keys[self.at] if keys else None

    def window(self, count: int, room: int) -> range:
        """Indexes to draw, the selected one among them."""
        self.at = max(0, min(self.at, count - 1))
        if self.at < self.top:
            self.top = self.at
        elif self.at >= self.top + room:
            self.top = self.at - room + 1
        self.top = max(0, min(self.top, max(0, count - room)))
        return range(self.top, min(count, self.top + room))


def draw_whole(
    c: Canvas, area: Area, rows: Rows, lines: Sequence[int], line: Callable[[int, int, int], object]
) -> None:
    """Draw a list whose rows are some `lines` high: all in full where they fit, else the selected one, as far as it
    fits, and one line of each other. `line(index, y, height)` paints one row."""
    if not lines or area.height < 1:
        return
    fit = sum(lines) <= area.height
    extra = 0 if fit else min(max(0, lines[rows.at] - 1), area.height - 1)
    y = area.y
    for index in rows.window(len(lines), area.height - extra):
        height = lines[index] if fit else 1 + extra if index == rows.at else 1
        line(index, y, height)
        c.zone(area.x, y, area.width, height, f"pick({index})")
        if index == rows.at:
            for row in range(height):
                blocks.tinted(c, y + row, area.x, area.width)
        y += height


def draw(c: Canvas, area: Area, rows: Rows, count: int, line: Callable[[int, int], object]) -> range:
    """The visible rows of a list: `line(index, y)` paints one. The selected one is tinted; a click picks its row.
    Returns the indexes drawn."""
    shown = rows.window(count, area.height) if count and area.height > 0 else range(0)
    for y, index in enumerate(shown, area.y):
        line(index, y)
        if index == rows.at:
            blocks.tinted(c, y, area.x, area.width)
        c.zone(area.x, y, area.width, 1, f"pick({index})")
    return shown
