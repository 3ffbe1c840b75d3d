"""An alarm that no one acknowledges (K) goes to the next contact, in the plan's order, each after the same
time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial

from msgspec import Struct

from engine.messages.draft import ESCALATION, Draft
from engine.plan.durations import clock, format_duration, iso
from engine.plan.model import Contact, Plan
from engine.service.engine import Engine
from engine.text import clean_line
from engine.view.model import AckView

TIMELINE_S = 900.0  # for an alarm without a trigger's timeline: a lock, blindness
MESSAGE = ESCALATION


class EscalationStep(Struct, frozen=True):
    """The `number`th contact is notified of the alarm at `at`."""

    number: int
    contact: Contact
    at: float


def acknowledged(engine: Engine) -> AckView | None:
    """Who acknowledged the active alarm; None if no one did."""
    if engine.monitor.alarm_since is None:
        return None
    row = engine.conn.execute(
        "SELECT actor, at FROM decision WHERE kind = 'ack' AND rev > ? ORDER BY rev DESC LIMIT 1",
        (engine.monitor.alarm_rev,),
    ).fetchone()
    return AckView(*row) if row is not None else None


def steps(plan: Plan, since: float, timeline_s: float) -> list[EscalationStep]:
    """Who is notified, and when, of an alarm that began at `since`. Pure."""
    contacts = {c.role: c for c in plan.contacts}
    after = plan.notify.escalate_after_s or timeline_s or TIMELINE_S
    named = [contacts[role] for role in plan.notify.escalate_to if role in contacts]
    return [EscalationStep(n, contact, since + n * after) for n, contact in enumerate(named, 1)]


def coming(engine: Engine) -> EscalationStep | None:
    """The next step while an alarm is unacknowledged; None if someone has it or no contact is left."""
    monitor = engine.monitor
    if monitor.alarm_since is None or not engine.plan.notify.escalate_to or acknowledged(engine) is not None:
        return None
    now = engine.clock.now()
    planned = steps(engine.plan, monitor.alarm_since, monitor.alarm_timeline_s)
    return next((step for step in planned if step.at > now), None)


def sentences(engine: Engine) -> tuple[str, ...]:
    """What happens next if no one acknowledges the alarm."""
    step = coming(engine)
    if step is None:
        return ()
    return (f"if no one acknowledges (K): message to {step.contact.role} in {clock(step.at - engine.clock.now())}",)


class Escalation:
    """Checks after each tick; the outbox takes each step once."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def tick(self) -> None:
        engine, monitor = self._engine, self._engine.monitor
        since = monitor.alarm_since
        if since is None or not engine.plan.notify.escalate_to or acknowledged(engine) is not None:
            return
        for step in due(steps(engine.plan, since, monitor.alarm_timeline_s), engine.clock.now()):
            await self._send(step, since, monitor.alarm)

    async def _send(self, step: EscalationStep, since: float, alarm: str) -> None:
        engine = self._engine
        key = f"{MESSAGE} {since:.0f} {step.number}"
        if engine.conn.execute("SELECT 1 FROM outbox WHERE request_id = ?", (key,)).fetchone() is not None:
            return
        made = draft(engine.plan, step, since, alarm, engine.clock.now())
        waits = engine.dispatcher.unreachable(made)
        text = f"no one acknowledged the alarm in {format_duration(step.at - since)}: message to {step.contact.role}"
        ask = engine.ask(MESSAGE, request_id=f"message {key}")

        sentence = f"{text}{f'; it waits: {waits}' if waits else ''}"
        queue = partial(engine.dispatcher.queue, draft=made, key=key)
        await engine.note(ask, "message", sentence, {"body": made.body}, queue)


def due(pending: Sequence[EscalationStep], now: float) -> list[EscalationStep]:
    return [step for step in pending if step.at <= now]


def draft(plan: Plan, step: EscalationStep, since: float, alarm: str, now: float) -> Draft:
    """Names the person to call, so that a channel that everyone reads can call them too. Its audience is the
    contact's role, so that an address can be theirs alone: technical_lead=..."""
    who = step.contact
    named = f"{who.role} ({who.reach})" if who.reach else who.role
    ago = format_duration(now - since)
    body = (
        f"{alarm}\n\nSince {iso(since)}, {ago} ago, and no one has acknowledged it.\n"
        f"Next: {named}. `rollout`, then K acknowledges it; R rolls back to 0 %."
    )
    subject = f"ALARM {plan.service}, not acknowledged for {ago}; {who.role}, please take it: {alarm}"
    return Draft(MESSAGE, audience_of(who), clean_line(subject, 300), body)


def audience_of(contact: Contact) -> str:
    """ "Technical Lead" -> "technical_lead"."""
    return re.sub(r"[^a-z0-9]+", "_", contact.role.lower()).strip("_") or "team"
