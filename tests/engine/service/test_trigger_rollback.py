"""A trigger's rollback is in force in the tick that decides it, however long the store takes to record it."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.measures.record import Extraction
from tests.engine.service.clocked import Clocked

pytestmark = pytest.mark.anyio


async def fails_until(c: Clocked, holds: Callable[[], object]) -> None:
    """Every LLM document fails, six a minute."""
    for n in range(180):
        if holds():
            return
        state = c.engine.state
        c.engine.monitor.observations.add(
            Extraction(
                c.clock.now(),
                f"document-{n}",
                "treatment",
                "frequency",
                state.stage,
                state.epoch,
                attempted=True,
                lookup=True,
                fallback=True,
                error="http",
                ms=800.0,
            )
        )
        c.clock.advance(10.0)
        await c.loop.tick()
    raise AssertionError("no trigger acted")


async def test_a_trigger_s_rollback_is_in_force_before_a_slow_store_has_recorded_it(tmp_path: Path) -> None:
    async with Clocked(tmp_path) as c:
        await c.climb(4)
        blocker = sqlite3.connect(c.rig.folder.database, isolation_level=None, check_same_thread=False)
        blocker.execute("BEGIN IMMEDIATE")
        await fails_until(c, lambda: c.engine.switch.read().percent_bp < 5000)
        assert c.engine.switch.read().percent_bp == 0
        assert c.engine.state.percent_bp == 5000, "not recorded yet"
        threading.Timer(0.5, blocker.execute, ["ROLLBACK"]).start()
        await c.settled(lambda: c.engine.state.percent_bp == 0)
        assert "trigger" in c.rig.kinds()
        blocker.close()
