"""The LLM requests behind a figure, those against the rollout first. Enter shows one of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from console.screens.drill.request import OneRequest
from console.screens.listing import Column, Listing, ListRow
from console.widgets import words
from engine.metrics import requests
from engine.metrics.requests import LISTED, Request, Scope


class Requests(Listing):
    """`scope` is asked at each reading, because its time moves."""

    TITLE: ClassVar[str] = "Requests"
    ABOUT: ClassVar[str] = "LLM requests behind a figure; Enter: one of them, with both keyword lists"
    BELOW: ClassVar[str] = "the request"
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("time", 11, largest=True), Column("result", 14), Column("took", 8, largest=True, right=True),
        Column("tries", 5, largest=True, right=True), Column("dropped", 7, largest=True, right=True),
        Column("document", 0),
    )  # fmt: skip

    def __init__(self, of: str, scope: Callable[[], Scope]) -> None:
        super().__init__()
        self.of, self.scope = of, scope

    def heading(self) -> tuple[str, str]:
        more = "+" if len(self.lines) == LISTED else ""
        return f"requests: {self.of}", f"{len(self.lines)}{more}"

    def empty(self) -> str:
        return "no such requests: none were made, or retention has deleted them"

    def read(self) -> list[ListRow]:
        scope = self.scope()
        rows = self.console.link.reader.read(lambda conn: requests.requests(conn, scope))
        return [_line(one, scope.until) for one in rows]

    def opened(self, line: ListRow) -> None:
        if isinstance(line.key, int):
            self.console.push_screen(OneRequest(request=line.key))


def result(one: Request) -> tuple[str, str]:
    """How it ended, in a word, and its style."""
    if one.error is not None:
        return one.error, "bad"
    if one.cached:
        return "from cache", "dim"
    return ("shadow" if one.shadow else "answered", "ok") if one.method == "llm" else ("frequency", "dim")


def _line(one: Request, until: float) -> ListRow:
    ended = result(one)
    cells = (
        (words.hour(one.at, until), "dim"), ended, (words.ms(one.ms) if one.ms else "-", "text"),
        (str(one.tries or "-"), "text"), (f"{one.ungrounded}/{one.proposed}" if one.proposed else "-", "text"),
        (one.title or one.document, "text"),
    )  # fmt: skip
    order = (one.at, ended[0], one.ms, one.tries, float(one.ungrounded), one.title or one.document)
    return ListRow(one.id, cells, order, one.message or one.document)
