"""The communication plan: each message with current figures, what is due, delivery of what was sent, and whom to
call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

from textual.binding import BindingType

from console import explain
from console.screens.ask import QuestionDialog
from console.screens.asking import READ_ONLY
from console.screens.fetching import matches
from console.screens.ordering import Order, Ordered
from console.screens.page import LIST_KEYS, Hint, key
from console.screens.rows import draw
from console.screens.work import Work
from console.widgets import blocks, contacts, words
from console.widgets.blocks import Area
from console.widgets.canvas import Canvas, paragraphs
from engine.messages import outbox
from engine.messages.draft import Draft
from engine.messages.outbox import Delivery
from engine.messages.overview import Overview, draft, overview
from engine.messages.schedule import goes_out_alone
from engine.plan.model import Message
from engine.view.model import View

READING = "reading …"
NO_MATCH = "No message matches; esc shows all."
NOT_SENT = {"GAME DAY": "game day", "REHEARSAL": "rehearsal"}  # why a message is kept and not sent
AS = {"sent": "as sent", "kept": "as kept", "waiting": "as queued", "failed": "as queued"}
SIGNS = {"sent": ("✔", "ok"), "kept": ("✔", "dim"), "waiting": ("…", "warn"), "failed": ("✖", "bad")}


class MessageRow(NamedTuple):
    """A message of the plan, its last delivery, and its row's other columns."""

    message: Message
    last: Delivery | None
    due: bool
    how: str
    status: str


