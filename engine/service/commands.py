"""What a person may ask of the engine, one function a request: `POST /v1/control/{kind}`.

Each takes the engine, the fields and who asks, and answers with a `Reply` in words. Rollback is not here: it has no table, no
check and no wait in its way (see `Engine.command`).
"""

from __future__ import annotations

import asyncio
import sqlite3
import uuid
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import msgspec

from engine import checklist, control, feedback, notify, trial
from engine.client import Reply
from engine.clock import LapseClock
from engine.control import Actor, Ask, Decision, Refusal, State, note
from engine.facts import facts
from engine.store import database, documents, log
from engine.store.log import Outcome
from engine.text import clean_block, clean_line
from engine.triggers.sample import Ok

if TYPE_CHECKING:
    from engine.service.engine import Engine

REASON_LIMIT = 500
Handler = Callable[["Engine", dict[str, Any], Ask], Awaitable[Reply]]
_table: dict[str, Handler] = {}


def request(kind: str) -> Callable[[Handler], Handler]:
    def register(handler: Handler) -> Handler:
        _table[kind] = handler
        return handler

    return register


def ask_of(engine: Engine, fields: dict[str, Any], actor: Actor) -> Ask:
    return engine.ask(
        clean_line(str(fields.get("reason") or ""), REASON_LIMIT),
        actor,
        clean_line(str(fields.get("request_id") or ""), 64) or uuid.uuid4().hex,
        clean_line(str(fields.get("seen") or ""), 2000),
    )


async def carry_out(engine: Engine, kind: str, fields: dict[str, Any], actor: Actor) -> Reply:
    handler = _table.get(kind)
    if handler is None:
        return Reply(False, f"Unknown request {clean_line(kind, 40)!r}. Known: {', '.join(sorted(_table))}, rollback.")
    if kind in RESTRICTED and not may_promote(engine, actor):
        allowed = ", ".join(engine.plan.access.promote) or f"group {engine.plan.access.group}"
        return Reply(False, f"{actor.name} may not {kind}: [access] allows {allowed}. Rollback is everyone's: R.")
    return await handler(engine, fields, ask_of(engine, fields, actor))


RESTRICTED = frozenset({"promote", "approve", "resume", "undo_rollback", "sign", "revoke"})


def may_promote(engine: Engine, actor: Actor) -> bool:
    """`[access]` may limit the way up to names or to a unix group; by default whoever can open the store may."""
    access = engine.plan.access
    if not access.promote and not access.group:
        return True
    if actor.name in access.promote:
        return True
    if access.group:
        import grp
        import os
        import pwd

        try:
            group = grp.getgrnam(access.group).gr_gid
            return group in os.getgrouplist(actor.name, pwd.getpwnam(actor.name).pw_gid)
        except KeyError:
            return False
    return False


def told(outcome: Outcome, **data: Any) -> Reply:
    """The outcome of a commit as a reply."""
    if outcome.decision is None:
        return Reply(False, outcome.refusal.sentence if outcome.refusal else "Nothing to do.", data)
    sentence = outcome.decision.sentence
    return Reply(
        True, sentence[0].upper() + sentence[1:] + ".", {"rev": outcome.state.rev, "epoch": outcome.state.epoch, **data}
    )


# -- the way up and its locks ------------------------------------------------------------------------------------------


