"""A table as a screen: a heading, rows in the order of any column, a filter in the title, a line about the selected
row.

S sorts by the next column, and after the last one leaves the rows as read; a click on a heading sorts by it, a click on
a row selects it, another opens it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, ClassVar, NamedTuple

from textual.binding import BindingType

from console import explain
from console.screens.fetching import Searching, matches
from console.screens.page import LIST_KEYS, Hint, key
from console.screens.rows import Rows, draw
from console.widgets import blocks
from console.widgets.blocks import Area
from console.widgets.canvas import Canvas, Span, fit
from engine.view.model import View

Order = float | str | None


class Column(NamedTuple):
    """`width` 0 takes the rest. `largest`: sorted by this column, the largest is on top."""

    title: str
    width: int
    largest: bool = False
    right: bool = False


class ListRow(NamedTuple):
    """A row: its identity, a cell and a value to sort by for each column, and what is shown below while it is
    selected."""

    key: Hashable
    cells: Sequence[Span]
    order: Sequence[Order]
    about: str = ""


class Listing(Searching):
    """Subclasses set COLUMNS, fetch `lines` and describe themselves."""

    NUMBER: ClassVar[int] = 12
    TRAVELS: ClassVar[bool] = True
    COLUMNS: ClassVar[tuple[Column, ...]] = ()
    ENTER: ClassVar[str] = "open"
    BELOW: ClassVar[str] = "open"  # what Enter shows, for the hint
    BINDINGS: ClassVar[list[BindingType]] = [
        *LIST_KEYS,
        key("enter", "open", "open the row"),
        key("S", "sort", "sort by the next column"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.rows = Rows()
        self.lines: Sequence[ListRow] = ()

    @property
    def sorted_by(self) -> int:
        """A column; -1: as read. Remembered while the console runs."""
        return min(self.console.orders.get(self.TITLE, 0), len(self.COLUMNS)) - 1

    # -- for subclasses ------------------------------------------------------------------------------------------------

    def heading(self) -> tuple[str, str]:
        """The panel's title and its note."""
        return self.TITLE, ""

    def empty(self) -> str:
        return "nothing here"

    def read(self) -> Sequence[ListRow]:
        """The rows, read in a thread."""
        raise NotImplementedError

    def opened(self, line: ListRow) -> None:
        """Go deeper."""

    def explained(self) -> list[explain.Explained]:
        return explain.deeper(self.TITLE)

    def wanted(self) -> Any:
        return self.beat()

    def fetch(self, wanted: Any) -> Callable[[], None]:
        lines = self.read()

        def put() -> None:
            self.lines = lines

        return put

    # -- painting ------------------------------------------------------------------------------------------------------

    def hints(self) -> tuple[Hint, ...]:
        return (
            ("enter", self.BELOW, "open"),
            ("S", "sort", "sort"),
            ("/", "filter", "search"),
            ("j k", "move", ""),
            ("esc", "back", "app.back"),
        )

    def shown(self) -> list[ListRow]:
        """The rows that the filter leaves, in order."""
        matching = [line for line in self.lines if matches(self.text_wanted, *(text for text, _ in line.cells))]
        if self.sorted_by < 0:
            return matching
        at = self.sorted_by
        known = [line for line in matching if line.order[at] is not None]
        largest = self.COLUMNS[at].largest
        known.sort(key=lambda line: line.order[at], reverse=largest)  # type: ignore[arg-type,return-value]
        return known + [line for line in matching if line.order[at] is None]

    def paint(self, c: Canvas, v: View, y: int) -> None:
        area = self.area(c, y)
        lines = self.shown()
        self.rows.hold([line.key for line in lines])
        chosen = lines[self.rows.at] if lines else None
        about = 3 if area.height >= 12 and any(line.about for line in lines) else 0
        title, note = self.heading()
        inner = blocks.panel(c, Area(area.x, area.y, area.width, area.height - about), self.titled(title), note, "dim")
        widths = self._widths(inner.width)
        self._head(c, inner, widths)
        body = blocks.below(inner, 1)
        if self.trouble or not lines:
            message = "No row matches; esc shows all." if self.text_wanted and self.lines else self.empty()
            text = self.trouble or ("Reading …" if self.busy and not self.lines else message)
            c.block(body.x, body.y, body.width, body.height, text, "bad" if self.trouble else "dim")
        draw(c, body, self.rows, len(lines), lambda index, y: self._line(c, body, y, widths, lines[index]))
        if about and chosen is not None:
            c.block(area.x + 1, area.y + area.height - about, area.width - 2, about, chosen.about, "text")

    def _widths(self, room: int) -> list[int]:
        fixed = sum(column.width for column in self.COLUMNS) + len(self.COLUMNS) - 1
        return [column.width or max(4, room - fixed) for column in self.COLUMNS]

    def _head(self, c: Canvas, area: Area, widths: Sequence[int]) -> None:
        for index, (column, spot) in enumerate(zip(self.COLUMNS, _spots(area, area.y, widths), strict=True)):
            here = index == self.sorted_by
            text = column.title + (("▼" if column.largest else "▲") if here else "")
            self._cell(c, spot, column, text, "strong" if here else "dim")
            c.zone(spot.x, spot.y, widths[index], 1, f"sort_by({index})")

    def _line(self, c: Canvas, area: Area, y: int, widths: Sequence[int], line: ListRow) -> None:
        for column, spot, (text, style) in zip(self.COLUMNS, _spots(area, y, widths), line.cells, strict=True):
            self._cell(c, spot, column, text, style)

    def _cell(self, c: Canvas, spot: Area, column: Column, text: str, style: str) -> None:
        if spot.width <= 0:
            return
        if column.right:
            c.right(spot.x + spot.width, spot.y, fit(text, spot.width), style)
        else:
            c.put(spot.x, spot.y, text, style, spot.width)

    # -- keys ----------------------------------------------------------------------------------------------------------

    def action_move(self, by: int) -> None:
        self.rows.move(by, len(self.shown()))
        self.refreshed()

    def action_sort(self) -> None:
        self.action_sort_by(self.sorted_by + 1 if self.sorted_by + 1 < len(self.COLUMNS) else -1)

    def action_sort_by(self, column: int) -> None:
        self.console.orders[self.TITLE] = column + 1
        self.rows.place(0)
        self.repaint()

    def action_open(self) -> None:
        lines = self.shown()
        if lines:
            self.opened(lines[min(self.rows.at, len(lines) - 1)])

    def until(self) -> float:
        """The end of the time that is shown: the moment of the cursor, or now."""
        if self.cursor is not None:
            return self.cursor
        v = self.console.live.view
        return v.at if v is not None else 0.0

    def beat(self) -> Any:
        """Changes when it is time to read again: every few seconds while it shows now."""
        v = self.console.live.view
        if self.cursor is not None or v is None:
            return self.cursor
        return int(v.at // max(5.0, 5 * v.speed))


def _spots(area: Area, y: int, widths: Sequence[int]) -> Iterator[Area]:
    """The place of each column in a row, cut where the area ends."""
    x = area.x
    for width in widths:
        yield Area(x, y, min(width, area.x + area.width - x), 1)
        x += width + 1
