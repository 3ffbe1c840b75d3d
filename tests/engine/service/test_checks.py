"""What the machine proves of a checklist: each kind of check holds and fails for the right reason, and keeps its evidence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from engine.clock import SystemClock
from engine.plan.load import default_plan_text, parse_plan
from engine.plan.model import Check, Item, Plan
from engine.rehearsal import record
from engine.rollout.state import Actor, Decision
from engine.server import commands
from engine.service.checks import examine
from engine.service.engine import Engine
from engine.service.loop import ControlLoop
from engine.store import log
from engine.store.folder import Folder
from tests.engine.messages.servers import http_server, mail_server
from tests.machine import free_port, patience
from tests.stub_llm import StubLlm

pytestmark = pytest.mark.anyio

PLAN = parse_plan(default_plan_text())
ALICE = Actor("alice", 1000)


@asynccontextmanager
async def opened(
    tmp_path: Path,
    items: tuple[Item, ...] = (),
    urls: str = "",
    address: str = "",
    plan: Plan = PLAN,
    llm: tuple[str, ...] = ("http://127.0.0.1:9",),
) -> AsyncIterator[Engine]:
    """An engine in this process, its parts created and its loop run once manually."""
    first = replace(plan.stages[0], checklist=items, bake_s=0.0, success=())
    made = replace(plan, stages=(first, *plan.stages[1:]), llm=replace(plan.llm, urls=llm))
    folder = Folder(tmp_path / "store")
    folder.prepare()
    lock = folder.try_lock()
    assert lock is not None
    with lock:
        engine = Engine(made, folder, SystemClock(), environ={plan.notify.urls_env: urls})
        await engine.open(address)
        await ControlLoop(engine).tick()
        try:
            yield engine
        finally:
            await engine.stop()


async def finding(engine: Engine, check: Check) -> tuple[bool, str]:
    result = await examine(engine, check)
    return result.ok, result.evidence


async def test_a_command_check_runs_in_a_shell_with_a_time_limit_and_judges_the_exit_status(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        ok, output = await finding(engine, Check("command", command="echo a b | grep -q b && echo fine"))
        assert ok
        assert output.endswith("fine")
        ok, output = await finding(engine, Check("command", command="echo broken; exit 4"))
        assert not ok
        assert "ended with 4" in output
        assert "broken" in output
        ok, output = await finding(engine, Check("command", command="sleep 60", timeout_s=0.2))
        assert not ok
        assert "not finished within 0.2 s" in output


async def test_an_http_check_judges_status_and_content(tmp_path: Path) -> None:
    with http_server() as (url, _):
        web = url.replace("json", "http")
        async with opened(tmp_path, address=web.rstrip("/")) as engine:
            ok, output = await finding(engine, Check("http", url="/metrics", status=501))
            assert ok, output
            ok, output = await finding(engine, Check("http", url=web, status=200))
            assert (ok, "answered 501, expected 200" in output) == (False, True)
            ok, output = await finding(engine, Check("http", url=web, status=501, contains="keyword_extraction"))
            assert (ok, "without 'keyword_extraction'" in output) == (False, True)
            ok, output = await finding(engine, Check("http", url=f"http://127.0.0.1:{free_port()}/"))
            assert (ok, "did not answer" in output) == (False, True)


async def test_a_metric_check_measures_now(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        assert (await finding(engine, Check("metric", metric="complaints", op="<=", value=0)))[0]
        ok, output = await finding(engine, Check("metric", metric="error_rate", op="<", value=0.01))
        assert (ok, output) == (False, "error_rate: nothing measured yet")


async def test_a_backup_check_takes_one_verifies_it_and_keeps_three(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        folder = engine.folder.path / "backups"
        folder.mkdir()
        for day in range(1, 6):
            (folder / f"store-2026-01-0{day}T000000Z.db").touch()
        ok, output = await finding(engine, Check("backup"))
        assert ok, output
        kept = sorted(path.name for path in folder.glob("store-*.db"))
        assert kept[:2] == ["store-2026-01-04T000000Z.db", "store-2026-01-05T000000Z.db"]
        assert len(kept) == 3
        assert "verified" in output


async def test_a_notify_check_needs_a_delivered_message(tmp_path: Path) -> None:
    with mail_server() as mail:
        async with opened(tmp_path, urls=mail.url) as engine:
            ok, output = await finding(engine, Check("notify"))
            assert ok, output
            assert mail.box.mails[0]["Subject"].startswith("Test message")
            about = Check("notify", message="before_rollout")
            ok, output = await finding(engine, about)
            assert (ok, "was not sent yet" in output) == (False, True)
            reply = await commands.carry_out(engine, "message", {"id": "before_rollout"}, ALICE)
            assert reply.ok, reply.sentence
            ok, output = await finding(engine, about)
            assert (ok, "waiting" in output) == (False, True)
            engine.dispatcher.start()
            for _ in patience(10.0):
                ok, output = await finding(engine, about)
                if ok:
                    break
                await asyncio.sleep(0.02)
            assert ok, output
            assert "rollout plan and timeline" in mail.box.mails[-1]["Subject"]


async def test_the_drill_leaves_a_live_percentage_alone(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        ask = engine.ask("live", ALICE)
        up = Decision("promote", ALICE, "live", 2, 1000, ask.at, ask.request_id, "alice promoted")
        await engine.commit(ask, lambda state: up)
        engine.folder.prepare_armed_file("live")
        engine.folder.arm()
        engine.switch.armed = engine.folder.armed_stamp()
        before = engine.state, engine.switch.read()
        assert before[1].percent_bp == 1000
        ok, output = await finding(engine, Check("rollback_drill"))
        assert ok, output
        assert "a router read 0 % after" in output
        assert output.endswith("stays at 10 %")
        assert (engine.state, engine.switch.read()) == before
        assert not [path for path in engine.folder.path.iterdir() if "drill" in path.name]


async def test_a_rehearsal_counts_when_it_was_passed_not_too_long_ago(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "home", lambda: tmp_path / "home")
    async with opened(tmp_path) as engine:
        asked = Check("rehearsal", within_s=30 * 86400)
        ok, output = await finding(engine, asked)
        assert (ok, "run `rollout rehearse`" in output) == (False, True)
        now = engine.clock.now()
        record.keep(engine.folder.path, record.PassedRehearsal(now - 40 * 86400, "bo", "auto", "hand", 9, "head"))
        assert not (await finding(engine, asked))[0]
        record.keep(engine.folder.path, record.PassedRehearsal(now - 5 * 86400, "alice", "auto", "hand", 9, "head"))
        ok, output = await finding(engine, asked)
        assert ok
        assert output.startswith("alice passed a rehearsal on ")


async def test_triggers_are_armed_and_find_a_fault_in_a_backtest(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        ok, output = await finding(engine, Check("triggers"))
        assert ok, output
        assert "an error rate of 20 % triggers error_critical after" in output
    off = tuple(replace(t, enabled=t.id != "error_critical") for t in PLAN.triggers)
    async with opened(tmp_path / "off", plan=replace(PLAN, triggers=off)) as engine:
        assert await finding(engine, Check("triggers")) == (False, "switched off in the plan: error_critical")
    blunt = tuple(t for t in PLAN.triggers if t.metric not in ("error_rate", "error_creep", "llm_available"))
    async with opened(tmp_path / "blunt", plan=replace(PLAN, triggers=blunt)) as engine:
        ok, output = await finding(engine, Check("triggers"))
        assert (ok, "no trigger acts" in output) == (False, True)


async def test_the_llm_check_fails_with_a_sentence_when_no_server_listens(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        await engine.pool.start()
        ok, output = await finding(engine, Check("llm"))
        assert not ok
        assert "http://127.0.0.1:9" in output
        assert "connect" in output.lower() or "refused" in output.lower()


async def test_the_llm_check_names_the_one_of_several_servers_that_fails_and_states_once_what_all_do(
    tmp_path: Path,
) -> None:
    async with StubLlm() as good, opened(tmp_path, llm=(good.url, "http://127.0.0.1:9")) as engine:
        await engine.pool.start()
        ok, output = await finding(engine, Check("llm"))
        assert not ok
        assert output.startswith("http://127.0.0.1:9: ")
        assert good.url not in output
    async with StubLlm() as one, StubLlm() as two, opened(tmp_path / "two", llm=(one.url, two.url)) as engine:
        await engine.pool.start()
        ok, output = await finding(engine, Check("llm"))
        assert ok, output
        assert output.count("the server has llama3.2:3b") == 1


async def test_a_promotion_checks_again_and_what_fails_now_shuts_the_gate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.service.checklist_requests.FRESH_S", 0.0)
    with http_server() as (url, _):
        item = Item("web", "The page answers", Check("http", url=url.replace("json", "http"), status=501))
        manual = Item("team", "The team is ready")
        async with opened(tmp_path, items=(item, manual)) as engine:
            for name in ("web", "team"):
                reply = await commands.carry_out(engine, "sign", {"item": name, "note": "seen with own eyes"}, ALICE)
                assert reply.ok, reply.sentence
            broken = replace(
                item, check=replace(item.check, status=200)
            )  # the world changes: the page answers otherwise
            first = replace(engine.plan.stages[0], checklist=(broken, manual))
            engine.plan = replace(engine.plan, stages=(first, *engine.plan.stages[1:]))
            engine.monitor.use(engine.plan)
            reply = await commands.carry_out(engine, "promote", {"epoch": engine.state.epoch}, ALICE)
            assert (reply.ok, "1 of 2 checklist items open: The page answers" in reply.sentence) == (False, True)
            kinds = [row.decision.kind for row in log.rows(engine.conn, limit=10)]
            assert kinds[:3] == ["check", "sign", "check"]
            for written, signed in (("seen", False), ("seen with own eyes", True)):
                reply = await commands.carry_out(engine, "sign", {"item": "web", "note": written}, ALICE)
                assert reply.ok is signed, reply.sentence
                assert ("add a note of at least 8 characters" in reply.sentence) is not signed
