"""Documents and their keywords by both methods, side by side; search; restore."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from textual.binding import BindingType

from console import explain
from console.screens.asking import complain
from console.screens.drill.request import OneRequest, keywords
from console.screens.ordering import Order, Ordered
from console.screens.page import LIST_KEYS, Hint, key
from console.screens.rows import Rows, draw
from console.widgets import blocks, words
from console.widgets.blocks import Area
from console.widgets.canvas import Canvas, paragraphs
from engine.store.documents import Document, DocumentOrder
from engine.text import clean_block, clean_line
from engine.view.model import View

MOST = 200  # documents listed
SHOW = {None: "show all", "llm": "LLM only", "frequency": "frequency only"}
FILTERS: tuple[str | None, ...] = (None, "llm", "frequency")


class Documents(Ordered):
    NUMBER: ClassVar[int] = 7
    TITLE: ClassVar[str] = "Docs"
    ABOUT: ClassVar[str] = "search documents, compare both methods' keywords, restore"
    PROMPT: ClassVar[str] = "search titles and keywords"
    ENTER: ClassVar[str] = "open"
    ORDERS: ClassVar[tuple[Order, ...]] = (  # the store sorts, so that the list begins with the first of all documents
        Order(),  # newest first
        Order("title"),
        Order("most LLM keywords", largest=True),
        Order("served by"),
    )
    STORE_ORDERS: ClassVar[tuple[DocumentOrder, ...]] = ("", "title", "llm_keywords", "method")
    BINDINGS: ClassVar[list[BindingType]] = [
        *LIST_KEYS,
        key("enter", "open", "the document: both lists, its request, its text"),
        key("m", "method", "all, served by LLM, served by frequency"),
        key("t", "restore", "restore frequency keywords wherever the LLM wrote"),
        key("T", "undo_restore", "undo the last restore"),
        key("c", "complaint", "record a complaint about this document"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.rows = Rows()
        self.documents: list[Document] = []
        self.chosen: Document | None = None
        self.method = 0
        self._listed: Any = None  # the query of the current list

    def explained(self) -> list[explain.Explained]:
        return explain.terms("document", "arm", "grounding")

    def hints(self) -> tuple[Hint, ...]:
        v = self.snapshot.view
        out: list[Hint] = [
            ("enter", "open", "open"),
            ("/", "search", "search"),
            ("S", "sort", "sort"),
            ("m", SHOW[FILTERS[(self.method + 1) % len(FILTERS)]], "method"),
            ("c", "complaint", "complaint"),
        ]
        if v and v.restore and v.restore.documents:
            out.append(("t", f"restore {words.count(v.restore.documents)}", "restore"))
        if v and v.restore and v.restore.undoable:
            out.append(("T", "undo restore", "undo_restore"))
        return tuple(out)

    def wanted(self) -> Any:
        at = self.documents[self.rows.at].id if self.rows.at < len(self.documents) else ""
        v = self.snapshot.view
        # a list must not jump under the cursor: reread it for other words, after a restore, or every 10 s at the top of
        # the newest; another order reads every document
        beat = int(v.at // max(10.0, 10 * v.speed)) if v and self.rows.at == 0 and not self.order else 0
        return (
            (self.text_wanted, FILTERS[self.method], self.order),
            at,
            beat,
            v.restore.last_id if v and v.restore else None,
        )

    def fetch(self, wanted: Any) -> Callable[[], None]:
        (text, method, order), at, beat, restored = wanted
        before = self._listed
        same = before is not None and before[0] == (text, method, order)
        if same and before[2] == restored and beat in (0, before[1]):
            matches = self.documents
        else:
            matches = self.console.link.reader.documents(text, MOST, method, self.STORE_ORDERS[order])
        # keep the cursor on its document, or at the top of a growing list
        place = next((i for i, d in enumerate(matches) if d.id == at), 0) if same and not beat else 0
        chosen = self.console.link.reader.document(matches[place].id) if matches else None

        def put() -> None:
            moved = self.documents[self.rows.at].id != at if self.rows.at < len(self.documents) else False
            self.documents, self.chosen, self._listed = (
                matches,
                chosen,
                ((text, method, order), beat or (before[1] if same else 0), restored),
            )
            if not moved:  # otherwise a key was pressed in the meantime: read its selection next
                self.rows.at = place

        return put

    def paint(self, c: Canvas, v: View, y: int) -> None:
        area = self.area(c, y)
        if c.width >= 200:
            left, middle, right = blocks.beside(area, (1, 1, 1))
            self._list(c, left, v)
            self._chosen(c, middle, with_text=False)
            self._text(c, right)
            return
        if c.width >= 120:
            listed, chosen = blocks.beside(area, (1, 1))
        else:
            listed, chosen = blocks.stack(area, (max(4, area.height * 2 // 5), 0))
        self._list(c, listed, v)
        self._chosen(c, chosen)

    def _list(self, c: Canvas, area: Area, v: View) -> None:
        served = {None: "all", "llm": "served by LLM", "frequency": "served by frequency"}[FILTERS[self.method]]
        inner = blocks.panel(c, area, self.titled(f"documents · {served}"), self._restorable(v), "dim")
        if self.trouble or not self.documents:
            self._none(c, inner)

        def line(index: int, y: int) -> None:
            d = self.documents[index]
            method = ("llm ", "llm") if d.method == "llm" else ("freq", "freq")
            stamp = (f"{words.hour(d.updated, v.at):<11} ", "dim")
            restored = ("◂ " if d.restored else "  ", "warn")
            c.spans(inner.x, y, [stamp, method, restored, (d.title or d.id, "text")], inner.width)

        draw(c, inner, self.rows, len(self.documents), line)

    def _none(self, c: Canvas, area: Area) -> None:
        if self.trouble:
            c.block(area.x, area.y, area.width, 3, self.trouble, "bad")
        elif self.busy and not self.text_wanted:
            c.put(area.x, area.y, "Reading the documents …", "dim", area.width)
        elif self.text_wanted:
            c.block(
                area.x, area.y, area.width, 3, "No document has all these words. / edits them, esc clears them.", "dim"
            )
        elif FILTERS[self.method]:
            c.block(area.x, area.y, area.width, 3, "No document is served by this method. m changes the filter.", "dim")
        else:
            c.block(area.x, area.y, area.width, 3, "No documents yet: `rollout load PATH`, or POST /v1/extract.", "dim")

    def _restorable(self, v: View) -> str:
        n = v.restore.documents if v.restore else 0
        return f"{words.count(n)} serve LLM keywords" if n else ""

    def _text(self, c: Canvas, area: Area) -> None:
        """The document's own text, line by line."""
        d = self.chosen
        x, y, width, rows = blocks.panel(c, area, "text", d.id if d else "", "dim")
        text = clean_block(d.text, (rows + 1) * width) if d and d.text else ""  # only as much as the panel shows
        for row, line in enumerate(paragraphs(text, width)[:rows]):
            c.put(x, y + row, line, "text", width)

    def _chosen(self, c: Canvas, area: Area, with_text: bool = True) -> None:
        """Both methods' keywords side by side, with shared ones marked, then the text."""
        d = self.chosen
        served = (
            f"serves {'LLM' if d.method == 'llm' else 'frequency'} keywords{', restored' if d.restored else ''}"
            if d
            else ""
        )
        x, y, width, rows = blocks.panel(c, area, "keywords by both methods", served, "dim")
        if d is None or rows < 3:
            return
        c.spans(x, y, [(d.title or d.id, "strong"), (f"  {d.arm} arm", "dim")], width)
        used = keywords(c, Area(x, y + 1, width, rows - 1), d)
        top = used + 2
        if with_text and rows - top >= 3 and d.text:
            c.rule(x, y + top, width, "text")
            c.block(x, y + top + 1, width, rows - top - 1, clean_line(d.text, 6000), "dim")

    def action_open(self) -> None:
        if self.chosen is not None:
            self.console.push_screen(OneRequest(document=self.chosen.id))

    def action_move(self, by: int) -> None:
        self.rows.move(by, len(self.documents))
        self.refreshed()

    def action_method(self) -> None:
        self.method = (self.method + 1) % len(FILTERS)
        self.rows = Rows()
        self.refreshed()

    def action_restore(self) -> None:
        self.console.restore()

    def action_undo_restore(self) -> None:
        self.console.act("undo_restore")

    def action_complaint(self) -> None:
        d = self.chosen
        complain(self.console, d.id, d.title) if d else complain(self.console)
