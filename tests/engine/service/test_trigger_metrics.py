"""A trigger on any metric of the plan has the figure that a gate's condition on that metric has."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from engine.measures.record import Extraction
from engine.plan.vocabulary import METRICS
from engine.server import commands
from engine.store.rollup import insert_and_fold
from engine.triggers.rules import WINDOWED
from engine.view.model import TriggerView
from tests.engine.service.clocked import ALICE, Clocked

pytestmark = pytest.mark.anyio


async def documents(c: Clocked, n: int) -> None:
    """LLM documents of which half of the keywords are not grounded, and as many of the frequency arm, ten times as
    fast."""
    state, now = c.engine.state, c.clock.now()
    records = []
    for number in range(n):
        llm = Extraction(
            at=now, document_id=f"l{number}", arm="treatment", method="llm", stage=state.stage, epoch=state.epoch,
            attempted=True, lookup=True, ms=1000.0, keywords=5, proposed=10, ungrounded=5,
        )  # fmt: skip
        plain = Extraction(
            at=now, document_id=f"f{number}", arm="control", method="frequency", stage=state.stage, epoch=state.epoch,
            ms=100.0, keywords=10,
        )  # fmt: skip
        records += [llm, plain]
        c.engine.monitor.observations.add(llm)
    c.engine.writer.write(lambda conn: insert_and_fold(conn, records)).result(60)


def watched(c: Clocked) -> TriggerView:
    view = c.engine.view
    assert view is not None
    return next(trigger for trigger in view.triggers if trigger.id == "cache_low")


@pytest.mark.parametrize(
    ("metric", "below", "value"),
    [
        ("grounded_rate", "80 %", 0.5),
        ("latency_p95", "1500 ms", 1000.0),
        ("latency_ratio", 20, 10.0),
        ("satisfaction", "80 %", 0.0),
    ],
)
async def test_a_trigger_has_the_figure_of_its_metric(tmp_path: Path, metric: str, below: object, value: float) -> None:
    trigger = {"triggers[cache_low].metric": metric, "triggers[cache_low].below": below}
    async with Clocked(tmp_path, trigger) as c:
        await c.climb(3)
        await documents(c, 30)
        for number in range(30):
            rating = {"kind": "rating", "value": 1, "document": f"l{number}", "source": f"reader {number}"}
            rated = await commands.carry_out(c.engine, "feedback", rating, ALICE)
            assert rated.ok, rated.sentence
        await c.settled(lambda: c.engine.conn.execute("SELECT count(*) FROM feedback").fetchone()[0] == 30)
        await c.passes(20)
        seen = watched(c)
        assert seen.value == pytest.approx(value, rel=0.05), seen.sentence
        assert seen.verdict == "breach", seen.sentence


async def test_every_metric_of_a_plan_is_measured(tmp_path: Path) -> None:
    async with Clocked(tmp_path) as c:
        await c.climb(3)
        await documents(c, 1)
        measured = {*WINDOWED, *c.engine.monitor.gatekeeper.facts(c.engine.state).samples}
        assert set(METRICS) <= measured


async def test_a_store_that_cannot_be_read_leaves_the_other_triggers_their_evidence(tmp_path: Path) -> None:
    async with Clocked(tmp_path, {"triggers[cache_low].metric": "grounded_rate"}) as c:
        await c.climb(3)
        await documents(c, 30)
        monitor = c.engine.monitor
        unreadable = sqlite3.connect(tmp_path / "gone.db")
        unreadable.close()
        monitor.gatekeeper._conn = unreadable
        monitor.gatekeeper.forget()
        monitor.evaluate(c.engine.state, c.engine.ask())
        seen = {judged.rule.id: judged for judged in monitor.verdict.judged}
        assert seen["cache_low"].finding.why == "the store cannot be read"
        assert seen["error_critical"].finding.n == 30
