"""One document on its way through the LLM arm: what went wrong, how long each part took, the model's first words, both
keyword lists, its text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from textual.binding import BindingType

from console import explain
from console.screens.asking import complain
from console.screens.fetching import FetchingPage
from console.screens.page import Hint, key
from console.widgets import blocks, words
from console.widgets.blocks import Area, below
from console.widgets.canvas import Canvas, paragraphs
from console.widgets.keywords import keyword_list
from engine.metrics import requests
from engine.metrics.requests import Request
from engine.plan.durations import iso
from engine.store.documents import Document
from engine.text import clean_block
from engine.view.model import View

MOST_TEXT = 200_000
Facts = list[tuple[str, str, str]]


class OneRequest(FetchingPage):
    """A request by its number, or the last one of a document."""

    NUMBER: ClassVar[int] = 12
    TITLE: ClassVar[str] = "Request"
    TRAVELS: ClassVar[bool] = True
    ABOUT: ClassVar[str] = "one document: both keyword lists, the request's timing, the model's first words, the text"
    BINDINGS: ClassVar[list[BindingType]] = [
        key("j,down", "scroll(1)", "scroll down"),
        key("k,up", "scroll(-1)", "scroll up"),
        key("pagedown,space", "scroll(10)", "ten lines down", show=False),
        key("pageup", "scroll(-10)", "ten lines up", show=False),
        key("g,home", "scroll(-100000)", "to the top", show=False),
        key("G,end", "scroll(100000)", "to the end", show=False),
        key("enter", "whole", "the text alone, and back"),
        key("c", "complaint", "record a complaint about this document"),
    ]

    def __init__(self, request: int = 0, document: str = "") -> None:
        super().__init__()
        self.number, self.named = request, document
        self.request: Request | None = None
        self.document: Document | None = None
        self.read_once = False
        self.whole = False  # the text alone
        self.top = 0

    def explained(self) -> list[explain.Explained]:
        return explain.deeper(self.TITLE)

    def hints(self) -> tuple[Hint, ...]:
        return (
            ("enter", "keywords" if self.whole else "the text alone", "whole"),
            ("j k", "scroll", ""),
            ("c", "complaint", "complaint"),
            ("esc", "back", "app.back"),
        )

    def wanted(self) -> Any:
        return (self.number, self.named)

    def fetch(self, wanted: Any) -> Callable[[], None]:
        v = self.console.live.view
        now = v.at if v is not None else 0.0
        read = self.console.link.reader.read
        if self.number:
            one = read(lambda conn: requests.request(conn, self.number))
        else:
            one = read(lambda conn: requests.of_document(conn, self.named, now))
        name = one.document if one is not None else self.named
        document = self.console.link.reader.document(name) if name else None

        def put() -> None:
            self.request, self.document, self.read_once = one, document, True

        return put

    def paint(self, c: Canvas, v: View, y: int) -> None:
        area = self.area(c, y)
        if self.trouble or not self.read_once:
            c.block(area.x, y, area.width, 3, self.trouble or "Reading …", "bad" if self.trouble else "dim")
            return
        d, r = self.document, self.request
        if self.whole and d is not None:
            self._text(c, area, d)
            return
        name = self.named
        if d is not None:
            name = d.title or d.id
        elif r is not None:
            name = r.document
        c.put(area.x, area.y, name or "no document", "strong", area.width)
        area = below(area, 1)
        rows = request_facts(r, v.at) if r is not None else [("request", _none(d), "dim")]
        used = blocks.facts(c, Area(area.x, area.y, area.width, min(8, area.height // 2)), rows)
        area = below(area, used)
        if d is None:
            c.block(area.x, area.y, area.width, 2, "The document is no longer in the store.", "warn")
            return
        longest = max(len(d.frequency), len(d.llm if d.llm is not None else d.shadow or ()))
        listed = max(4, min(longest + 2, area.height - 4 if area.height > 12 else area.height))
        keywords(c, Area(area.x, area.y, area.width, listed), d)
        self._text(c, below(area, listed), d)

    def _text(self, c: Canvas, area: Area, d: Document) -> None:
        if area.height < 2:
            return
        text = clean_block(d.text, MOST_TEXT) if d.text else "The store does not keep its text."
        lines = paragraphs(text, blocks.inside(c, area).width)
        self.top = blocks.scrolled(c, area, f"text of {d.id}", lines, self.top)

    def action_whole(self) -> None:
        self.whole, self.top = not self.whole, 0
        self.repaint()

    def action_scroll(self, by: int) -> None:
        self.top = max(0, self.top + by)
        self.repaint()

    def action_complaint(self) -> None:
        d = self.document
        if d is not None:
            complain(self.console, d.id, d.title)


def _none(d: Document | None) -> str:
    if d is not None and d.arm == "control":
        return "none: this document is on the frequency arm"
    return "none kept for this document"


def request_facts(r: Request, now: float) -> Facts:
    """The facts in a request's row, as names and values."""
    if r.cached:
        ended = "answered from the cache; no call was made"
    elif r.error is None:
        ended = "answered"
    else:
        ended = f"{r.error}: {r.message}" if r.message else r.error
    waited = f"{words.ms(r.queue_ms)} in our queue" if r.queue_ms else "no wait in our queue"
    calls = f", {r.tries} call{'s' if r.tries != 1 else ''}" if r.tries else ""
    took = (
        f"{words.ms(r.ms)}: {waited}, {words.ms(max(0.0, r.ms - r.queue_ms))} in calls{calls}"
        if r.ms
        else "no call was made"
    )
    served = (
        "shadow: stored, not served" if r.shadow else f"served by {'the LLM' if r.method == 'llm' else 'frequency'}"
    )
    dropped = f"{r.proposed} keywords proposed, {r.ungrounded} dropped: the text does not support them"
    rows: Facts = [
        ("result", ended, "bad" if r.error is not None else "text"),
        ("took", took, "text"),
        ("first words", r.answer, "warn"),
        ("answer", dropped if r.proposed else "", "text"),
        ("when", f"{iso(r.at)} ({words.ago(r.at, now)}), stage {r.stage}, {r.arm} arm; {served}", "dim"),
        ("server", r.server, "dim"),
    ]
    return [row for row in rows if row[1]]


def keywords(c: Canvas, area: Area, d: Document) -> int:
    """Both methods' keywords side by side, with shared ones marked. Returns the rows used."""
    llm = d.llm if d.llm is not None else d.shadow
    name = "LLM" if d.llm is not None or d.shadow is None else "LLM (shadow, never served)"
    left, right = blocks.beside(area, (1, 1), 2)
    return max(
        keyword_list(c, left, name, "llm", llm, d.frequency, d.method == "llm"),
        keyword_list(c, right, "frequency", "freq", d.frequency, llm or (), d.method != "llm"),
    )
