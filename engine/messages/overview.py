"""The messages of the plan as a person sees them at one moment: what they would say, what is due, what became of those sent."""

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
    """`latest` holds each message's last delivery; `due` the ids that this stage, day or week calls for."""

    latest: Mapping[str, Delivery]
    due: frozenset[str]
    undelivered: tuple[Delivery, ...]


def overview(conn: sqlite3.Connection, plan: Plan, view: View) -> Overview:
    found = outbox.deliveries(conn, 500)
    latest: dict[str, Delivery] = {}
    for delivery in found:
        latest.setdefault(delivery.message, delivery)
    last = outbox.last_queued(conn)
    due = schedule.suggested(plan, view.stage, view.entered_at, last) | schedule.regular_due(
        plan, view.stage, view.at, last
    )
    open_ = tuple(d for d in found if d.state in ("waiting", "failed"))
    return Overview(latest, frozenset(due), open_)


def draft(conn: sqlite3.Connection, plan: Plan, view: View, message: Message, about: int | None = None) -> Draft:
    """What the message would say now, of the decision `about` where it tells of one."""
    kinds = schedule.TELLS_OF.get(message.when, DECIDED)
    return render(message, facts(plan, view, conn, about, outbox.last_queued(conn).get(message.id), kinds))
