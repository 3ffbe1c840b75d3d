"""Checklist items: signed by a person, or proven by the machine; each keeps its evidence.

A machine check runs on demand and again before a promotion. Where it cannot prove an item, a person may sign by hand with a note
that says why; the machine's finding stays beside it, for ever.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from engine import backup
from engine.apply import run_command
from engine.client import Reply
from engine.control import Ask, note
from engine.plan.durations import format_duration
from engine.plan.model import Check, Item
from engine.text import clean_line
from engine.view import ItemView

if TYPE_CHECKING:
    from engine.plan.model import Plan
    from engine.service.engine import Engine

EVIDENCE_LIMIT = 600
LEAST_NOTE = 8
FRESH_S = 300.0  # a machine check younger than this is not run again before a promotion


class Finding(Struct, frozen=True):
    ok: bool
    evidence: str


def items(plan: Plan, stage: int) -> tuple[Item, ...]:
    """The checklist in force: the stage's; once stable, the post-rollout tasks."""
    return plan.stages[stage].checklist if stage < len(plan.stages) else plan.post_rollout


def read(conn: sqlite3.Connection, plan: Plan, stage: int) -> tuple[ItemView, ...]:
    """Every item of a stage with its state as stored."""
    stored = {
        row[0]: row[1:]
        for row in conn.execute(
            "SELECT item, state, actor, at, note, evidence FROM checked WHERE stage = ?", (stage,)
        ).fetchall()
    }
    views = []
    for item in items(plan, stage):
        state, by, at, written, evidence = stored.get(item.id, ("open", "", None, "", ""))
        views.append(ItemView(item.id, item.text, item.check.kind, state, by, at, written, evidence, item.required))
    return tuple(views)


def missing(views: tuple[ItemView, ...]) -> list[str]:
    """What still stands between the checklist and the gate, one phrase an item."""
    phrases = []
    for view in views:
        if view.state == "done" or not view.required:
            continue
        how = (
            f"failed: {view.evidence}"
            if view.state == "failed"
            else "not signed"
            if view.kind == "manual"
            else "not checked"
        )
        phrases.append(f'"{view.text}" {how}')
    return phrases


def _find(engine: Engine, item_id: str) -> Item | None:
    return next((item for item in items(engine.plan, engine.state.stage) if item.id == item_id), None)


def _unknown(engine: Engine, item_id: str) -> Reply:
    known = ", ".join(item.id for item in items(engine.plan, engine.state.stage)) or "none"
    return Reply(False, f"This stage's checklist has no item {clean_line(item_id, 60)!r}. It has: {known}.")


async def sign(engine: Engine, item_id: str, written: str, ask: Ask) -> Reply:
    item = _find(engine, item_id)
    if item is None:
        return _unknown(engine, item_id)
    if item.check.kind != "manual":
        reply = await check(engine, item_id, ask)
        if reply.ok or len(written) < LEAST_NOTE:
            return reply
        again = engine.ask("against the machine", ask.actor)
        said = str(reply.data.get("evidence", ""))
        sentence = f'{ask.actor.name} signed "{item.text}" by hand ({written}), although the machine says: {said}'
        return await _record(engine, item, "done", f"by hand: {written}", said, sentence, "sign", again)
    sentence = f'{ask.actor.name} signed "{item.text}"' + (f": {written}" if written else "")
    return await _record(engine, item, "done", written, "", sentence, "sign", ask)


async def revoke(engine: Engine, item_id: str, ask: Ask) -> Reply:
    item = _find(engine, item_id)
    if item is None:
        return _unknown(engine, item_id)
    sentence = f'{ask.actor.name} took back "{item.text}"' + (f": {ask.reason}" if ask.reason else "")
    return await _record(engine, item, "open", ask.reason, "", sentence, "revoke", ask)


async def check(engine: Engine, item_id: str, ask: Ask) -> Reply:
    item = _find(engine, item_id)
    if item is None:
        return _unknown(engine, item_id)
    if item.check.kind == "manual":
        return Reply(False, f'"{item.text}" is for a person to sign; no machine can prove it.')
    finding = await examine(engine, item.check)
    state = "done" if finding.ok else "failed"
    word = "proved" if finding.ok else "could not prove"
    evidence = clean_line(finding.evidence, EVIDENCE_LIMIT)
    sentence = f'the machine {word} "{item.text}" for {ask.actor.name}: {evidence}'
    reply = await _record(engine, item, state, "", evidence, sentence, "check", ask)
    return Reply(finding.ok, reply.sentence, reply.data) if reply.ok else reply


async def recheck(engine: Engine, ask: Ask) -> None:
    """Before a promotion: run again every machine check that was proved a while ago. What fails closes the gate."""
    now = engine.clock.now()
    for view in read(engine.conn, engine.plan, engine.state.stage):
        if view.kind == "manual" or view.state != "done" or (view.at is not None and now - view.at < FRESH_S):
            continue
        if view.note.startswith("by hand") or view.kind in ("backup", "notify", "rollback_drill", "command"):
            continue  # signed by hand, or it acts on the world: repeated only when asked for
        await check(engine, view.id, engine.ask("before a promotion", ask.actor))


