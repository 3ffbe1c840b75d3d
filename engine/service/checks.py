"""Machine checks of checklist items: one function per kind of check, each returning its finding in words."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable, Mapping

from engine import shell
from engine.gate.checklist import CheckResult
from engine.messages import outbox
from engine.plan.durations import format_duration, iso
from engine.plan.model import Check, Plan
from engine.rehearsal import record
from engine.rollout.actions import LOWERING
from engine.service import drill
from engine.service.engine import Engine
from engine.store import backup, database, ownership
from engine.text import clean_line, percent
from engine.triggers.attempts import changed_and_not_replayed, latest
from engine.triggers.backtest import Attempt, Inject, backtest

KEPT_BACKUPS = 3
MOST_STORED = 3000  # latest attempts that the triggers' check replays
OUTPUT = 300


async def examine(engine: Engine, check: Check) -> CheckResult:
    """Run one check; never raises, a failure is a finding."""
    try:
        return await KINDS[check.kind](engine, check)
    except Exception as error:
        return CheckResult(False, f"the check itself failed: {type(error).__name__}: {clean_line(str(error), 200)}")


def again_before_promotion(check: Check) -> bool:
    """Whether a promotion repeats it. Not checks that send messages, and no command of unknown duration."""
    return check.kind not in ("manual", "command") and (check.kind != "notify" or bool(check.message))


async def _llm(engine: Engine, check: Check) -> CheckResult:
    """The problem or the result, listed once for all servers that share it."""
    report = await engine.pool.check()
    servers_by_text: dict[str, list[str]] = {}
    for line in report.lines:
        if report.ok or line.state == "fail":
            servers_by_text.setdefault(line.text, []).append(line.server)
    servers = {line.server for line in report.lines}
    several = len(servers) > 1
    lines = (
        f"{', '.join(by)}: {text}" if several and len(by) < len(servers) else text
        for text, by in servers_by_text.items()
    )
    return CheckResult(report.ok, "; ".join(lines))


async def _http(engine: Engine, check: Check) -> CheckResult:
    from engine.light_httpx import httpx

    own = check.url.startswith("/")
    url = engine.address + check.url if own else check.url
    token = engine.environ.get(engine.plan.http.token_env) if own else None
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        # a thread, because it reads certificates for 60 ms
        async with await asyncio.to_thread(httpx.AsyncClient, timeout=check.timeout_s) as client:
            response = await client.get(url, headers=headers)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return CheckResult(False, f"{url} did not answer: {str(error) or type(error).__name__}")
    if response.status_code != check.status:
        return CheckResult(False, f"{url} answered {response.status_code}, expected {check.status}")
    if check.contains and check.contains not in response.text:
        return CheckResult(False, f"{url} answered {response.status_code} without {check.contains!r}")
    return CheckResult(
        True, f"{url} answered {response.status_code}" + (f" with {check.contains!r}" if check.contains else "")
    )


async def _command(engine: Engine, check: Check) -> CheckResult:
    done = await shell.run(check.command, check.timeout_s)
    command = clean_line(check.command, 120)
    output = clean_line(done.output[-OUTPUT:], OUTPUT)
    return CheckResult(done.ok, f"`{command}` {done.sentence}" + (f": {output}" if output else ", without output"))


async def _metric(engine: Engine, check: Check) -> CheckResult:
    engine.monitor.gatekeeper.facts(engine.state)  # measured again when the figures are old
    return engine.monitor.gatekeeper.judge(check.metric, check.op, check.value)


async def _backup(engine: Engine, check: Check) -> CheckResult:
    folder = engine.folder.path / "backups"
    target = folder / f"store-{iso(engine.clock.now()).replace(':', '')}.db"

    def take() -> CheckResult:
        if why := ownership.make_private(folder):
            return CheckResult(False, f"No backup: {why}.")
        report = backup.take(engine.folder, target)
        if report.ok:
            for old in sorted(folder.glob("store-*.db"))[:-KEPT_BACKUPS]:
                old.unlink(missing_ok=True)
        return CheckResult(report.ok, report.sentence)

    return await asyncio.to_thread(take)


async def _notify(engine: Engine, check: Check) -> CheckResult:
    if check.message:
        return _delivered(engine, check.message)
    if engine.rehearsal and engine.dispatcher.trouble:
        return CheckResult(
            True, f"a {engine.exercise.lower()} sends nothing; with an address in [notify] this sends a test message"
        )
    tested = await engine.dispatcher.test()
    return CheckResult(tested.delivered, tested.sentence)


def _delivered(engine: Engine, message: str) -> CheckResult:
    """Whether a message of the plan reached its addresses; a person sends it, not the check."""
    last = next((d for d in outbox.deliveries(engine.conn, 1000) if d.message == message), None)
    if last is None:
        return CheckResult(False, f"{message} was not sent yet: screen 9, or `rollout notify send {message}`")
    if last.state == "sent":
        return CheckResult(True, f"{message} was delivered, queued {iso(last.at)}: {last.subject}")
    if last.state == "kept":
        return CheckResult(True, f"{message} was made {iso(last.at)}; a {engine.exercise.lower()} sends nothing")
    why = f": {last.error}" if last.error else ""
    return CheckResult(False, f"{message} is {last.state} after {last.tries} tries{why}")


async def _drill(engine: Engine, check: Check) -> CheckResult:
    """A rollback drill on a copy of the store, and how fast the live writer would commit a decision."""
    result = await asyncio.to_thread(drill.drill, engine.folder, engine.plan)
    began = time.perf_counter()
    await asyncio.wrap_future(
        engine.writer.write(lambda conn: conn.execute("UPDATE lease SET clean = clean WHERE id = 1"))
    )
    commit_ms = (time.perf_counter() - began) * 1000
    if not result.ok:
        return CheckResult(False, f"dry run: {result.trouble or 'a rollback did not take effect'}")
    return CheckResult(
        True,
        f"dry run on this disk: from 100 % a router read 0 % after {result.effective_ms:.2f} ms, the decision was "
        f"on the disk after {result.recorded_ms:.1f} ms; the live store takes a decision in {commit_ms:.1f} ms and "
        f"stays at {percent(engine.state.percent_bp)}",
    )


async def _rehearsal(engine: Engine, check: Check) -> CheckResult:
    if engine.rehearsal:
        return CheckResult(True, f"you are in a {engine.exercise.lower()}")
    passed = record.last_passed(engine.folder.path, record.home())
    from engine.gameday import results  # it reads reports; no engine waits for that at its start

    games = results.evidence(results.read(engine.folder.path, record.home()))
    played = f"; {games}" if games else ""
    if passed is None:
        return CheckResult(
            False,
            "no rehearsal has been passed for this store: run `rollout rehearse` beside rollout.toml, let a "
            f"trigger roll back and roll back manually{played}",
        )
    age = engine.clock.now() - passed.at
    limit = check.within_s
    asked = f"; it must be at most {format_duration(limit)} old" if limit else ""
    return CheckResult(
        not limit or age <= limit, f"{passed.sentence}, {format_duration(max(0.0, age))} ago{asked}{played}"
    )


async def _triggers(engine: Engine, check: Check) -> CheckResult:
    """All enabled, evaluated recently, silent on healthy data, and quick on a fault; then how they would have acted on
    the stored attempts."""
    off = [t.id for t in engine.plan.triggers if not t.enabled]
    if off:
        return CheckResult(False, f"switched off in the plan: {', '.join(off)}")
    age = engine.switch.lease_age_s
    if age >= 5:
        return CheckResult(False, f"the triggers were last evaluated {age:.0f} s ago")
    rules = engine.monitor.gatekeeper.rules
    if changed_and_not_replayed(engine.conn, rules):
        return CheckResult(
            False, f"the triggers were changed (rules {rules}): run `rollout triggers backtest --days 7`"
        )
    folder, plan, now = engine.folder, engine.plan, engine.clock.now()

    def read() -> tuple[Attempt, ...]:
        conn = database.open_reader(folder)
        try:
            return latest(conn, now - 86400, MOST_STORED)
        finally:
            conn.close()

    false, acted = await asyncio.to_thread(fault_found, plan)
    attempts = await asyncio.to_thread(read)
    fired = await asyncio.to_thread(backtest, plan.triggers, plan.trigger_settings, attempts)
    armed = f"{len(plan.triggers)} triggers armed, evaluated {age:.1f} s ago"
    if false:
        return CheckResult(False, f"{armed}; backtest: {false} fires on a healthy stretch")
    if not acted:
        return CheckResult(False, f"{armed}; backtest: no trigger acts on an error rate of 20 %")
    history = f"; on the last {len(attempts)} stored attempts {len(fired)} would have fired" if attempts else ""
    return CheckResult(
        True, f"{armed}; backtest: silent on 4 h of healthy documents; an error rate of 20 % triggers {acted}{history}"
    )


def fault_found(plan: Plan) -> tuple[str, str]:
    """(a trigger that fires falsely, the trigger that lowers the percentage first and when), over 4 h at 6 LLM
    documents a minute."""
    rng = random.Random(11)
    healthy = [
        Attempt(10.0 * i, 1, True, rng.random() >= 0.003, rng.uniform(500, 1100), True, rng.random() < 0.3)
        for i in range(1440)
    ]
    false = backtest(plan.triggers, plan.trigger_settings, healthy)
    faulty = backtest(plan.triggers, plan.trigger_settings, healthy, (Inject(7200.0, math.inf, 0.2),))
    acted = next((f for f in faulty if f.action in LOWERING and f.delay_s is not None), None)
    first = f"{acted.trigger} after {format_duration(acted.delay_s or 0.0)}" if acted else ""
    return (false[0].trigger if false else ""), first


KINDS: Mapping[str, Callable[[Engine, Check], Awaitable[CheckResult]]] = {
    "llm": _llm,
    "http": _http,
    "command": _command,
    "metric": _metric,
    "backup": _backup,
    "notify": _notify,
    "rollback_drill": _drill,
    "rehearsal": _rehearsal,
    "triggers": _triggers,
}
