"""Areas of a screen and what fills them: panels, stacks and grids, meters, lists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rich.cells import cell_len

from console.widgets.canvas import Canvas, columns

SELECT = {
    "text": "select", "strong": "select", "dim": "select-dim", "faint": "select-dim", "head": "select-dim",
    "line": "select-dim", "ok": "select-ok", "ok+": "select-ok", "warn": "select-warn", "warn+": "select-warn",
    "bad": "select-bad", "bad+": "select-bad", "key": "select-key", "llm": "select-key", "freq": "select-dim",
    "*": "select",
}  # fmt: skip
BOXED = 110  # from this width on, panels are boxes; below it there is only room for a rule


class Area(NamedTuple):
    """A rectangle of cells."""

    x: int
    y: int
    width: int
    height: int


def frame_rows(c: Canvas) -> int:
    """How many rows the frame of a panel takes."""
    return 2 if c.width >= BOXED else 1


def inside(c: Canvas, area: Area) -> Area:
    """The inner area of a panel in `area`."""
    if c.width < BOXED or area.height < 3:
        return below(area, 1)
    return Area(area.x + 2, area.y + 1, area.width - 4, area.height - 2)


def panel(c: Canvas, area: Area, title: str, note: str = "", note_style: str = "text") -> Area:
    """A titled area: a box on a wide screen, a rule on a narrow one. Returns the inner area."""
    x, y, width, height = area
    if c.width < BOXED or height < 3:
        c.rule(x, y, width, title, "line")
        if note and width > cell_len(title) + cell_len(note) + 4:
            c.right(x + width, y, f" {note}", note_style)
        return inside(c, area)
    c.fill(x, y, width, "line", "-" if c.ascii else "─")
    c.fill(x, y + height - 1, width, "line", "-" if c.ascii else "─")
    for row in range(y + 1, y + height - 1):
        c.put(x, row, "│", "line")
        c.put(x + width - 1, row, "│", "line")
    for column, row, corner in (
        (x, y, "╭"),
        (x + width - 1, y, "╮"),
        (x, y + height - 1, "╰"),
        (x + width - 1, y + height - 1, "╯"),
    ):
        c.fill(column, row, 1, "line", "+" if c.ascii else corner)
    c.put(x + 1, y, f" {title} ", "head", width - 4)
    if note and width > cell_len(title) + cell_len(note) + 8:
        c.right(x + width - 2, y, f" {note} ", note_style)
    return inside(c, area)


def below(area: Area, rows: int) -> Area:
    """The area below the first `rows`."""
    return Area(area.x, area.y + rows, area.width, max(0, area.height - rows))


def beside(area: Area, weights: Sequence[float], gap: int = 1) -> list[Area]:
    """Areas next to each other that share the width by weight."""
    places = columns(area.width, weights, gap)
    return [Area(area.x + left, area.y, width, area.height) for left, width in places]


def stack(area: Area, wanted: Sequence[int]) -> list[Area]:
    """Stacked areas of the wanted heights, as far as there is room; the last gets the rest."""
    out: list[Area] = []
    y, left = area.y, area.height
    for i, height in enumerate(wanted):
        rest = sum(1 for h in wanted[i + 1 :] if h) * 4
        taken = left if i == len(wanted) - 1 else max(0, min(height, left - rest))
        out.append(Area(area.x, y, area.width, taken))
        y, left = y + taken, left - taken
    return out


def grid(area: Area, count: int, across: int, gap: int = 1) -> list[Area]:
    """Split an area into `count` equal ones, `across` in a row."""
    down = -(-count // across)
    heights, widths = (columns(area.height, (1,) * down, 0), columns(area.width, (1,) * across, gap))
    spots = [(heights[i // across], widths[i % across]) for i in range(count)]
    return [Area(area.x + left, area.y + top, width, height) for (top, height), (left, width) in spots]


def meter(c: Canvas, x: int, y: int, width: int, share: float, style: str, back: str = "line") -> None:
    """A bar of filled and empty cells."""
    full = round(width * min(1.0, max(0.0, share)))
    c.fill(x, y, width, back, "." if c.ascii else "░")
    c.fill(x, y, full, style, "#" if c.ascii else "▇")


def bullets(c: Canvas, area: Area, lines: Sequence[str], sign: str, style: str, empty: str = "") -> int:
    """A list of wrapped items, as many as fit, and a count of the rest. Returns the rows used."""
    if not lines:
        return c.block(area.x, area.y, area.width, area.height, empty, "dim") if area.height > 0 else 0
    row = 0
    for number, line in enumerate(lines):
        rest = len(lines) - number - 1
        room = area.height - row - (1 if rest else 0)
        if room < 1 and number:
            c.put(area.x + 2, area.y + row, f"and {rest + 1} more", "dim", area.width - 2)
            return row + 1
        room = max(room, min(1, area.height - row))
        c.put(area.x, area.y + row, sign, style)
        row += c.block(area.x + 2, area.y + row, area.width - 2, room, line, "text")
    return row


def scrolled(c: Canvas, area: Area, title: str, lines: Sequence[str], top: int) -> int:
    """A panel with the lines from `top` on, and which of all they are. Returns `top`, moved to where there is text."""
    rows = inside(c, area).height
    top = max(0, min(top, len(lines) - rows))
    last = min(len(lines), top + rows)
    inner = panel(c, area, title, f"{top + 1}-{last} of {len(lines)}" if len(lines) > rows else "", "dim")
    for row, line in enumerate(lines[top:last]):
        c.put(inner.x, inner.y + row, line, "text", inner.width)
    return top


def tinted(c: Canvas, y: int, x: int, width: int) -> None:
    """The selected line."""
    c.tint(y, SELECT, x, width)


def facts(c: Canvas, area: Area, rows: Sequence[tuple[str, str, str]]) -> int:
    """Names and values in two columns, values wrapped: (name, value, style). Returns the rows used."""
    name_width = max((cell_len(name) for name, _, _ in rows), default=0) + 2
    used = 0
    for name, value, style in rows:
        if used >= area.height:
            break
        c.put(area.x, area.y + used, name, "dim", name_width)
        used += c.block(area.x + name_width, area.y + used, area.width - name_width, area.height - used, value, style)
    return used
