"""One engine at a time, a live one or no LLM. On real processes, and on an injected clock that people set."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import console.link
import console.liveness
from engine.plan.durations import format_duration
from engine.rollout.control import roll_back
from engine.rollout.state import DOWN, Ask, Decision, State
from engine.server.spawning import wait_until_up
from engine.service import rollback
from engine.store import database, log
from tests.engine.service.clocked import ALICE, Clocked
from tests.engine.service.rig import TEXT, EngineRig
from tests.machine import crowd

# -- one engine ---------------------------------------------------------------------------------------------------------------


SETTINGS = {"store.resume": "safe", "trigger_settings.lease": "2s", "llm.url": "http://127.0.0.1:9"}


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineRig]:
    """One store for a life of engines, each test on the one that runs then."""
    with EngineRig(tmp_path_factory.mktemp("lease"), 1.0, SETTINGS) as made:
        yield made


def ask_four(rig: EngineRig, tag: str) -> tuple[list[threading.Thread], list[dict[str, Any]]]:
    """Four clients that wait for an answer each."""
    answers: list[dict[str, Any]] = []
    text = f"{TEXT} {tag}"  # not known to the cache
    asking = [threading.Thread(target=lambda n=n: answers.append(rig.extract(f"{tag}-{n}", text))) for n in range(4)]  # type: ignore[misc]
    for one in asking:
        one.start()
    return asking, answers


def test_a_standby_takes_over_within_two_seconds_and_a_store_marked_safe_starts_at_zero(tmp_path: Path) -> None:
    with EngineRig(tmp_path, None, SETTINGS) as rig:  # `rollout serve` is not a rehearsal and takes over none
        first = rig.running()
        rig.climb(2)
        took = []
        for number in range(1, 4):  # on a machine that is busy with other things one of them may be late
            standby = rig.serve()  # its standard error is engine.log, where a line belongs once
            assert rig.until(lambda n=number: rig.folder.engine_log.read_text().count("standby: another") == n)  # type: ignore[misc]
            token = rig.reader.engine_record().token
            first.kill()
            first.wait()
            killed = time.monotonic()
            assert rig.until(lambda token=token: rig.reader.engine_record().token == token + 1, 15)  # type: ignore[misc]
            took.append(time.monotonic() - killed)
            assert rig.pid == standby.pid
            assert wait_until_up(rig.folder, standby, 20.0 * crowd()) == ""
            if took[-1] < 2.0 * crowd():
                break
            first = standby
        assert min(took) < 2.0 * crowd()
        assert rig.until(lambda: rig.percent_bp == 0, 3)
        assert "resume is safe" in rig.reader.log(5, kind="rollback")[0].reason
        assert not rig.folder.is_armed()


def test_a_store_marked_safe_keeps_its_percentage_over_a_clean_stop(tmp_path: Path) -> None:
    with EngineRig(tmp_path, None, SETTINGS) as rig:
        rig.engine()
        rig.climb(2)
        assert rig.cli("stop").returncode == 0
        assert rig.until(lambda: not rig.folder.is_locked())
        rig.engine()
        assert rig.percent_bp == 1000
        assert rig.folder.is_armed()


def test_an_engine_that_wakes_after_it_was_replaced_writes_nothing_reports_it_and_ends(rig: EngineRig) -> None:
    old = rig.running()
    rig.climb(2)
    rig.stop_between_writes(old)
    rig.folder.lock.unlink()  # what a desperate person does instead of kill -9
    new = rig.engine()
    rev = rig.reader.state().rev
    os.kill(old.pid, signal.SIGCONT)
    assert old.wait(10) == 0
    assert "Another engine has taken over" in rig.folder.engine_log.read_text()
    assert new.poll() is None
    assert rig.client.request("GET", "/healthz")[0] == 200  # the old one did not take the new one's socket along
    assert rig.pid == new.pid
    late = [
        d.kind for d in rig.reader.log(50) if d.rev > rev and d.kind not in ("complaint", "proof", "message", "lease")
    ]
    assert late == []
    assert rig.reader.read(log.verify).ok


def test_stopped_for_longer_than_the_lease_it_wakes_at_zero_and_logs_that(rig: EngineRig) -> None:
    process = rig.running()
    rig.climb(5)
    assert rig.until(lambda: rig.view.effective_bp == 10_000)
    os.kill(process.pid, signal.SIGSTOP)
    asking, _ = ask_four(rig, "asleep")
    time.sleep(2.6)
    os.kill(process.pid, signal.SIGCONT)
    for one in asking:
        one.join()
    assert rig.until(lambda: "lease" in rig.kinds(), 5)
    assert "every router was at 0 %" in rig.reader.log(20, kind="lease")[0].sentence
    assert rig.percent_bp == 10_000  # it is not a rollback
    assert rig.until(lambda: rig.view.effective_bp == 10_000, 5)


def test_while_the_store_takes_no_writes_a_console_is_shown_the_engine_s_own_view_and_not_a_frozen_engine(
    rig: EngineRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.running()
    monkeypatch.setattr(console.liveness, "SILENT_S", 0.5)
    watching = console.link.StoreLink(rig.folder, rig.plan)
    with contextlib.closing(sqlite3.connect(rig.folder.database, timeout=5.0, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert rig.until(lambda: time.time() - rig.reader.engine_record().heartbeat > 2.0)

        def shown() -> bool:
            snapshot = watching.poll()
            problems = snapshot.view.engine.problems if snapshot.view is not None else ()
            return snapshot.fresh and any("has locked the store" in problem for problem in problems)

        assert rig.until(shown)
    watching.reader.close()


def test_sigterm_finishes_what_is_in_flight_within_ten_seconds(rig: EngineRig) -> None:
    """Hanging calls are given up after a while and their documents finished by frequency: no document is dropped."""
    process = rig.running()
    rig.climb(5)
    assert rig.client.command("fault", name="hang", value=1).ok
    asking, answers = ask_four(rig, "late")
    assert rig.until(lambda: rig.view.engine.in_flight >= 4)
    time.sleep(0.5 * crowd())  # the rehearsal's own documents are in flight too: by now ours have arrived as well
    began = time.monotonic()
    process.terminate()
    assert process.wait(12 * crowd()) == 0
    took = time.monotonic() - began
    for one in asking:
        one.join()
    assert took < 10 * crowd()
    assert [answer["method"] for answer in answers] == ["frequency"] * 4
    assert rig.reader.read(lambda conn: conn.execute("SELECT clean FROM lease").fetchone()) == (1,)
    stored = rig.reader.read(lambda c: c.execute("SELECT count(*) FROM document WHERE id LIKE 'late-%'").fetchone())
    assert stored == (4,)


# -- clocks that are set ------------------------------------------------------------------------------------------------------


pytestmark = pytest.mark.anyio


async def test_the_lease_runs_out_by_the_machine_s_own_clock_and_not_by_the_wall_s(tmp_path: Path) -> None:
    async with Clocked(tmp_path) as c:
        await c.climb(2)
        for step in (3600.0, -7200.0, 3600.0):
            c.clock.step_wall(step)
            assert c.engine.switch.read().percent_bp == 1000
        c.clock.advance(30.5)  # a suspended machine: no wall clock was set, nothing was evaluated
        permit = c.engine.switch.read()
        assert permit.percent_bp == 0
        assert "not evaluated for 30 s" in permit.why or "not evaluated for 31 s" in permit.why
        assert not c.engine.switch.may_call()
        refused = await c.command("promote", epoch=c.engine.state.epoch, override=True, reason="no one watches now")
        assert not refused.ok
        await c.loop.tick()
        assert c.engine.switch.read().percent_bp == 1000
        await c.settled(lambda: log.last(c.engine.conn, ("lease",)) is not None)


async def test_the_log_reports_that_triggers_are_evaluated_again_once_and_only_when_true(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Clocked(tmp_path, ticking=False) as c:
        await c.climb(2)

        def broken(*_: object) -> None:
            raise ValueError("no figure can be read")

        with monkeypatch.context() as patch:
            patch.setattr(c.engine.monitor, "evaluate", broken)
            for _ in range(5):
                c.clock.advance(31.0)
                with pytest.raises(ValueError, match="no figure"):
                    await c.loop.tick()

        def output() -> list[str]:
            result = log.rows(c.engine.conn)
            return [row.decision.sentence for row in result if row.decision.kind == "lease"]

        await asyncio.sleep(0.2)  # what was owed is written beside the beat
        assert output() == []
        await c.loop.tick()
        await c.loop.tick()
        await c.settled(output)
        assert len(output()) == 1
        assert "for 155 s" in output()[0]


@pytest.mark.parametrize("step", [3600.0, -3600.0])
async def test_undo_and_cool_down_keep_their_length_when_the_clock_is_set(tmp_path: Path, step: float) -> None:
    async with Clocked(tmp_path) as c:
        await c.climb(2)
        await rollback.roll_back(c.engine, c.engine.ask("by mistake", ALICE))
        await c.settled(lambda: c.engine.state.percent_bp == 0)
        c.clock.advance(20)
        c.clock.step_wall(step)
        await c.loop.tick()
        way = "forward" if step > 0 else "back"
        assert any(f"set {way} by {format_duration(3600)}" in sentence for _, sentence in c.engine.events)
        c.clock.advance(30)

        def left() -> float:
            assert c.engine.state.undo is not None
            return c.engine.state.undo.until - c.clock.now()

        await c.settled(lambda: left() == pytest.approx(10, abs=1))  # the new times are written beside the beat
        assert (await c.command("undo_rollback", epoch=c.engine.state.epoch)).ok
        assert c.engine.conn.execute("SELECT 1").fetchone()
        assert log.verify(c.engine.conn).ok


async def test_a_step_back_loses_no_complaint_of_the_stage(tmp_path: Path) -> None:
    async with Clocked(tmp_path) as c:
        await c.climb(2)
        c.clock.advance(5)
        assert (await c.command("complaint", text="one", document="a")).ok
        c.clock.step_wall(-3600)
        await c.loop.tick()
        assert (await c.command("complaint", text="two", document="b")).ok
        await c.loop.tick()
        result = next(t for t in c.engine.monitor.verdict.readings if t.id == "complaints_many")
        assert result.value == 2


async def test_a_trigger_s_rollback_beats_a_promotion_that_lands_in_between(tmp_path: Path) -> None:
    """It was decided at 10 %; inside the transaction it finds 25 % and takes that to zero."""
    async with Clocked(tmp_path) as c:
        await c.climb(2)
        ask = c.engine.ask("error_critical")

        def to_zero(state: State) -> Decision:
            return roll_back(c.rig.plan, state, Ask(ask.actor, ask.at, ask.request_id, ask.reason))

        promoting = asyncio.create_task(
            c.command("promote", epoch=c.engine.state.epoch, override=True, reason="a race in a test")
        )
        await asyncio.sleep(0)
        await rollback.roll_back(c.engine, ask, automatic=to_zero)
        await promoting
        await c.settled(lambda: not c.engine.switch.pending)
        assert c.engine.state.percent_bp == 0
        assert not c.rig.folder.is_armed()


async def test_a_rollback_is_decided_on_what_the_one_before_it_leads_to(tmp_path: Path) -> None:
    """Twice "to stage 3" is to stage 3, then to 0 %: calls end and the armed file goes with it, not a tick later."""
    async with Clocked(tmp_path) as c:
        await c.climb(4)
        both = [rollback.roll_back(c.engine, c.engine.ask("one stage down", ALICE), to_stage=3) for _ in range(2)]
        (_, to_25), (_, to_0) = await asyncio.gather(*both)
        assert (to_25.of.target_bp, to_0.of.target_bp) == (2500, 0)
        assert not c.rig.folder.is_armed()
        await c.settled(lambda: not c.engine.switch.pending)
        assert c.engine.state.percent_bp == 0
        assert [row.decision.percent_bp for row in log.rows(c.engine.conn) if row.decision.kind in DOWN] == [0, 2500]


async def test_a_rollback_to_zero_does_not_wait_for_a_smaller_one_that_the_store_does_not_take(tmp_path: Path) -> None:
    async with Clocked(tmp_path, {"trigger_settings.probe_every": "100ms"}) as c:
        await c.climb(3)
        blocker = database.open_writer(c.rig.folder, "NORMAL", 5.0)
        blocker.execute("BEGIN IMMEDIATE")
        await rollback.roll_back(c.engine, c.engine.ask("one stage down", ALICE), to_stage=2)
        assert c.engine.switch.read().percent_bp == 1000
        await c.settled(
            lambda: c.engine.monitor.probing.servers and c.engine.monitor.probing.servers[0].failed_probes > 3
        )
        await c.passes(120.0)  # llm_unavailable, which takes 60 s
        assert c.engine.switch.read().percent_bp == 0
        assert not c.rig.folder.is_armed()
        assert len(c.engine.proofs) == 2
        blocker.execute("ROLLBACK")
        blocker.close()
        await c.settled(lambda: not c.engine.switch.pending)
        assert c.engine.state.percent_bp == 0
        assert [row.decision.percent_bp for row in log.rows(c.engine.conn) if row.decision.kind in DOWN] == [0, 1000]


async def test_the_reason_given_after_a_rollback_is_in_its_proof_and_env_keeps_to_the_engine_s_limits(
    tmp_path: Path,
) -> None:
    async with Clocked(tmp_path, environ={"XZE_KEYWORD_EXTRACTION_AB_TEST": "false"}) as c:
        await c.climb(4)
        await c.loop.tick()
        assert c.engine.view is not None
        assert not c.engine.view.may_test
        assert c.engine.view.measures
        await c.settled(lambda: c.rig.reader.engine_record().view is not None)
        lines = c.rig.cli("env").stdout
        assert "AB_TEST=false" in lines
        assert "METRICS=true" in lines
        await c.command("rollback")
        await c.settled(lambda: c.engine.proof is not None and c.engine.proof.view.rev)
        assert (await c.command("rollback_reason", reason="search was broken")).ok
        await c.loop.tick()
        assert c.engine.view.rollback is not None
        assert c.engine.view.rollback.reason == "search was broken"
