"""The communication plan: what each message would say now, which are due, what became of those that were sent; whom to call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from textual.binding import BindingType

from console.screens.ask import Ask
from console.screens.page import LIST_KEYS, Hint, Rows, key
from console.screens.work import Work
from console.widgets import blocks, words
from console.widgets.canvas import Canvas, paragraphs
from engine.messages.draft import Draft
from engine.messages.overview import Overview, draft, overview
from engine.plan.model import Message
from engine.view import View

SIGNS = {"sent": ("✔", "ok"), "kept": ("✔", "dim"), "waiting": ("…", "warn"), "failed": ("✖", "bad")}


class Messages(Work):
    TAB: ClassVar[int] = 0
    TITLE: ClassVar[str] = "Messages"
    ABOUT: ClassVar[str] = "messages to send, their delivery, contacts"
    BINDINGS: ClassVar[list[BindingType]] = [
        *LIST_KEYS,
        key("s,enter", "send", "send the message (asks; y confirms)"),
        key("t", "resend", "try undelivered messages again, now"),
        key("d", "remind", "tick off the monitoring that is due"),
        key("J,shift+down", "scroll(5)", "scroll the text"),
        key("K,shift+up", "scroll(-5)", "scroll it back", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.rows = Rows()
        self.top = 0  # of the text
        self.seen: Overview | None = None
        self.drafts: dict[str, Draft] = {}

    def messages(self, v: View) -> list[Message]:
        """Due ones first, then this stage's, then the others."""
        due = self.seen.due if self.seen else frozenset()

        def rank(message: Message) -> int:
            return 0 if message.id in due else 1 if not message.stages or v.stage in message.stages else 2

        return sorted(self.console.plan.messages, key=rank)

    def _selected(self, v: View) -> Message | None:
        messages = self.messages(v)
        return messages[min(self.rows.at, len(messages) - 1)] if messages else None

    # -- reading -----------------------------------------------------------------------------------------------------------

    def wanted(self) -> Any:
        v = self.sight.view
        if v is None:
            return None
        message = self._selected(v)
        return (message.id if message else "", v.rev, int(v.at // (5 * max(1.0, v.speed))))

    def fetch(self, wanted: Any) -> Callable[[], None]:
        v, plan = self.sight.view, self.console.plan
        if v is None or wanted is None:
            return lambda: None
        chosen = next((m for m in plan.messages if m.id == wanted[0]), None)
        seen = self.console.link.read(lambda conn: overview(conn, plan, v))
        made = self.console.link.read(lambda conn: draft(conn, plan, v, chosen)) if chosen else None

        def put() -> None:
            self.seen = seen
            if made is not None:
                self.drafts[made.message] = made

        return put

    # -- painting ----------------------------------------------------------------------------------------------------------

    def hints(self) -> tuple[Hint, ...]:
        out: list[Hint] = [("s", "send", "send")]
        if self.seen and self.seen.undelivered:
            out.append(("t", f"try {len(self.seen.undelivered)} again", "resend"))
        v = self.sight.view
        if v and any(r.overdue for r in v.reminders):
            out.append(("d", "monitoring done", "remind"))
        return (*out, self.turn_hint(), ("j k", "move", ""))

    def paint(self, c: Canvas, v: View, y: int) -> None:
        y = self.tabs(c, y)
        messages, contacts = self.messages(v), self.console.plan.contacts
        bottom = c.height - 2
        people = min(len(contacts), 3) + 1
        room = max(4, min(len(messages), (bottom - y - people - 1) * 2 // 5))
        for row, index in enumerate(self.rows.window(len(messages), room)):
            self._line(c, y + row, v, messages[index])
            if index == self.rows.at:
                blocks.tinted(c, y + row)
        y += room
        self._preview(c, y, bottom - people - y, messages[min(self.rows.at, len(messages) - 1)] if messages else None)
        self._people(c, bottom - people)

    def _line(self, c: Canvas, y: int, v: View, message: Message) -> None:
        last = self.seen.latest.get(message.id) if self.seen else None
        due = self.seen is not None and message.id in self.seen.due
        sign, style = SIGNS.get(last.state, ("·", "dim")) if last else ("·", "dim")
        if due:
            sign, style = "●", "warn"
        how = "by itself" if message.automatic else "by a key"
        said = "due" if due else ""
        if last is not None:
            said = f"{said + ', last ' if said else ''}{last.state} {words.hour(last.at, v.at)}"
            if last.error and last.state != "sent":
                said += f": {last.error}"
        c.spans(
            1, y,
            [(f"{sign} ", style), (f"{message.id:<17}", "text"), (f"{message.audience:<13}{message.when:<9}{how:<10}", "dim"),
             (said or "not sent yet", "bad" if last and last.state == "failed" else "warn" if due else "dim")],
            c.width - 2,
        )  # fmt: skip

    def _preview(self, c: Canvas, y: int, rows: int, message: Message | None) -> None:
        if message is None:
            return
        made = self.drafts.get(message.id)
        c.rule(1, y, c.width - 2, made.subject if made else message.id)
        if made is not None:
            body = paragraphs(made.body, c.width - 2)
            self.top = max(0, min(self.top, len(body) - rows + 1))
            for row, text in enumerate(body[self.top : self.top + rows - 1]):
                c.put(1, y + 1 + row, text, "text", c.width - 2)
            left = len(body) - self.top - rows + 1
            if left > 0:
                c.right(c.width - 1, y + rows - 1, f" J: {left} more ▼", "dim")
        elif self.trouble:
            c.block(1, y + 1, c.width - 2, 2, self.trouble, "bad")

    def _people(self, c: Canvas, y: int) -> None:
        contacts = self.console.plan.contacts
        missing = [person.role for person in contacts if person.missing]
        c.rule(1, y, c.width - 2, "whom to call")
        if missing:
            long, short = f" not filled in: {', '.join(missing)} ", f" {len(missing)} not filled in, see [[contacts]] "
            c.right(c.width - 1, y, long if len(long) < c.width - 16 else short, "warn")
        for i, person in enumerate(contacts[:3]):
            c.put(
                1,
                y + 1 + i,
                f"{person.role:<18} {person.name:<20} {person.phone:<17} {person.email}",
                "text",
                c.width - 2,
            )

    # -- acting ------------------------------------------------------------------------------------------------------------

    def action_move(self, by: int) -> None:
        v = self.sight.view
        self.rows.move(by, len(self.messages(v)) if v else 0)
        self.top = 0
        self.refreshed()

    def action_scroll(self, by: int) -> None:
        self.top += by
        self.repaint()

    def action_send(self) -> None:
        v = self.sight.view
        message = self._selected(v) if v else None
        if message is None:
            return
        if self.console.read_only:
            self.console.say("This console is read-only; only R acts.", "caution")
            return
        made = self.drafts.get(message.id)
        if made is None:
            self.console.say("The message is not made yet; a moment.", "caution")
            return
        facts = [f"To: {message.audience}", f"Subject: {made.subject}"]
        self.console.push_screen(
            Ask("Send this message?", facts, "send it", "leave"),
            lambda typed: self.console.act("message", id=message.id) if typed is not None else None,
        )

    def action_resend(self) -> None:
        self.console.act("resend")

    def action_remind(self) -> None:
        v = self.sight.view
        due = [r for r in v.reminders if r.overdue] if v else []
        if due:
            self.console.act("remind", id=due[0].id)
        else:
            self.console.say("No monitoring is due.", "bar")