async def _record(
    engine: Engine, item: Item, state: str, written: str, evidence: str, sentence: str, kind: str, ask: Ask
) -> Reply:
    stage = engine.state.stage

    def also(conn: sqlite3.Connection, rev: int) -> None:
        conn.execute(
            "INSERT OR REPLACE INTO checked VALUES (?,?,?,?,?,?,?)",
            (stage, item.id, state, ask.actor.name, ask.at, written, evidence),
        )

    outcome = await engine.commit(
        ask, lambda now: note(now, ask, kind, sentence, {"item": item.id, "evidence": evidence}), also
    )
    ok = outcome.decision is not None
    return Reply(ok, sentence[0].upper() + sentence[1:] + ".", {"item": item.id, "state": state, "evidence": evidence})


# -- what the machine can prove ----------------------------------------------------------------------------------------


async def examine(engine: Engine, check: Check) -> Finding:
    """Run one check; never raises, a failure is a finding."""
    kinds: dict[str, Any] = {
        "llm": _llm, "http": _http, "command": _command, "metric": _metric, "backup": _backup, "notify": _notify,
        "rollback_drill": _drill, "rehearsal": _rehearsal, "triggers": _triggers,
    }  # fmt: skip
    try:
        finding: Finding = await kinds[check.kind](engine, check)
        return finding
    except Exception as error:
        return Finding(False, f"the check itself failed: {type(error).__name__}: {error}")


async def _llm(engine: Engine, check: Check) -> Finding:
    report = await engine.pool.check()
    failed = [line.text for line in report.lines if line.state == "fail"]
    return Finding(report.ok, "; ".join(failed or [line.text for line in report.lines]))


async def _http(engine: Engine, check: Check) -> Finding:
    import httpx

    url = engine.address + check.url if check.url.startswith("/") else check.url
    try:
        async with httpx.AsyncClient(timeout=check.timeout_s) as client:
            response = await client.get(url)
    except httpx.HTTPError as error:
        return Finding(False, f"{url} did not answer: {error or type(error).__name__}")
    if response.status_code != check.status:
        return Finding(False, f"{url} answered {response.status_code}, expected {check.status}")
    if check.contains and check.contains not in response.text:
        return Finding(False, f"{url} answered {response.status_code} without {check.contains!r}")
    return Finding(
        True, f"{url} answered {response.status_code}" + (f" with {check.contains!r}" if check.contains else "")
    )


async def _command(engine: Engine, check: Check) -> Finding:
    status, output = await run_command(check.command, check.timeout_s)
    last = (output.strip().splitlines() or [""])[-1]
    if status is None:
        return Finding(False, f"`{check.command}` did not end within {check.timeout_s:g} s")
    return Finding(status == 0, f"`{check.command}` ended with {status}: {last}")


async def _metric(engine: Engine, check: Check) -> Finding:
    return engine.monitor.judge(check.metric, check.op, check.value)


async def _backup(engine: Engine, check: Check) -> Finding:
    target = engine.folder.path / "backups" / f"store-{int(engine.clock.now())}.db"
    report = await asyncio.to_thread(backup.take, engine.folder, target)
    return Finding(report.ok, report.sentence)


async def _notify(engine: Engine, check: Check) -> Finding:
    if engine.rehearsal and engine.post.trouble:
        return Finding(True, "a rehearsal sends nothing; with an address in [notify] this sends a test message")
    sentence = await engine.post.test()
    return Finding(sentence.startswith("Delivered"), sentence)


async def _drill(engine: Engine, check: Check) -> Finding:
    """A dry run in this store: the way of a rollback, file and commit included, without touching the percentage."""
    began = time.perf_counter()
    engine.drill()
    file_ms = (time.perf_counter() - began) * 1000
    began = time.perf_counter()

    def touch(conn: sqlite3.Connection) -> None:
        conn.execute("BEGIN IMMEDIATE")
        conn.execute("UPDATE lease SET clean = clean WHERE id = 1")
        conn.execute("COMMIT")

    await asyncio.wrap_future(engine.writer.control(touch))
    commit_ms = (time.perf_counter() - began) * 1000
    read = engine.switch.read()
    return Finding(
        True,
        f"dry run: the switch could be taken out and put back in {file_ms:.1f} ms, a durable commit took {commit_ms:.1f} ms, "
        f"routers now obey {read.percent_bp / 100:g} %",
    )


async def _rehearsal(engine: Engine, check: Check) -> Finding:
    from engine.rehearsal.record import last_passed

    if engine.rehearsal:
        return Finding(True, "this is one")
    passed = last_passed(engine.folder)
    if passed is None:
        return Finding(False, "no rehearsal has been passed on this machine: run `rollout rehearse` and roll back once")
    age = engine.clock.now() - passed
    limit = check.within_s or 30 * 86400
    return Finding(
        age <= limit,
        f"a rehearsal was passed {format_duration(age)} ago; at most {format_duration(limit)} is asked for",
    )


async def _triggers(engine: Engine, check: Check) -> Finding:
    armed = [t.id for t in engine.plan.triggers if t.enabled]
    off = [t.id for t in engine.plan.triggers if not t.enabled]
    if off:
        return Finding(False, f"switched off in the plan: {', '.join(off)}")
    age = engine.switch.lease_age_s
    return Finding(age < 5, f"{len(armed)} triggers are evaluated every second, last {age:.1f} s ago")