@request("promote")
async def promote(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    epoch = fields.get("epoch")
    if not isinstance(epoch, int):
        return Reply(False, "Not promoted: the request does not say which epoch was looked at.")
    override = bool(fields.get("override")) or bool(fields.get("override_reason"))
    if fields.get("override_reason"):
        ask = msgspec.structs.replace(ask, reason=clean_line(str(fields["override_reason"]), REASON_LIMIT))
    facts = engine.monitor.gate_facts(engine.state)  # what was measured; people's part is read again inside

    await checklist.recheck(engine, ask)

    def decide(state: State) -> Decision | Refusal:
        conn = engine.monitor.writing_conn
        report = engine.monitor.gate(state, facts, conn)
        last = log.rows(conn, limit=1)
        by = last[0].decision.sentence if last else "nothing"
        return control.promote(engine.plan, state, ask, epoch, report.missing, report.blocked, override, by)

    outcome = await _commit_with_conn(engine, ask, decide)
    if outcome.decision is not None:
        await engine.arm()
    return told(outcome, percent_bp=outcome.state.percent_bp, stage=outcome.state.stage)


async def _commit_with_conn(engine: Engine, ask: Ask, decide: Callable[[State], Decision | Refusal]) -> Outcome:
    """Commit with the gate evaluated inside the transaction, on the transaction's own connection."""

    def job(conn: sqlite3.Connection) -> Outcome:
        engine.monitor.writing_conn = conn
        return log.commit(conn, ask.request_id, decide, engine.token)

    outcome = await asyncio.wrap_future(engine.writer.control(job))
    engine._follow(outcome)
    return outcome


@request("approve")
async def approve(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    return told(await engine.commit(ask, lambda state: control.approve(engine.plan, state, ask)))


@request("hold")
async def hold(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    return told(await engine.commit(ask, lambda state: control.hold(state, ask)))


@request("resume")
async def resume(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    if fields.get("cause"):
        ask = msgspec.structs.replace(ask, reason=clean_line(str(fields["cause"]), REASON_LIMIT))
    outcome = await engine.commit(ask, lambda state: control.resume(state, ask))
    if outcome.decision is not None:
        await engine.arm()
    return told(outcome)


@request("undo_rollback")
async def undo_rollback(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    outcome = await engine.commit(ask, lambda state: control.undo_rollback(engine.plan, state, ask))
    if outcome.decision is not None:
        await engine.arm()
    return told(outcome)


@request("rollback_reason")
async def rollback_reason(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    if not ask.reason:
        return Reply(False, "No reason was given; nothing changed.")
    rev = fields.get("rev") or engine.state.last_rev
    sentence = f"{ask.actor.name} gave the reason of rollback {rev}: {ask.reason}"
    return told(await engine.commit(ask, lambda state: note(state, ask, "reason", sentence, {"of": rev})))


@request("proof")
async def proof(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    found = engine.proofs.get(str(fields.get("of")))
    if found is None:
        return Reply(False, "No such rollback is known to this engine.")
    found.refresh()
    return Reply(True, found.view.sentence, {"proof": msgspec.to_builtins(found.view)})


# -- the checklist -------------------------------------------------------------------------------------------------------


@request("sign")
async def sign(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    return await checklist.sign(
        engine, str(fields.get("item")), clean_line(str(fields.get("note") or ""), REASON_LIMIT), ask
    )


@request("revoke")
async def revoke(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    return await checklist.revoke(engine, str(fields.get("item")), ask)


@request("check")
async def check(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    return await checklist.check(engine, str(fields.get("item")), ask)


# -- data ------------------------------------------------------------------------------------------------------------------


@request("restore")
async def restore(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    """Frequency keywords back for what the LLM wrote (in a window, in a stage); one transaction."""
    since, until, stage = fields.get("since"), fields.get("until"), fields.get("stage")
    window = documents.affected(engine.conn, since, until, stage)
    if fields.get("dry_run"):
        listed = documents.affected_documents(engine.conn, since, until, stage, limit=int(fields.get("limit") or 20))
        shown = [
            {"id": d.id, "title": d.title, "llm": d.llm, "frequency": d.frequency, "llm_at": d.llm_at} for d in listed
        ]
        sentence = (
            f"{window.documents} documents serve what the LLM wrote; restore would serve their frequency keywords."
        )
        return Reply(
            True,
            sentence,
            {"documents": window.documents, "since": window.since, "until": window.until, "sample": shown},
        )
    if not window.documents:
        return Reply(False, "Nothing to restore: no document in that window serves what the LLM wrote.")
    count = 0

    def also(conn: sqlite3.Connection, rev: int) -> None:
        nonlocal count
        _, count = documents.restore(conn, ask.at, rev, since, until, stage)

    sentence = f"{ask.actor.name} restored the frequency keywords of {window.documents} documents"
    outcome = await engine.commit(
        ask, lambda state: note(state, ask, "restore", sentence, {"since": since, "until": until, "stage": stage, "documents": window.documents}), also
    )  # fmt: skip
    return told(outcome, documents=count)


@request("undo_restore")
async def undo_restore(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    last = documents.last_restore(engine.conn)
    if last is None:
        return Reply(False, "Nothing to undo: there is no restore that is still in force.")
    count = 0

    def also(conn: sqlite3.Connection, rev: int) -> None:
        nonlocal count
        _, count = documents.undo_restore(conn, ask.at)

    sentence = f"{ask.actor.name} undid the restore of {last[1]} documents: they serve the LLM's keywords again"
    outcome = await engine.commit(
        ask, lambda state: note(state, ask, "undo_restore", sentence, {"restore": last[0]}), also
    )
    return told(outcome, documents=count)


# -- people ------------------------------------------------------------------------------------------------------------------


@request("feedback")
async def give_feedback(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    return await feedback.receive(engine, fields, ask)


@request("complaint")
async def complaint(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    return await feedback.receive(engine, {**fields, "kind": "complaint", "source": "console"}, ask)


@request("presence")
async def presence(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    """A console says that it is here and what it shows; gone after 15 s without a word."""
    console = clean_line(str(fields.get("console") or ask.actor.terminal or ask.actor.name), 100)
    engine.monitor.presence(
        console, ask.actor, clean_line(str(fields.get("screen") or ""), 40), bool(fields.get("gone"))
    )
    return Reply(True, "Noted.")


@request("note")
async def write_note(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    """A lesson or an action item for the report."""
    kind = str(fields.get("kind") or "lesson")
    text = clean_block(str(fields.get("text") or ""), 4000).strip()
    if kind not in ("lesson", "action", "well", "improve", "incident") or not text:
        return Reply(False, "A note needs a kind (well, improve, lesson, action, incident) and a text.")

    def also(conn: sqlite3.Connection, rev: int) -> None:
        conn.execute("INSERT INTO note (at, kind, actor, text) VALUES (?,?,?,?)", (ask.at, kind, ask.actor.name, text))

    sentence = f"{ask.actor.name} noted ({kind}): {clean_line(text, 120)}"
    return told(await engine.commit(ask, lambda state: note(state, ask, "note", sentence), also))


@request("remind")
async def remind(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    """Tick off monitoring that was due."""
    which = str(fields.get("id") or "")
    stage = engine.state.stage
    known = {r.id: r for r in engine.plan.stages[stage].reminders} if stage < len(engine.plan.stages) else {}
    if which not in known:
        return Reply(
            False, f"There is no reminder {clean_line(which, 60)!r} in this stage. Known: {', '.join(known) or 'none'}."
        )

    def also(conn: sqlite3.Connection, rev: int) -> None:
        conn.execute(
            "INSERT OR REPLACE INTO reminder VALUES (?,?,?,?,?)", (which, stage, ask.at, ask.at, ask.actor.name)
        )

    sentence = f"{ask.actor.name} did: {known[which].text}"
    return told(await engine.commit(ask, lambda state: note(state, ask, "monitoring", sentence), also))


# -- the engine itself -----------------------------------------------------------------------------------------------------


@request("stop")
async def stop(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    engine.event(f"{ask.actor.name} ended the engine.")
    engine.ending.set()
    return Reply(True, "The engine finishes what is in flight and ends. Until it runs again no document is extracted.")


@request("speed")
async def speed(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    if not isinstance(engine.clock, LapseClock):
        return Reply(False, "Only a rehearsal has a time lapse; this is the real thing.")
    try:
        engine.clock.set_speed(min(20_000.0, float(fields.get("value") or 0)))
    except (TypeError, ValueError) as error:
        return Reply(False, str(error))
    return Reply(True, f"Time runs {engine.clock.speed:g} times faster.")


@request("fault")
async def fault(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    if engine.world is None:
        return Reply(False, "Faults are switched only in a rehearsal; this is the real thing.")
    try:
        sentence = await engine.world.set_fault(str(fields.get("name")), float(fields.get("value") or 0))
    except (TypeError, ValueError) as error:
        return Reply(False, str(error))
    engine.event(sentence)
    return Reply(True, sentence)


# -- is it better ----------------------------------------------------------------------------------------------------------


@request("sample")
async def draw_sample(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    """Draw documents for a quality review: seeded and stored, so that it can be drawn again."""
    state = engine.state
    stage = engine.monitor.stage_of(state)
    size = int(fields.get("size") or (stage.sampling.documents if stage and stage.sampling else 20))
    seed = int(fields.get("seed") or engine.state.rev)
    ids = trial.draw_sample(engine.conn, max(1, min(500, size)), seed)
    if not ids:
        return Reply(False, "No document serves LLM keywords yet, so there is nothing to review.")
    number = 0

    def also(conn: sqlite3.Connection, rev: int) -> None:
        nonlocal number
        cursor = conn.execute(
            "INSERT INTO review_sample (at, stage, seed, size, blind, documents, actor) VALUES (?,?,?,?,?,?,?)",
            (ask.at, state.stage, seed, len(ids), bool(fields.get("blind")), log.json_body(list(ids)), ask.actor.name),
        )
        number = int(cursor.lastrowid or 0)

    sentence = f"{ask.actor.name} drew {len(ids)} LLM documents for review (seed {seed})"
    outcome = await engine.commit(
        ask, lambda now: note(now, ask, "sample", sentence, {"seed": seed, "size": len(ids)}), also
    )
    return told(outcome, sample=number, documents=list(ids), seed=seed)


@request("judge")
async def judge(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    """One reviewer's judgement of one document of a sample."""
    row = engine.conn.execute("SELECT documents FROM review_sample WHERE id = ?", (fields.get("sample"),)).fetchone()
    document = clean_line(str(fields.get("document") or ""), 512)
    if row is None or document not in msgspec.json.decode(row[0]):
        return Reply(False, "That document is not in that sample. Draw one first.")
    marks = {name: bool(fields.get(name)) for name in ("relevant", "grounded", "count", "better")}
    body = log.json_body({**marks, "good": bool(fields.get("good", all(marks.values())))})
    number, who, at = int(fields["sample"]), ask.actor.name, ask.at

    def job(conn: sqlite3.Connection) -> None:
        conn.execute("BEGIN IMMEDIATE")
        conn.execute("INSERT OR REPLACE INTO review VALUES (?,?,?,?,?)", (number, document, who, at, body))
        conn.execute("COMMIT")

    await asyncio.wrap_future(engine.writer.control(job))
    return Reply(True, f"{document}: {'good' if fields.get('good') else 'not good'}.")


@request("measure")
async def measure(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    """Measure search quality and the A/B verdict now, as evidence for the gate. Runs beside the loop, on its own connection."""

    def work() -> tuple[Any, dict[str, Any]]:
        conn = database.open_reader(engine.folder)
        try:
            return trial.search_measure(conn), trial.results(conn, engine.plan, ask.at)
        finally:
            conn.close()

    quality, found = await asyncio.to_thread(work)
    change = trial.improvement(quality)
    word = found["report"]["verdict"]["word"]
    at = ask.at

    def also(conn: sqlite3.Connection, rev: int) -> None:
        if change is not None:
            conn.execute("INSERT INTO measure VALUES (?,?,?)", (at, "search_improvement", log.json_body(change)))
        conn.execute("INSERT INTO measure VALUES (?,?,?)", (at, "search_quality", log.json_body(quality)))
        conn.execute("INSERT INTO measure VALUES (?,?,?)", (at, "ab_report", log.json_body(found["report"])))
        if word in ("ship", "worse", "no difference"):
            conn.execute(
                "INSERT INTO measure VALUES (?,?,?)", (at, "ab_verdict", log.json_body(Ok(float(word == "ship"), 1)))
            )

    sentence = f"measured for {ask.actor.name}: {quality.sentence} A/B: {found['verdict']}"
    outcome = await engine.commit(ask, lambda now: note(now, ask, "measure", sentence), also)
    return told(outcome, search=msgspec.to_builtins(quality), verdict=found["verdict"])


@request("message")
async def message(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    """Queue a message of the communication plan."""
    draft = _draft(engine, str(fields.get("id")))
    if draft is None:
        return Reply(False, f"The plan has no such message. It has: {', '.join(m.id for m in engine.plan.messages)}.")
    await engine.post.send(draft)
    sentence = f"{ask.actor.name} sent the message {draft.message}: {draft.subject}"
    return told(await engine.commit(ask, lambda now: note(now, ask, "message", sentence, {"body": draft.body})))


@request("preview")
async def preview(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    draft = _draft(engine, str(fields.get("id")))
    if draft is None:
        return Reply(False, f"The plan has no such message. It has: {', '.join(m.id for m in engine.plan.messages)}.")
    return Reply(True, draft.subject, {"subject": draft.subject, "body": draft.body})


def _draft(engine: Engine, which: str) -> notify.Draft | None:
    found = next((m for m in engine.plan.messages if m.id == which), None)
    view = engine.view()
    return notify.render(found, facts(engine.plan, view)) if found is not None and view is not None else None
