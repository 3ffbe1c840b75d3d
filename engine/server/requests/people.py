"""What people sign, write and do: checklist, presence, notes, reminders, messages."""

from __future__ import annotations

import sqlite3
from functools import partial
from typing import Any

from engine.client.client import Reply
from engine.decoding import convert
from engine.messages import outbox, schedule
from engine.messages.draft import Draft
from engine.plan.durations import iso
from engine.rollout.state import Ask
from engine.service import checklist_requests, notifier
from engine.service.engine import COMPLAINTS, REASON_LIMIT, Engine
from engine.service.escalation import acknowledged
from engine.service.replies import to_reply
from engine.store import notes
from engine.text import clean_block, clean_line

NOTES = ("well", "improve", "lesson", "action", "incident", "handover")


async def sign(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    return await checklist_requests.sign(
        engine, str(fields.get("item")), clean_line(str(fields.get("note") or ""), REASON_LIMIT), ask
    )


async def revoke(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    return await checklist_requests.revoke(engine, str(fields.get("item")), ask)


async def check(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    return await checklist_requests.check(engine, str(fields.get("item")), ask)


async def presence(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    """A console reports its presence and its screen; it expires 15 s after the last report."""
    console = clean_line(str(fields.get("console") or ask.actor.terminal or ask.actor.name), 100)
    engine.monitor.presence.seen(
        console, ask.actor, clean_line(str(fields.get("screen") or ""), 40), bool(fields.get("gone"))
    )
    return Reply(True, "Noted.")


async def acknowledge(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    """A person acknowledges the active alarm: every console shows it, the log keeps it, the team's channel gets it."""
    what = engine.monitor.alarm
    if not what:
        return Reply(False, "Nothing to acknowledge: no alarm is active.")
    known = acknowledged(engine)
    if known is not None and known.name == ask.actor.name:
        return Reply(True, f"You already acknowledged it, at {iso(known.at)}.")
    after = f", after {known.name}" if known is not None else ""
    sentence = f"{ask.actor.name} has it{after}: {what}"
    draft = Draft("acknowledged", "team", f"{engine.plan.service}: {ask.actor.name} has it", f"{sentence}.")

    queue = partial(engine.dispatcher.queue, draft=draft)
    return to_reply(await engine.note(ask, "ack", sentence, {"of": what}, queue))


async def write_note(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    """A lesson or an action item for the report, or a hand-over for whoever looks next."""
    kind = str(fields.get("kind") or "lesson")
    text = clean_block(str(fields.get("text") or ""), 4000).strip()
    if kind not in NOTES or not text:
        return Reply(False, f"A note needs a kind ({', '.join(NOTES)}) and a text.")

    def add(conn: sqlite3.Connection) -> None:
        notes.add(conn, ask.at, kind, ask.actor.name, text)

    sentence = f"{ask.actor.name} noted ({kind}): {clean_line(text, 120)}"
    return to_reply(await engine.note(ask, "note", sentence, within=add))


async def remind(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    """Tick off a monitoring reminder."""
    which = str(fields.get("id") or "")
    stage = engine.state.stage
    reminders = engine.plan.stages[stage].reminders if stage < len(engine.plan.stages) else ()
    known = {COMPLAINTS: "read the complaints", **{r.id: r.text for r in reminders}}
    if which not in known:
        here = f"Known: {', '.join(known) or 'none'}."
        return Reply(False, f"{clean_line(which, 60)!r} is not one of this stage's monitoring tasks. {here}")
    row = which, stage, ask.at, ask.at, ask.actor.name

    def tick(conn: sqlite3.Connection) -> None:
        conn.execute("INSERT OR REPLACE INTO reminder VALUES (?,?,?,?,?)", row)

    return to_reply(await engine.note(ask, "monitoring", f"{ask.actor.name} did: {known[which]}", within=tick))


async def ran(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    """Record a command of the plan that a person ran, with its output. The engine runs nothing here."""
    command = clean_block(str(fields.get("command") or ""), 2000).strip()
    output = clean_block(str(fields.get("output") or ""), 20_000)
    code = fields.get("exit") if isinstance(fields.get("exit"), int) else None
    ms = convert(fields.get("ms") or 0.0, float)
    ended = clean_line(str(fields.get("ended") or "was ended"), 200)
    if not command:
        return Reply(False, "No command was named; nothing was recorded.")
    stage = engine.state.stage

    row = ask.at, stage, command, ask.actor.name, code, ms, output

    def keep(conn: sqlite3.Connection) -> None:
        conn.execute("INSERT INTO run (at, stage, command, actor, exit, ms, output) VALUES (?,?,?,?,?,?,?)", row)

    how = ended if code is None else "succeeded" if code == 0 else f"exited with {code}"
    line = clean_line(str(fields.get("line") or command), 500)
    sentence = f"{ask.actor.name} ran “{clean_line(str(fields.get('text') or command), 120)}”: {how}"
    evidence = {"command": line, "exit": code, "ms": ms, "output": output[-2000:]}
    return to_reply(await engine.note(ask, "run", sentence, evidence, keep))


async def message(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    """Queue a message of the communication plan."""
    draft = _draft(engine, str(fields.get("id")))
    if draft is None:
        return _no_message(engine)
    odd, waits = _misplaced(engine, draft), engine.dispatcher.unreachable(draft)
    which = f"the message {draft.message}"
    done = f"kept {which} without sending it" if engine.dispatcher.keeps else f"queued {which}"
    sentence = f"{ask.actor.name} {done}: {draft.subject}"

    queue = partial(engine.dispatcher.queue, draft=draft)
    reply = to_reply(await engine.note(ask, "message", sentence, {"body": draft.body}, queue))
    if not reply.ok:
        return reply
    sentences = filter(None, (reply.sentence, odd, f"It waits: {waits}." if waits else ""))
    return Reply(True, " ".join(sentences), reply.data)


async def preview(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    draft = _draft(engine, str(fields.get("id")))
    if draft is None:
        return _no_message(engine)
    return Reply(True, draft.subject, {"subject": draft.subject, "body": draft.body, "note": _misplaced(engine, draft)})


async def resend(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    """Retry now every message that waits for its next attempt or was given up."""
    count = 0

    def again(conn: sqlite3.Connection) -> None:
        nonlocal count
        count = outbox.again(conn, ask.at)

    sentence = f"{ask.actor.name} retried undelivered messages"
    outcome = await engine.note(ask, "message", sentence, within=again)
    if outcome.decision is not None and not count:
        return Reply(True, "No message is undelivered; there is nothing to retry.")
    return to_reply(outcome, messages=count)


async def notify_test(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    """Send a test message now."""
    tested = await engine.dispatcher.test()
    return Reply(tested.delivered, tested.sentence)


def _no_message(engine: Engine) -> Reply:
    return Reply(False, f"The plan has no such message. It has: {', '.join(m.id for m in engine.plan.messages)}.")


def _misplaced(engine: Engine, draft: Draft) -> str:
    return next(
        (schedule.misplaced(engine.plan, m, engine.state.stage) for m in engine.plan.messages if m.id == draft.message),
        "",
    )


def _draft(engine: Engine, which: str) -> Draft | None:
    message = next((m for m in engine.plan.messages if m.id == which), None)
    return notifier.draft(engine, message) if message is not None else None
