"""A list that S sorts and / filters; both are named in its title and are the same when the screen is opened again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple, TypeVar

from textual.binding import BindingType

from console.screens.fetching import Searching
from console.screens.page import key

T = TypeVar("T")


class Order(NamedTuple):
    """One way to sort: its words for the title, and the sort key. The first of a screen keeps the list's own order."""

    title: str = ""
    by: Callable[[Any], Any] | None = None
    largest: bool = False  # on top

    def sort(self, items: Sequence[T]) -> list[T]:
        return list(items) if self.by is None else sorted(items, key=self.by, reverse=self.largest)


class Ordered(Searching):
    """Subclasses set ORDERS, and sort what they list with `sorted_by.sort`."""

    ORDERS: ClassVar[tuple[Order, ...]] = (Order(),)
    BINDINGS: ClassVar[list[BindingType]] = [key("S", "sort", "change the sort order")]

    @property
    def order(self) -> int:
        """An index into ORDERS."""
        return min(self.console.orders.get(self.TITLE, 0), len(self.ORDERS) - 1)

    @property
    def sorted_by(self) -> Order:
        return self.ORDERS[self.order]

    def titled(self, title: str) -> str:
        name, largest = self.sorted_by.title, self.sorted_by.largest
        return super().titled(f"{title} · {name} {'▼' if largest else '▲'}" if name else title)

    def action_sort(self) -> None:
        self.console.orders[self.TITLE] = (self.order + 1) % len(self.ORDERS)
        self.first()
        self.refreshed()

    def first(self) -> None:
        """Put the cursor on the first row: the rows have changed places."""
        self.rows.place(0)  # type: ignore[attr-defined]
