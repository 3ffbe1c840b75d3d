"""The inbox on the canvas: each task with its key, the most pressing whole, how many more there are."""

from __future__ import annotations

from collections.abc import Sequence

from console.widgets.blocks import Area
from console.widgets.canvas import Canvas, wrapped
from console.widgets.waiting import WaitingRow, folded, heights

KEY_WIDTH = 2


def tasks(c: Canvas, area: Area, rows: Sequence[WaitingRow], empty: str) -> None:
    """As many rows as fit; where not all do, the checklist is one row."""
    x, y, width, room = area
    if room < 1:
        return
    if not rows:
        c.block(x, y, width, room, empty, "ok")
        return
    if len(rows) > room:
        short = folded(rows)
        spare = room - sum(len(wrapped(row.text, width - KEY_WIDTH)) for row in short)
        rows = folded(rows, max(0, spare))
    texts = [wrapped(row.text, width - KEY_WIDTH) for row in rows]
    given = heights([len(lines) for lines in texts], room)
    for row, height in zip(rows, given, strict=False):
        c.put(x, y, row.key or "○", "key" if row.key else "warn")
        if height == 1:  # cut within a word, where it must be cut: the more the better
            c.put(x + KEY_WIDTH, y, row.text, "text", width - KEY_WIDTH)
        used = 1 if height == 1 else c.block(x + KEY_WIDTH, y, width - KEY_WIDTH, height, row.text, "text")
        if row.when:
            c.put(x + KEY_WIDTH, y, row.when, "warn+", width - KEY_WIDTH)
        if row.action:
            c.zone(x, y, width, used, row.action)
        y += used
    if left := sum(row.tasks for row in rows[len(given) :]):
        c.spans(x, y, [("! ", "key"), (f"and {left} more", "dim")], width)
        c.zone(x, y, width, 1, "app.inbox")
