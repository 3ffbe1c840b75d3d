"""Documents and their keywords by both methods, side by side; search; restore."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from textual.binding import BindingType

from console.screens.page import LIST_KEYS, Hint, Rows, key
from console.screens.reading import Searching
from console.screens.triggers import SELECT
from console.widgets import words
from console.widgets.canvas import Canvas, columns
from engine.store.documents import Document
from engine.text import clean_line
from engine.view import View

FILTERS: tuple[str | None, ...] = (None, "llm", "frequency")


class Documents(Searching):
    NUMBER: ClassVar[int] = 7
    TITLE: ClassVar[str] = "Docs"
    ABOUT: ClassVar[str] = "search documents, compare both methods' keywords, restore"
    PROMPT: ClassVar[str] = "search titles and keywords"
    BINDINGS: ClassVar[list[BindingType]] = [
        *LIST_KEYS,
        key("m", "method", "all, served by LLM, served by frequency"),
        key("t", "restore", "frequency keywords again for all that the LLM wrote"),
        key("T", "undo_restore", "take the last restore back"),
        key("c", "complaint", "record a complaint about this document"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.rows = Rows()
        self.found: list[Document] = []
        self.chosen: Document | None = None
        self.method = 0

    def hints(self) -> tuple[Hint, ...]:
        v = self.sight.view
        out: list[Hint] = [
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
        # a list that jumps under the cursor is of no use: it is read anew on a key, a restore, or every 10 s at its top
        beat = int(v.at // max(10.0, 10 * v.speed)) if v and self.rows.at == 0 else 0
        return (self.text_wanted, FILTERS[self.method], at, beat, v.restore.last_id if v and v.restore else None)

    def fetch(self, wanted: Any) -> Callable[[], None]:
        text, method, at, *_ = wanted
        found = self.console.link.documents(text, 200, method)
        if method and text.strip():
            found = [d for d in found if d.method == method]
        chosen = self.console.link.document(at or found[0].id) if at or found else None

        def put() -> None:
            self.found, self.chosen = found, chosen

        return put

    def paint(self, c: Canvas, v: View, y: int) -> None:
        wide = c.width >= 120
        title = f"documents · {FILTERS[self.method] or 'latest'}" + (
            f" with “{self.text_wanted}”" if self.text_wanted else ""
        )
        bottom = c.height - 2
        if wide:
            (left, lw), (right, rw) = columns(c.width - 2, (2, 3), 3)
            self._list(c, 1 + left, y, lw, bottom - y, title, v)
            self._both(c, 1 + right, y, rw, bottom - y, v)
        else:
            rows = (bottom - y) // 2
            self._list(c, 1, y, c.width - 2, rows, title, v)
            self._both(c, 1, y + rows, c.width - 2, bottom - y - rows, v)

    def _list(self, c: Canvas, x: int, y: int, width: int, rows: int, title: str, v: View) -> None:
        c.rule(x, y, width, title)
        if self.trouble or not self.found:
            c.block(
                x,
                y + 1,
                width,
                3,
                self.trouble
                or (
                    "No document has all these words."
                    if self.text_wanted
                    else "No documents yet: `rollout load PATH`, or POST /v1/extract."
                ),
                "bad" if self.trouble else "dim",
            )
            return
        for row, index in enumerate(self.rows.window(len(self.found), rows - 1)):
            d = self.found[index]
            served = ("llm ", "llm") if d.method == "llm" else ("freq", "freq")
            back = "◂" if d.restored else " "
            c.spans(
                x,
                y + 1 + row,
                [
                    (f"{words.hour(d.updated, v.at):<11} ", "dim"),
                    served,
                    (f"{back} ", "warn"),
                    (d.title or d.id, "text"),
                ],
                width,
            )
            if index == self.rows.at:
                c.tint(y + 1 + row, {**SELECT, "llm": "select-key", "freq": "select-dim"}, x, width)

    def _both(self, c: Canvas, x: int, y: int, width: int, rows: int, v: View) -> None:
        d = self.chosen
        c.rule(x, y, width, "keywords by both methods")
        if d is None or rows < 3:
            return
        state = f"{d.arm} arm · serves {'LLM' if d.method == 'llm' else 'frequency'} keywords" + (
            " · restored" if d.restored else ""
        )
        c.spans(x, y + 1, [(d.id, "strong"), (f"  {state}", "dim")], width)
        (left, lw), (right, rw) = columns(width, (1, 1), 2)
        llm = d.llm if d.llm is not None else d.shadow
        name = "LLM" if d.llm is not None or d.shadow is None else "LLM (shadow, never served)"
        both = set(d.frequency) & set(llm or ())
        c.put(x + left, y + 2, f"{name}{' · served' if d.method == 'llm' else ''}", "llm", lw)
        c.put(x + right, y + 2, f"frequency{' · served' if d.method != 'llm' else ''}", "freq", rw)
        used = 0
        for at, wide, keywords in ((x + left, lw, llm), (x + right, rw, d.frequency)):
            if keywords is None:
                c.put(at, y + 3, "none kept for this document", "dim", wide)
                continue
            for row, keyword in enumerate(keywords[: rows - 3]):
                c.spans(
                    at,
                    y + 3 + row,
                    [("= " if keyword in both else "  ", "dim"), (keyword, "text" if keyword in both else "strong")],
                    wide,
                )
                used = max(used, row + 1)
        if rows - 4 - used >= 3 and d.text:
            c.rule(x, y + 4 + used, width, "text")
            c.block(x, y + 5 + used, width, rows - 5 - used, clean_line(d.text, 4000), "dim")

    def action_move(self, by: int) -> None:
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
