"""One method's keywords as a column, with those that both methods found marked."""

from __future__ import annotations

from collections.abc import Sequence

from console.widgets.blocks import Area
from console.widgets.canvas import Canvas


def keyword_list(
    c: Canvas, area: Area, name: str, style: str, keywords: Sequence[str] | None, other: Sequence[str], served: bool
) -> int:
    """One method's keywords below its name; "=" marks those that the other method found too, in any case of letters.
    Returns the rows used."""
    x, y, width, rows = area
    number = f" · {len(keywords)}" if keywords else ""
    c.spans(x, y, [(name, style), (number, "dim"), (" ● served" if served else "", style)], width)
    if keywords is None:
        c.put(x, y + 1, "none: no LLM answer is stored", "dim", width)
        return 2
    shared = {keyword.casefold() for keyword in other}
    shown = keywords[: rows - 1]
    for row, keyword in enumerate(shown):
        c.spans(x, y + 1 + row, [("= " if keyword.casefold() in shared else "  ", "dim"), (keyword, "text")], width)
    if len(keywords) > len(shown) and rows > 1:
        c.fill(x, y + rows - 1, width, "text")
        c.put(x + 2, y + rows - 1, f"and {len(keywords) - len(shown) + 1} more", "dim", width)
    return 1 + len(shown)
