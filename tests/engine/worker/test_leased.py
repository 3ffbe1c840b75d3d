"""A worker's pipeline starts an LLM client only where a document may ask for the LLM."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.clock import SystemClock
from engine.plan.load import default_plan_text, parse_plan
from engine.worker.batches import Batches
from engine.worker.leased import LeasedPipeline
from engine.worker.line import EngineConnection

PLAN = parse_plan(default_plan_text())

pytestmark = pytest.mark.anyio


async def test_without_calls_no_client_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def line() -> EngineConnection:
        return EngineConnection(str(tmp_path))

    async def begin(calls: bool) -> None:
        started.append(calls)

    clock, started = SystemClock(), []
    for calls in (True, False):
        batches = Batches("w", 1, line(), clock)
        leased = LeasedPipeline("w", PLAN, line, clock, batches, 1.0, str, repr, calls=calls)
        monkeypatch.setattr(leased.keeper, "wait_for_grant", lambda timeout_s: True)
        monkeypatch.setattr(leased.pool, "start", lambda calls=calls: begin(calls))
        assert await leased.granted(1.0)
    assert started == [True]
