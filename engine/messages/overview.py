"""The plan's messages for the screen: their current text, what is due, and how deliveries went."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from msgspec import Struct

from engine.messages import outbox, schedule
from engine.messages.draft import Draft, render
from engine.messages.facts import DECIDED, facts
from engine.messages.outbox import Delivery
from engine.plan.model import Message, Plan
from engine.view.model import View


class Overview(Struct, frozen=True):
    """`latest`: each message's last delivery; `due`: ids of those that a person has to send now."""

    latest: Mapping[str, Delivery]
    due: frozenset[str]
    undelivered: tuple[Delivery, ...]


def overview(conn: sqlite3.Connection, plan: Plan, view: View) -> Overview:
    """Deliveries and what is due, as of the view's moment."""
    recent = outbox.deliveries(conn, 500)
    latest: dict[str, Delivery] = {}
    for delivery in recent:
        latest.setdefault(delivery.message, delivery)
    last = outbox.last_queued(conn)
    due = schedule.due(plan, view.stage, view.entered_at, view.at, last)
    open_ = tuple(d for d in recent if d.state in ("waiting", "failed"))
    return Overview(latest, frozenset(message.id for message in due), open_)


def draft(conn: sqlite3.Connection, plan: Plan, view: View, message: Message, about: int | None = None) -> Draft:
    """The message's text now, about the decision `about` if it reports one."""
    kinds = schedule.ABOUT.get(message.when, DECIDED)
    return render(message, facts(plan, view, conn, about, outbox.last_queued(conn).get(message.id), kinds))
