"""Mark gold keywords: a document's text, the draft's proposals in a neutral order, and a person's own words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

from msgspec.structs import replace
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input

from console.screens.help import KEYS, book, page_lines
from console.screens.page import shown
from console.widgets import blocks
from console.widgets.blocks import Area
from console.widgets.canvas import Canvas, columns, wrapped
from console.widgets.sheet import Sheet
from console.widgets.sheet_app import SheetApp
from engine.quality.marking import Marked, added, first_open, in_text, toggled
from engine.text import counted

COLUMN = 38  # cells of a keyword, at least
FEW, MANY = 5, 15  # keywords that a document should have


class Marking(SheetApp[None]):
    """`save` is called with all documents after each change that counts; it returns what went wrong, or ""."""

    AUTO_FOCUS = ""
    CSS = SheetApp.CSS + "Input { width: 1fr; dock: bottom; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "move(1)", "next keyword"),
        Binding("k,up", "move(-1)", "previous keyword"),
        Binding("space,x", "keep", "keep it, or not"),
        Binding("a", "add", "add a keyword of your own"),
        Binding("enter", "done", "done: the next document"),
        Binding("u", "undo", "undo the last change"),
        Binding("n,right", "step(1)", "next document"),
        Binding("p,left", "step(-1)", "previous document"),
        Binding("pagedown,ctrl+d", "scroll(1)", "scroll down"),
        Binding("pageup,ctrl+u", "scroll(-1)", "scroll up"),
        Binding("question_mark,f1", "help", "these keys, and how to choose keywords"),
        Binding("q,escape,ctrl+c", "leave", "leave; everything is saved"),
    ]

    def __init__(
        self,
        documents: tuple[Marked, ...],
        texts: Mapping[str, str],
        save: Callable[[tuple[Marked, ...]], str],
        theme: str = "dark",
        ascii_only: bool = False,
    ) -> None:
        super().__init__(theme, ascii_only)
        self.documents = documents
        self.texts = texts
        self.save = save
        self.before: list[tuple[int, Marked]] = []  # each change: which document, and as it was
        self.helping = False
        self.at = first_open(documents)
        self.cursor = 0
        self.top = 0
        self.text_rows = 1
        self.trouble = ""
        self.warning = ""  # about the last key

    def compose(self) -> ComposeResult:
        yield Sheet(id="sheet")
        yield Input(max_length=200, placeholder="a keyword in the document's own words, then enter")

    @property
    def document(self) -> Marked:
        return self.documents[self.at]

    @property
    def done(self) -> int:
        return sum(d.done for d in self.documents)

    def on_mount(self) -> None:
        self.call_after_refresh(self.repaint)

    # -- keys ----------------------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool:
        """On the help page only scrolling and leaving it."""
        return not self.helping or action in ("move", "scroll", "help", "leave", "suspend")

    def action_help(self) -> None:
        self.helping, self.top = not self.helping, 0
        self.repaint()

    def action_undo(self) -> None:
        if self.before:
            at, document = self.before.pop()
            if at != self.at:
                self.action_step(at - self.at)
            self._replace(document)

    def action_move(self, by: int) -> None:
        if self.helping:
            self.top = max(0, self.top + by)
        self.cursor = max(0, min(len(self.document.proposals) - 1, self.cursor + by))
        self.repaint()

    def action_scroll(self, pages: int) -> None:
        self.top = max(0, self.top + pages * max(1, self.text_rows - 1))
        self.repaint()

    def action_step(self, by: int) -> None:
        self.at = max(0, min(len(self.documents) - 1, self.at + by))
        self.warning = ""
        self.cursor = self.top = 0
        self.repaint()

    def action_keep(self) -> None:
        if self.document.proposals:
            self._put(toggled(self.document, self.document.proposals[self.cursor]))

    def action_done(self) -> None:
        self._put(replace(self.document, done=True))
        self.action_step(1)

    def action_add(self) -> None:
        line = self.screen.query_one(Input)
        line.value = ""
        line.add_class("open")
        line.focus()
        self.repaint()

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        self._close()
        before = self.document
        self._put(added(before, event.value))
        if self.document is before:
            return
        self.cursor = self.document.proposals.index(self.document.kept[-1])
        text = self.texts.get(self.document.id)
        if text is not None and not in_text(self.document.kept[-1], text):
            self.warning = "no such phrase in the text; space drops it"
        self.repaint()

    def action_leave(self) -> None:
        """Close what is open first, the help page or the input; otherwise leave."""
        if self.helping:
            self.action_help()
        elif self.screen.query_one(Input).has_class("open"):
            self._close()
            self.repaint()
        else:
            self.exit()

    def _close(self) -> None:
        self.screen.query_one(Input).remove_class("open")
        self.set_focus(None)

    def _put(self, document: Marked) -> None:
        if document != self.document:
            self.before.append((self.at, self.document))
        self._replace(document)

    def _replace(self, document: Marked) -> None:
        self.warning = ""
        self.documents = (*self.documents[: self.at], document, *self.documents[self.at + 1 :])
        self.trouble = self.save(self.documents)
        self.repaint()

    # -- painting ------------------------------------------------------------------------------------------------------

    def paint(self, c: Canvas) -> None:
        if self.helping:
            self._help(c)
            return
        c.bar(0, f"mark gold keywords   {self.at + 1} of {len(self.documents)}", "bar")
        c.right(c.width - 1, 0, f"{self.done} done", "bar")
        area = Area(1, 1, c.width - 2, c.height - 3)
        across = max(1, area.width // COLUMN)
        rows = -(-len(self.document.proposals) // across)
        lists = min(max(3, rows + blocks.frame_rows(c)), max(3, area.height * 3 // 5))
        self._text(c, Area(area.x, area.y, area.width, area.height - lists))
        self._keywords(c, Area(area.x, area.y + area.height - lists, area.width, lists), across)
        line = self.trouble or " · ".join(filter(None, (self._count(), self.warning)))
        c.put(1, c.height - 2, line, "bad" if self.trouble else "warn" if self.warning else "dim", c.width - 2)
        keys = (
            ("space", "keep"), ("a", "add"), ("enter", "done"), ("n p", "documents"), ("pgdn", "text"), ("?", "help"),
            ("q", "leave"),
        )  # fmt: skip
        c.spans(1, c.height - 1, [part for key, what in keys for part in ((key, "key"), (f" {what}  ", "text"))])

    def _help(self, c: Canvas) -> None:
        width = min(c.width - 2, 100)
        keys = [binding for binding in self.BINDINGS if isinstance(binding, Binding)]
        lines = [(f"{shown(binding.key):<{KEYS}}{binding.description}", "text") for binding in keys]
        lines += [("", "text"), *page_lines(book("quality"), width)]
        self.text_rows = c.height - 2
        self.top = max(0, min(self.top, len(lines) - self.text_rows))
        c.bar(0, "mark gold keywords   help", "bar")
        for row, (line, style) in enumerate(lines[self.top : self.top + self.text_rows]):
            c.put(1, 1 + row, line, style, width)
        c.spans(1, c.height - 1, [("j k", "key"), (" scroll   ", "text"), ("?", "key"), (" back", "text")])

    def _count(self) -> str:
        kept = len(self.document.kept)
        advice = "" if FEW <= kept <= MANY else f"; keep {FEW} to {MANY}"
        done = ", done" if self.document.done else ""
        return f"{counted(kept, 'keyword')} kept{done}{advice}"

    def _text(self, c: Canvas, area: Area) -> None:
        text = self.texts.get(self.document.id)
        inner = blocks.inside(c, area)
        lines = [line for part in (text or "").splitlines() for line in wrapped(part.rstrip(), inner.width)]
        self.text_rows = max(1, inner.height)
        self.top = blocks.scrolled(c, area, self.document.id, lines, self.top)
        if text is None:
            c.put(inner.x, inner.y, "This document is not in the folder: only its proposals are known.", "warn")

    def _keywords(self, c: Canvas, area: Area, across: int) -> None:
        inner = blocks.panel(c, area, "keywords you would search by", "proposals of the draft, mixed", "dim")
        places = columns(inner.width, (1,) * across)
        page = max(1, across * inner.height)
        first = self.cursor // page * page
        shown = self.document.proposals[first : first + page]
        rows = max(1, -(-len(shown) // across))  # down one column, then the next: the down key moves down
        for n, keyword in enumerate(shown):
            column, row = divmod(n, rows)
            x, width = places[column]
            kept = keyword in self.document.kept
            sign, style = ("✔", "ok") if kept else ("·", "text")
            here = first + n == self.cursor
            c.put(inner.x + x, inner.y + row, f"{sign} {keyword}", "tab" if here else style, width)
