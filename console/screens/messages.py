"""The communication plan and whom to call: messages with the numbers of now, sent by a key; contacts; reminders."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType

from console.screens.ask import Ask
from console.screens.page import LIST_KEYS, Hint, Page, Rows, key
from console.widgets import blocks
from console.widgets.canvas import Canvas
from engine.facts import facts
from engine.notify import render
from engine.plan.model import Message
from engine.view import View


class Messages(Page):
    NUMBER: ClassVar[int] = 9
    TITLE: ClassVar[str] = "Messages"
    ABOUT: ClassVar[str] = "messages to send, contacts, monitoring that is due"
    BINDINGS: ClassVar[list[BindingType]] = [
        *LIST_KEYS,
        key("s,enter", "send", "send the message (asks; y confirms)"),
        key("d", "remind", "tick off the monitoring that is due"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.rows = Rows()

    def messages(self, v: View) -> list[Message]:
        """This stage's first, then the others."""
        own = [m for m in self.console.plan.messages if not m.stages or v.stage in m.stages]
        return own + [m for m in self.console.plan.messages if m not in own]

    def hints(self) -> tuple[Hint, ...]:
        return (("s", "send", "send"), ("d", "monitoring done", "remind"), ("j k", "move", ""))

    def paint(self, c: Canvas, v: View, y: int) -> None:
        due = [r for r in v.reminders if r.overdue]
        if due:
            c.put(1, y, f"due: {due[0].text}", "caution", c.width - 2)
            y += 1
        messages = self.messages(v)
        bottom = c.height - 2
        contacts = self.console.plan.contacts
        below = 8 if c.height < 34 else 14
        room = max(3, bottom - y - 1 - below - len(contacts) - 1)
        c.rule(1, y, c.width - 2, "messages")
        for row, index in enumerate(self.rows.window(len(messages), room)):
            m = messages[index]
            c.put(1, y + 1 + row, f"{m.id:<22} {m.audience:<13} {m.when:<9} {m.subject}", "text", c.width - 2)
            if index == self.rows.at:
                blocks.tinted(c, y + 1 + row)
        y += 1 + room
        if messages:
            draft = render(messages[self.rows.at], facts(self.console.plan, v))
            c.rule(1, y, c.width - 2, draft.subject)
            c.block(1, y + 1, c.width - 2, below - 1, draft.body, "dim")
        y = bottom - len(contacts) - 1
        c.rule(1, y, c.width - 2, "whom to call")
        for i, person in enumerate(contacts):
            c.put(
                1,
                y + 1 + i,
                f"{person.role:<18} {person.name:<22} {person.phone:<16} {person.email}",
                "text",
                c.width - 2,
            )

    def action_move(self, by: int) -> None:
        v = self.sight.view
        self.rows.move(by, len(self.messages(v)) if v else 0)
        self.repaint()

    def action_send(self) -> None:
        v = self.sight.view
        if v is None:
            return
        if self.console.read_only:
            self.console.say("This console is read-only; only R acts.", "caution")
            return
        message = self.messages(v)[self.rows.at]
        draft = render(message, facts(self.console.plan, v))
        text = [f"To: {message.audience}", f"Subject: {draft.subject}"]
        self.console.push_screen(
            Ask("Send this message?", text, "send it", "leave"),
            lambda typed: self.console.act("message", id=message.id) if typed is not None else None,
        )

    def action_remind(self) -> None:
        v = self.sight.view
        due = [r for r in v.reminders if r.overdue] if v else []
        if due:
            self.console.act("remind", id=due[0].id)
        else:
            self.console.say("No monitoring is due.", "bar")
