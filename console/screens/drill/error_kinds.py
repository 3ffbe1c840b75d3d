"""Errors by kind, of one server or all: how many, when last. Enter shows the documents."""

from __future__ import annotations

from typing import Any, ClassVar

from textual.binding import BindingType

from console.screens.drill.requests import Requests
from console.screens.listing import Column, Listing, ListRow
from console.screens.page import Hint, key
from console.widgets import words
from engine.metrics import requests
from engine.metrics.requests import Scope

WINDOWS = (("1h", 3600.0), ("24h", 86400.0), ("7d", 7 * 86400.0))


class ErrorKinds(Listing):
    """`server`: its address, "" for requests that reached none, None for all."""

    TITLE: ClassVar[str] = "Errors by kind"
    ABOUT: ClassVar[str] = "errors by kind; Enter: example documents"
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("kind", 14), Column("count", 7, largest=True, right=True), Column("docs", 6, largest=True, right=True),
        Column("last", 11, largest=True), Column("first", 11, largest=True), Column("newest message", 0),
    )  # fmt: skip
    BINDINGS: ClassVar[list[BindingType]] = [key("w", "window", "the last hour, 24 hours or 7 days")]

    def __init__(self, name: str, server: str) -> None:
        super().__init__()
        self.named, self.server = name, server
        self.window = 0

    def heading(self) -> tuple[str, str]:
        errors = sum(int(line.order[1] or 0) for line in self.lines)
        return f"errors of {self.named} by kind, last {WINDOWS[self.window][0]}", f"{errors}"

    def empty(self) -> str:
        return f"no error in the last {WINDOWS[self.window][0]}; w widens the window"

    def hints(self) -> tuple[Hint, ...]:
        return (
            ("enter", "documents", "open"),
            ("w", f"last {WINDOWS[(self.window + 1) % len(WINDOWS)][0]}", "window"),
            *super().hints()[1:],
        )

    def wanted(self) -> Any:
        return (self.beat(), self.window)

    def scope(self, kind: str | None = None) -> Scope:
        until = self.until()
        return Scope(until - WINDOWS[self.window][1], until, server=self.server, kind=kind)

    def read(self) -> list[ListRow]:
        scope = self.scope()
        kinds = self.console.link.reader.read(lambda conn: requests.error_kinds(conn, scope))
        return [_line(one, scope.until) for one in kinds]

    def opened(self, line: ListRow) -> None:
        kind = str(line.key)
        self.console.push_screen(Requests(f"{kind} of {self.named}", lambda: self.scope(kind)))

    def action_window(self) -> None:
        self.window = (self.window + 1) % len(WINDOWS)
        self.refreshed()


def _line(one: requests.ErrorKindCount, until: float) -> ListRow:
    cells = (
        (one.kind, "bad"), (words.count(one.count), "strong"), (words.count(one.documents), "text"),
        (words.hour(one.last, until), "text"), (words.hour(one.first, until), "dim"), (one.message, "dim"),
    )  # fmt: skip
    return ListRow(one.kind, cells, (one.kind, one.count, one.documents, one.last, one.first, one.message), one.message)
