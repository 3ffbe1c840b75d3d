"""Two places that show one figure count it once: the gauges and the triggers beside them."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.measures.record import Extraction
from engine.service.measured import measured
from engine.store.rollup import insert_and_fold
from tests.engine.service.clocked import Clocked
from tests.engine.service.test_blind import hanging_service

pytestmark = pytest.mark.anyio


def document(c: Clocked, n: int) -> None:
    """An LLM document that ends now, as the pipeline makes it: stored, then observed."""
    state = c.engine.state
    error = "http" if n % 40 == 0 else None
    record = Extraction(
        c.clock.now(), f"d{n}", "treatment", "frequency" if error else "llm", state.stage, state.epoch,
        attempted=True, lookup=True, error=error, ms=900.0 + n, keywords=12,
    )  # fmt: skip
    c.engine.writer.later(lambda conn: insert_and_fold(conn, [record]))
    c.engine.monitor.observations.add(record)


async def test_a_gauge_counts_the_documents_that_the_trigger_beside_it_counts(tmp_path: Path) -> None:
    """At the edge of the window too: the store's buckets begin every ten seconds, a trigger's window every second."""
    with hanging_service() as url:
        async with Clocked(tmp_path, {"llm.url": url}) as c:
            await c.settled(lambda: c.engine.monitor.probing.answers)
            await c.climb(3)
            await c.passes(10)
            c.clock.advance(10 - c.clock.now() % 10 + 3)
            for n in range(130):
                document(c, n)
                await c.passes(3, step=3)
                view = c.engine.view
                assert view is not None
                rule = next(t for t in view.triggers if t.id == "error_critical")
                if rule.n and rule.rule in ("literal", "guarded"):
                    gauge = view.error_rate
                    assert (gauge.k, gauge.n) == (rule.k, rule.n), f"after {n}: {rule.sentence}; {gauge.sentence}"
                    assert view.latency.n == gauge.n - gauge.k
            assert 90 < view.error_rate.n < 110  # the window of five minutes has left documents behind


async def test_after_a_stop_the_gauges_show_all_of_their_window_as_the_metrics_and_the_gate_do(tmp_path: Path) -> None:
    """The triggers count only what came since."""
    with hanging_service() as url:
        async with Clocked(tmp_path, {"llm.url": url}, ticking=False) as c:
            await c.climb(3)
            for n in range(1, 31):
                document(c, n)
                await c.passes(3, step=3)
            c.clock.advance(40)
            await c.passes(10)
            document(c, 40)
            await c.settled(lambda: measured(c.engine).window.attempts == 31)
            await c.passes(10)
            view = c.engine.view
            assert view is not None
            assert next(t for t in view.triggers if t.id == "error_critical").n == 1
            assert (view.error_rate.k, view.error_rate.n) == (1, 31)
            assert view.latency.n == 30
            for n in range(1, 35):
                document(c, n)
                await c.passes(10)
            view = c.engine.view
            assert view is not None
            rule = next(t for t in view.triggers if t.id == "error_critical")
            assert (view.error_rate.k, view.error_rate.n) == (rule.k, rule.n), "the stop is no longer in the window"
