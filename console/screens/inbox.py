"""The inbox: everything that waits for a person, in one list; Enter opens the right screen. Below: this console's
notices."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType

from console import explain
from console.screens.fetching import matches
from console.screens.ordering import Order, Ordered
from console.screens.page import LIST_KEYS, Hint, key
from console.screens.rows import Rows, draw_whole
from console.widgets import blocks, waiting, words
from console.widgets.blocks import Area
from console.widgets.canvas import Canvas, wrapped
from console.widgets.waiting import WaitingRow
from engine.view.model import HandoverView, View

TICKED = ("monitoring", "complaint")


class Inbox(Ordered):
    NUMBER: ClassVar[int] = 12
    ENTER: ClassVar[str] = "open"
    TITLE: ClassVar[str] = "Inbox"
    ABOUT: ClassVar[str] = "everything waiting for you, and where to do it; past notices"
    PROMPT: ClassVar[str] = "filter the inbox"
    ORDERS: ClassVar[tuple[Order, ...]] = (
        Order(),  # most pressing first
        Order("screen", lambda row: (row.key, row.sentence)),
        Order("due first", lambda row: row.task.due if row.task is not None and row.task.due is not None else 1e12),
        Order("words", lambda row: row.sentence.lower()),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        *LIST_KEYS,
        key("enter", "open", "open the screen for it"),
        key("d", "tick", "tick off: monitoring done, complaints read"),
    ]

    @property
    def rows(self) -> Rows:
        return self.console.places.setdefault(self.TITLE, Rows())

    def _tasks(self) -> list[WaitingRow]:
        every = self.todo
        tasks = self.sorted_by.sort([row for row in every if matches(self.text_wanted, row.text)])
        self.rows.hold(
            [(row.action, row.task.kind, row.task.id) if row.task else (row.action, "", "") for row in tasks]
        )
        return tasks

    def hints(self) -> tuple[Hint, ...]:
        tasks = self._tasks()
        out: list[Hint] = []
        if tasks:
            chosen = tasks[self.rows.at]
            if chosen.action:
                out.append(("enter", "go there", "open"))
            if chosen.task is not None and chosen.task.kind in TICKED:
                out.append(("d", "done", "tick"))
        out += [("S", "sort", "sort"), ("/", "filter", "search")]
        out += [("j k", "move", "")] if tasks else []
        return (*out, ("esc", "back", "app.back"))

    def explained(self) -> list[explain.Explained]:
        tasks = self._tasks()
        task = tasks[self.rows.at].task if tasks else None
        return [] if task is None else explain.task(task.kind)

    def paint(self, c: Canvas, v: View, y: int) -> None:
        area = self.area(c, y)
        tasks = self._tasks()
        notices = self.console.notices
        below = min(len(notices) + 2, max(4, area.height // 3)) if notices else 0
        left = wrapped(v.handover.text, area.width - 4) if v.handover is not None else []
        list_height = min(len(left) + 2, max(4, area.height // 3)) if left else 0
        upper, middle, lower = blocks.stack(area, (area.height - below - list_height, list_height, 0))
        hidden = self._hidden(tasks)
        note = f"{len(tasks)}{f', {hidden} filtered out' if hidden else ''}" if tasks or hidden else ""
        inner = blocks.panel(c, upper, self.titled("waiting for you"), note)
        if not tasks:
            c.block(inner.x, inner.y, inner.width, inner.height, self._empty(hidden), "warn" if hidden else "ok")
        self._list(c, inner, tasks)
        if v.handover is not None:
            self._handover(c, middle, v.handover, v)
        if below:
            self._notices(c, lower, v)

    def _hidden(self, tasks: list[WaitingRow]) -> int:
        """How many the filter hides."""
        return len(self.todo) - len(tasks)

    def _empty(self, hidden: int) -> str:
        """Never "go back to sleep" because of a filter."""
        return f"No match; {hidden} are hidden. esc shows all." if hidden else waiting.empty(self.snapshot)

    def _list(self, c: Canvas, area: Area, tasks: list[WaitingRow]) -> None:
        """Tasks in full where they fit, else one line per task and the selected one in full."""

        def line(index: int, y: int, height: int) -> None:
            row = tasks[index]
            c.put(area.x, y, row.key or "○", "key" if row.key else "warn")
            if height == 1:
                c.put(area.x + 3, y, row.text, "text", area.width - 3)
            else:
                c.block(area.x + 3, y, area.width - 3, height, row.text, "text")
            if row.when:
                c.put(area.x + 3, y, row.when, "warn+", area.width - 3)

        if tasks:
            draw_whole(c, area, self.rows, [len(wrapped(task.text, area.width - 3)) for task in tasks], line)

    def _handover(self, c: Canvas, area: Area, note: HandoverView, v: View) -> None:
        """What the last on-call left, in full, dismissed or not."""
        inner = blocks.panel(c, area, f"hand-over from {note.name}", words.hour(note.at, v.at), "dim")
        c.block(inner.x, inner.y, inner.width, inner.height, note.text, "text")

    def _notices(self, c: Canvas, area: Area, v: View) -> None:
        inner = blocks.panel(c, area, "notices of this console, newest first")
        for row, (at, sentence, style) in enumerate(list(reversed(self.console.notices))[: inner.height]):
            c.spans(
                inner.x,
                inner.y + row,
                [(f"{words.moment(at)} ", "dim"), (sentence, "warn" if style != "bar" else "text")],
                inner.width,
            )

    def action_move(self, by: int) -> None:
        self.rows.move(by, len(self._tasks()))
        self.repaint()

    async def action_open(self) -> None:
        tasks = self._tasks()
        if not tasks:
            self.console.say(self._empty(self._hidden(tasks)))
            return
        row = tasks[self.rows.at]
        if not row.action:
            self.console.say(f"No screen for this: {row.sentence}", "caution")
        elif row.task is not None and row.task.kind == "item":
            self.console.open_item(row.task.id)
        else:
            await self.app.run_action(row.action)

    def action_tick(self) -> None:
        tasks = self._tasks()
        task = tasks[self.rows.at].task if tasks else None
        if task is None or task.kind not in TICKED:
            self.console.say(
                "d ticks off monitoring and complaints only; enter opens the screen for the rest.", "caution"
            )
            return
        self.console.act("remind", id=task.id)