class Messages(Ordered, Work):
    TAB: ClassVar[int] = 0
    TITLE: ClassVar[str] = "Messages"
    ABOUT: ClassVar[str] = "messages to send, their delivery, contacts"
    PROMPT: ClassVar[str] = "filter the messages"
    ORDERS: ClassVar[tuple[Order, ...]] = (
        Order(),  # this stage's first
        Order("due first", lambda row: not row.due),
        Order("name", lambda row: row.message.id),
        Order("audience", lambda row: (row.message.audience, row.message.id)),
        Order("last sent", lambda row: row.last.at if row.last is not None else 0.0, largest=True),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        *LIST_KEYS,
        key("s,enter", "send", "send the message (asks; y confirms)"),
        key("a", "as_sent", "the last one as it was sent, or with current figures"),
        key("t", "resend", "retry undelivered messages"),
        key("d", "remind", "tick off the monitoring that is due"),
        key("f,shift+down", "scroll(5)", "scroll the text down"),
        key("b,shift+up", "scroll(-5)", "scroll up"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.top = 0  # of the text
        self._placed = False  # the cursor was put on the first message that is due
        self.seen: Overview | None = None
        self.drafts: dict[str, Draft] = {}
        self.sent: dict[int, Draft] = {}  # by the delivery's id
        self.as_sent = False

    def explained(self) -> list[explain.Explained]:
        v = self.snapshot.view
        message = self._selected(v) if v is not None else None
        return [] if message is None else explain.message(message)

    def messages(self, v: View) -> list[MessageRow]:
        """The messages that match the filter; this stage's first, unless sorted otherwise. Sending one keeps the
        order, so nothing moves under the cursor."""
        plan = sorted(self.console.plan.messages, key=lambda m: bool(m.stages) and v.stage not in m.stages)
        rows = [self._row(message, v) for message in plan]
        return self.sorted_by.sort([row for row in rows if matches(self.text_wanted, *_cells(row), row.status)])

    def _row(self, message: Message, v: View) -> MessageRow:
        last = self.seen.latest.get(message.id) if self.seen else None
        due = self.seen is not None and message.id in self.seen.due
        status = "due" if due else ""
        if last is not None:
            status = f"{status + ', last ' if status else ''}{last.state} {words.hour(last.at, v.at)}"
            if last.state == "kept":
                status += f": {NOT_SENT.get(v.exercise, 'no address')}"
            elif last.error and last.state != "sent":
                status += f": {last.error}"
        how = "automatic" if goes_out_alone(self.console.plan, message) else "manual"
        return MessageRow(message, last, due, how, status or ("not sent yet" if self.seen else READING))

    def _selected(self, v: View) -> Message | None:
        rows = self.messages(v)
        self.rows.hold([row.message.id for row in rows])
        return rows[self.rows.at].message if rows else None

    # -- reading -------------------------------------------------------------------------------------------------------

    def wanted(self) -> Any:
        v = self.snapshot.view
        if v is None:
            return None
        message = self._selected(v)
        return (message.id if message else "", self.as_sent, v.rev, int(v.at // (5 * max(1.0, v.speed))))

    def fetch(self, wanted: Any) -> Callable[[], None]:
        v, plan = self.snapshot.view, self.console.plan
        if v is None or wanted is None:
            return lambda: None
        chosen = next((m for m in plan.messages if m.id == wanted[0]), None)
        seen = self.console.link.reader.read(lambda conn: overview(conn, plan, v))
        made = self.console.link.reader.read(lambda conn: draft(conn, plan, v, chosen)) if chosen else None
        last = seen.latest.get(chosen.id) if chosen is not None and wanted[1] else None
        sent = self.console.link.reader.read(lambda conn: outbox.text(conn, last.id)) if last is not None else None

        def put() -> None:
            self.seen = seen
            if not self._placed:
                self._placed = True
                due = (i for i, row in enumerate(self.messages(v)) if row.due)
                self.rows.place(self.rows.at or next(due, 0))
            if made is not None:
                self.drafts[made.message] = made
            if sent is not None and last is not None:
                self.sent[last.id] = sent

        return put

    # -- painting ------------------------------------------------------------------------------------------------------

    def hints(self) -> tuple[Hint, ...]:
        out: list[Hint] = [("s", "send", "send")]
        last = self._last()
        if last is not None:
            out.append(("a", "current figures" if self.as_sent else AS[last.state], "as_sent"))
        if self.seen and self.seen.undelivered:
            out.append(("t", f"retry {len(self.seen.undelivered)}", "resend"))
        v = self.snapshot.view
        if v and any(r.overdue for r in v.reminders):
            out.append(("d", "monitoring done", "remind"))
        return (*out, self.turn_hint(), ("S", "sort", "sort"), ("/", "filter", "search"), ("j k", "move", ""))

    def paint(self, c: Canvas, v: View, y: int) -> None:
        area = self.area(c, self.tabs(c, y))
        messages = self.messages(v)
        self.rows.hold([row.message.id for row in messages])
        people = contacts.rows(c, self.console.plan.contacts)
        if c.width >= 140:
            left, preview = blocks.beside(area, (1, 1))
            listed, called = blocks.stack(left, (max(4, area.height - people), 0))
        elif area.height >= 14:
            rows = (max(3, area.height * 2 // 5), max(3, area.height * 3 // 5 - people), 0)
            listed, preview, called = blocks.stack(area, rows)
        else:
            listed, preview, called = area, Area(1, 0, 0, 0), Area(1, 0, 0, 0)
        self._list(c, listed, v, messages)
        self._preview(c, preview, self._selected(v))
        contacts.panel(c, called, self.console.plan.contacts)

    def _list(self, c: Canvas, area: Area, v: View, messages: list[MessageRow]) -> None:
        due = len(self.seen.due) if self.seen else 0
        inner = blocks.panel(
            c,
            area,
            self.titled("messages"),
            READING if self.seen is None else f"{due} due" if due else "none due",
            "warn" if due else "dim",
        )
        for notice in v.engine.notices if inner.height > 2 else ():
            used = c.block(inner.x, inner.y, inner.width, 2, f"○ {notice}", "warn")
            inner = blocks.below(inner, used)
        if not messages:
            none = "The plan has no messages: [[messages]] in rollout.toml."
            c.block(inner.x, inner.y, inner.width, 2, NO_MATCH if self.text_wanted else none, "dim")
        draw(c, inner, self.rows, len(messages), lambda index, y: _line(c, inner, y, messages[index]))

    def _preview(self, c: Canvas, area: Area, message: Message | None) -> None:
        """The message with current figures, or as it was last sent; f and b scroll it."""
        if message is None or area.height < 2:
            return
        made, last, title = self.drafts.get(message.id), self._last(), ""
        if self.as_sent and last is not None:
            made = self.sent.get(last.id)
            title = f"{AS[last.state]} {words.hour(last.at, self._now)}: "
        body = paragraphs(made.body, area.width - 4) if made else []
        rows = area.height - blocks.frame_rows(c)
        self.top = max(0, min(self.top, len(body) - rows))
        left = len(body) - self.top - rows
        x, y, width, rows = blocks.panel(
            c, area, title + (made.subject if made else message.id), f"f: {left} more" if left > 0 else "", "dim"
        )
        if self.trouble:
            c.block(x, y, width, 2, self.trouble, "bad")
        elif made is None:
            c.put(x, y, READING, "dim", width)
        for row, text in enumerate(body[self.top : self.top + rows]):
            c.put(x, y + row, text, "text", width)

    # -- acting --------------------------------------------------------------------------------------------------------

    def action_move(self, by: int) -> None:
        v = self.snapshot.view
        self.rows.move(by, len(self.messages(v)) if v else 0)
        self.top = 0
        self.refreshed()

    def action_scroll(self, by: int) -> None:
        self.top += by
        self.repaint()

    def first(self) -> None:
        super().first()
        self.top = 0

    def action_send(self) -> None:
        v = self.snapshot.view
        message = self._selected(v) if v else None
        if message is None:
            return
        if self.console.read_only:
            self.console.say(READ_ONLY, "caution")
            return
        made = self.drafts.get(message.id)
        if made is None:
            self.console.say("Still preparing the message …", "caution")
            return
        facts = [f"To: {message.audience}", f"Subject: {made.subject}"]
        v = self.snapshot.view
        if v is not None and v.exercise:
            facts.append(f"Without addresses a {NOT_SENT[v.exercise]} keeps it and sends nothing.")
        self.console.push_screen(
            QuestionDialog("Send this message?", facts, "send it", "cancel"),
            lambda typed: self.console.act("message", id=message.id) if typed is not None else None,
        )

    @property
    def _now(self) -> float:
        return self.snapshot.view.at if self.snapshot.view is not None else 0.0

    def _last(self) -> Delivery | None:
        """The selected message's last delivery."""
        v = self.snapshot.view
        message = self._selected(v) if v is not None else None
        return self.seen.latest.get(message.id) if self.seen is not None and message is not None else None

    def action_as_sent(self) -> None:
        if self._last() is None:
            self.console.say("This message has not been sent yet.", "bar")
            return
        self.as_sent = not self.as_sent
        self.top = 0
        self.refreshed()

    def action_resend(self) -> None:
        self.console.act("resend")

    def action_remind(self) -> None:
        v = self.snapshot.view
        due = [r for r in v.reminders if r.overdue] if v else []
        if due:
            self.console.act("remind", id=due[0].id)
        else:
            self.console.say("No monitoring is due.", "bar")


def _cells(row: MessageRow) -> tuple[str, str, str, str]:
    return row.message.id, row.message.audience, row.message.when, row.how


def _line(c: Canvas, area: Area, y: int, row: MessageRow) -> None:
    last, (name, audience, when, how) = row.last, _cells(row)
    sign, style = SIGNS.get(last.state, ("·", "dim")) if last is not None else ("·", "dim")
    if row.due:
        sign, style = "●", "warn"
    failed = last is not None and last.state == "failed"
    parts = [
        (f"{sign} ", style),
        (f"{name:<17}", "text"),
        (f"{audience:<13}{when:<9}{how:<10}", "dim"),
        (row.status, "bad" if failed else "warn" if row.due else "dim"),
    ]
    c.spans(area.x, y, parts, area.width)
