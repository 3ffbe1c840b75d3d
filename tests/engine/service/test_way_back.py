"""The gate of the way back in an engine: what it asks for, what counts as watched, and that it lets a person return."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace

from engine.gate.conditions import GateFacts
from engine.history.gate import samples_at
from engine.measures.record import Extraction
from engine.plan.model import Action
from engine.rollout import control
from engine.rollout.state import ENGINE, Actor, Ask, State
from engine.routing.pipeline import LlmBarred
from engine.routing.reading import AskedDocument
from engine.service import snapshot
from engine.store.rollup import insert_and_fold
from engine.triggers.measurement import rate
from tests.engine.service.clocked import Clocked
from tests.engine.service.test_checks import PLAN, opened

pytestmark = pytest.mark.anyio
ALICE = Actor("alice", 1000)
CLEAN = GateFacts({"error_rate": rate(0, 400)})


async def rolled_back(engine) -> State:  # type: ignore[no-untyped-def]
    """An engine whose trigger took 25 % to 0 %, with the cause written."""

    async def commit(ask: Ask, decide) -> None:  # type: ignore[no-untyped-def]
        outcome = await engine.commit(ask, decide)
        assert outcome.decision is not None, outcome.refusal

    for n in range(3):
        await commit(Ask(ALICE, 1.0 + n, f"p{n}"), lambda s, n=n: control.promote(PLAN, s, control.Promotion(Ask(ALICE, 1.0, f"p{n}"), s.epoch)))  # fmt: skip
    fire = Ask(ENGINE, 10.0, "t", "error_critical")
    await commit(fire, lambda s: control.act(PLAN, s, Action.to_zero, fire, "too many errors", {}))
    cause = Ask(ALICE, 10_000.0, "e", "the model server ran out of memory")
    await commit(cause, lambda s: control.resume(s, cause))
    return engine.state  # type: ignore[no-any-return]


async def test_the_gate_asks_for_what_failed_and_part_of_the_bake(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        state = await rolled_back(engine)
        assert (state.stage, state.percent_bp) == (1, 0)
        report = engine.monitor.gatekeeper.report(state, CLEAN, engine.conn)
        assert [c.id for c in report.conditions] == ["error_rate"]
        assert any("18h left of 18h" in m for m in report.missing)
        view = snapshot.view(engine)
        assert view.gate.returns
        assert (view.gate.next_stage, view.gate.next_percent_bp) == (3, 2500)
        assert "fresh evidence for error_critical" in view.gate.sentence
        plain = engine.monitor.gatekeeper.report(state, CLEAN, engine.conn, short=False)
        assert any("of 1d" in m for m in plain.missing)  # the stage's own bake


async def test_a_document_that_may_not_ask_for_the_llm_says_what_allows_it(tmp_path: Path) -> None:
    async with Clocked(tmp_path) as c:
        await c.climb(1)
        await c.command("rollback", reason="a drill")
        with pytest.raises(LlmBarred, match="`rollout resume` allows it again"):
            await c.engine.pipeline.extract(AskedDocument("asked", "text " * 50, method="llm"))
        assert (await c.command("resume", epoch=c.engine.state.epoch)).ok
        assert c.engine.pipeline.why_barred == ""


async def test_only_time_in_which_the_llm_is_measured_counts(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        state = await rolled_back(engine)
        monitor = engine.monitor
        ask = Ask(ENGINE, engine.clock.now(), "m")
        monitor.evaluate(state, ask)
        assert monitor.watch.rebaked_s == 0.0
        monitor.observations.shadow.add(engine.clock.monotonic(), True, 900.0)
        await asyncio.sleep(0.02)
        monitor.evaluate(state, ask)
        assert monitor.watch.rebaked_s > 0.0
        assert state.setback is not None
        monitor.watch = replace(monitor.watch, rebake_rev=state.setback.rev, rebaked_s=18 * 3600.0)
        report = monitor.gatekeeper.report(state, CLEAN, engine.conn)
        assert not any("bake" in m for m in report.missing)
        bad = GateFacts({"error_rate": rate(20, 400)})
        assert any("Error rate" in m for m in monitor.gatekeeper.report(state, bad, engine.conn).missing)
        monitor.watch = replace(monitor.watch, rebake_rev=state.setback.rev - 1)  # of an earlier rollback
        assert any("18h left" in m for m in monitor.gatekeeper.report(state, CLEAN, engine.conn).missing)


async def test_failures_older_than_the_bake_asks_for_do_not_count(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        state = await rolled_back(engine)
        now = engine.clock.now()

        def shadowed(hours: float, error: str | None, n: int) -> list[Extraction]:
            at = now - hours * 3600
            return [
                Extraction(
                    at, f"d{n}", "control", "llm", 1, state.epoch, attempted=True, shadow=True, error=error, ms=9.0
                )
                for n in range(n)
            ]

        records = [*shadowed(30, "http", 44), *shadowed(2, None, 400)]
        engine.writer.write(lambda conn: insert_and_fold(conn, records)).result()
        engine.monitor.gatekeeper._facts = None
        facts = engine.monitor.gatekeeper.facts(state)
        assert facts.samples["error_rate"] == rate(0, 400)
        report = engine.monitor.gatekeeper.report(state, facts, engine.conn)
        assert [c.met for c in report.conditions] == [True]


async def test_where_documents_are_few_the_evidence_reaches_back_until_there_is_enough(tmp_path: Path) -> None:
    """Ten documents an hour never make 299 within six hours, and the gate would stay shut for ever."""
    async with opened(tmp_path) as engine:
        state = await rolled_back(engine)
        now = engine.clock.now()
        records = [
            Extraction(now - n * 360, f"d{n}", "control", "llm", 1, state.epoch, attempted=True, shadow=True, ms=9.0)
            for n in range(600)
        ]
        engine.writer.write(lambda conn: insert_and_fold(conn, records)).result()
        engine.monitor.gatekeeper.forget()
        facts = engine.monitor.gatekeeper.facts(state)
        report = engine.monitor.gatekeeper.report(state, facts, engine.conn)
        assert [c.met for c in report.conditions] == [True], report.missing
        assert samples_at(engine.conn, engine.plan, state, now + 10)["error_rate"] == facts.samples["error_rate"]
