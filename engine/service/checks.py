"""What the machine can prove of a checklist: one function a kind of check, each with its finding in words."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from typing import Any

from engine import backup
from engine.apply import run_command
from engine.checklist import Finding
from engine.plan.durations import format_duration
from engine.plan.model import Check
from engine.service.engine import Engine


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
