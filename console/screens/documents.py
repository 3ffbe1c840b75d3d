"""Documents and their keywords by both methods, side by side; search; restore."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from textual.binding import BindingType

from console.screens.fetching import Searching
from console.screens.page import LIST_KEYS, Hint, key
from console.screens.rows import Rows
from console.widgets import blocks, words
from console.widgets.blocks import Area
from console.widgets.canvas import Canvas, columns, paragraphs
from engine.store.documents import Document
from engine.text import clean_block, clean_line
from engine.view.model import View

MOST_TEXT = 200_000
FILTERS: tuple[str | None, ...] = (None, "llm", "frequency")


class Documents(Searching):
    NUMBER: ClassVar[int] = 7
    TITLE: ClassVar[str] = "Docs"
    ABOUT: ClassVar[str] = "search documents, compare both methods' keywords, restore"
    PROMPT: ClassVar[str] = "search titles and keywords"
    BINDINGS: ClassVar[list[BindingType]] = [
        *LIST_KEYS,
        key("enter", "whole", "the whole document, and back"),
        key("m", "method", "all, served by LLM, served by frequency"),
        key("t", "restore", "restore frequency keywords wherever the LLM wrote"),
        key("T", "undo_restore", "undo the last restore"),
        key("c", "complaint", "record a complaint about this document"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.rows = Rows()
        self.found: list[Document] = []
        self.chosen: Document | None = None
        self.method = 0
        self.whole = False  # show the selected document's text instead of the list
        self.top = 0
        self._listed: Any = None  # the query of the current list

    def hints(self) -> tuple[Hint, ...]:
        if self.whole:
            return (("enter", "back to the list", "whole"), ("j k", "scroll", ""), ("c", "complaint", "complaint"))
        v = self.sight.view
        out: list[Hint] = [
            ("enter", "read it", "whole"),
            ("/", "search", "search"),
            ("m", f"show {FILTERS[self.method] or 'all'}", "method"),
            ("c", "complaint", "complaint"),
        ]
        if v and v.restore and v.restore.documents and not self.console.read_only:
            out.append(("t", f"restore {words.count(v.restore.documents)}", "restore"))
        if v and v.restore and v.restore.undoable and not self.console.read_only:
            out.append(("T", "undo restore", "undo_restore"))
        return tuple(out)

    def wanted(self) -> Any:
        at = self.found[self.rows.at].id if self.rows.at < len(self.found) else ""
        v = self.sight.view
        # a list must not jump under the cursor: reread it for other words, after a restore, or every 10 s at its top
        beat = int(v.at // max(10.0, 10 * v.speed)) if v and self.rows.at == 0 else 0
        return (self.text_wanted, FILTERS[self.method], at, beat, v.restore.last_id if v and v.restore else None)

    def fetch(self, wanted: Any) -> Callable[[], None]:
        text, method, at, beat, restored = wanted
        before = self._listed
        same = before is not None and before[:2] == (text, method)
        if same and before[3] == restored and beat in (0, before[2]):
            found = self.found
        else:
            found = self.console.link.documents(text, 200, method)
            if method and text.strip():
                found = [d for d in found if d.method == method]
        # keep the cursor on its document, or at the top of a growing list
        place = next((i for i, d in enumerate(found) if d.id == at), 0) if same and not beat else 0
        chosen = self.console.link.document(found[place].id) if found else None

        def put() -> None:
            moved = self.found[self.rows.at].id != at if self.rows.at < len(self.found) else False
            self.found, self.chosen, self._listed = (
                found,
                chosen,
                (text, method, beat or (before[2] if same else 0), restored),
            )
            if not moved:  # else a key was pressed meanwhile: read its selection next
                self.rows.at = place

        return put

    def paint(self, c: Canvas, v: View, y: int) -> None:
        area = self.area(c, y)
        if self.whole:
            self._whole(c, area)
            return
        if c.width >= 200:
            (left, lw), (middle, mw), (right, rw) = columns(area.width, (1, 1, 1), 1)
            self._list(c, Area(area.x + left, y, lw, area.height), v)
            self._chosen(c, Area(area.x + middle, y, mw, area.height), with_text=False)
            self._text(c, Area(area.x + right, y, rw, area.height))
            return
        if c.width >= 120:
            (left, lw), (right, rw) = columns(area.width, (1, 1), 1)
            self._list(c, Area(area.x + left, y, lw, area.height), v)
            self._chosen(c, Area(area.x + right, y, rw, area.height))
            return
        rows = max(4, area.height * 2 // 5)
        self._list(c, Area(area.x, y, area.width, rows), v)
        self._chosen(c, Area(area.x, y + rows, area.width, area.height - rows))

    def _list(self, c: Canvas, area: Area, v: View) -> None:
        served = {None: "all", "llm": "served by LLM", "frequency": "served by frequency"}[FILTERS[self.method]]
        search = f" with “{self.text_wanted}”" if self.text_wanted else ""
        inner = blocks.panel(c, area, f"documents · {served}{search}", self._restorable(v), "dim")
        if self.trouble or not self.found:
            self._none(c, inner)
        for row, index in enumerate(self.rows.window(len(self.found), inner.height) if self.found else ()):
            d = self.found[index]
            method = ("llm ", "llm") if d.method == "llm" else ("freq", "freq")
            stamp = (f"{words.hour(d.updated, v.at):<11} ", "dim")
            c.spans(
                inner.x,
                inner.y + row,
                [stamp, method, ("◂ " if d.restored else "  ", "warn"), (d.title or d.id, "text")],
                inner.width,
            )
            if index == self.rows.at:
                blocks.tinted(c, inner.y + row, inner.x, inner.width)

    def _none(self, c: Canvas, area: Area) -> None:
        if self.trouble:
            c.block(area.x, area.y, area.width, 3, self.trouble, "bad")
        elif self.busy and not self.text_wanted:
            c.put(area.x, area.y, "Reading the documents …", "dim", area.width)
        elif self.text_wanted:
            c.block(
                area.x,
                area.y,
                area.width,
                3,
                "No document has all these words. / changes them, esc clears them.",
                "dim",
            )
        elif FILTERS[self.method]:
            c.block(area.x, area.y, area.width, 3, "No document is served by this method. m shows the others.", "dim")
        else:
            c.block(area.x, area.y, area.width, 3, "No documents yet: `rollout load PATH`, or POST /v1/extract.", "dim")

    def _restorable(self, v: View) -> str:
        n = v.restore.documents if v.restore else 0
        return f"{words.count(n)} serve LLM keywords" if n else ""

    def _whole(self, c: Canvas, area: Area) -> None:
        """The whole selected document."""
        d = self.chosen
        x, y, width, rows = blocks.panel(c, area, d.title or d.id if d else "no document", d.id if d else "", "dim")
        text = clean_block(d.text, MOST_TEXT) if d and d.text else "Its text is not kept."
        lines = paragraphs(text, width)
        self.top = max(0, min(self.top, len(lines) - rows))
        for row, line in enumerate(lines[self.top : self.top + rows]):
            c.put(x, y + row, line, "text", width)

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
        llm = d.llm if d.llm is not None else d.shadow
        name = "LLM" if d.llm is not None or d.shadow is None else "LLM (shadow, never served)"
        (left, lw), (right, rw) = columns(width, (1, 1), 2)
        shared = set(d.frequency) & set(llm or ())
        used = _keywords(c, Area(x + left, y + 1, lw, rows - 1), name, "llm", llm, shared, d.method == "llm")
        used = max(
            used,
            _keywords(
                c, Area(x + right, y + 1, rw, rows - 1), "frequency", "freq", d.frequency, shared, d.method != "llm"
            ),
        )
        top = used + 2
        if with_text and rows - top >= 3 and d.text:
            c.rule(x, y + top, width, "text")
            c.block(x, y + top + 1, width, rows - top - 1, clean_line(d.text, 6000), "dim")

    def action_whole(self) -> None:
        self.whole, self.top = not self.whole and self.chosen is not None, 0
        self.repaint()

    def action_move(self, by: int) -> None:
        if self.whole:
            self.top = max(0, self.top + by)
            self.repaint()
            return
        self.rows.move(by, len(self.found))
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
        about = f"{d.title or d.id}" if d else "no document in particular"
        self.console.ask_text(
            "A complaint about search quality", [about, "More than 5 pause the rollout, more than 10 roll it back."], "what was said",
            lambda text: self.console.act("complaint", text=text, document=d.id if d else ""), least=1, yes="record",
        )  # fmt: skip


def _keywords(
    c: Canvas, area: Area, name: str, style: str, keywords: Sequence[str] | None, shared: set[str], served: bool
) -> int:
    """One method's keywords below its name; "=" marks those that both methods found. Returns the rows used."""
    x, y, width, rows = area
    number = f" · {len(keywords)}" if keywords else ""
    c.spans(x, y, [(name, style), (number, "dim"), (" ● served" if served else "", style)], width)
    if keywords is None:
        c.put(x, y + 1, "none: the LLM never processed this document", "dim", width)
        return 2
    shown = keywords[: rows - 1]
    for row, keyword in enumerate(shown):
        c.spans(x, y + 1 + row, [("= " if keyword in shared else "  ", "dim"), (keyword, "text")], width)
    if len(keywords) > len(shown) and rows > 1:
        c.fill(x, y + rows - 1, width, "text")
        c.put(x + 2, y + rows - 1, f"and {len(keywords) - len(shown) + 1} more", "dim", width)
    return 1 + len(shown)
