"""A probe's own result is the measurement: a breaker that no document closes is not a failed probe."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from engine.store import log
from tests.engine.service.clocked import Clocked
from tests.engine.service.test_blind import hanging_service

pytestmark = pytest.mark.anyio
FAST = {"trigger_settings.probe_every": "100ms", "llm.breaker_open": "1s"}


async def test_an_llm_service_that_was_away_without_traffic_is_up_again_by_its_probes_alone(tmp_path: Path) -> None:
    with hanging_service() as url:
        port = urlsplit(url).port or 0
        async with Clocked(tmp_path, {**FAST, "llm.url": url}) as c:
            await c.settled(lambda: c.engine.monitor.probing.servers)
            await c.climb(3)
    async with Clocked(tmp_path, {**FAST, "llm.url": url}) as c:  # the service is away
        await c.settled(lambda: c.engine.monitor.probing.failed > 6)
        assert c.engine.pool.servers()[0].breaker == "open"
        await c.passes(40)
        with hanging_service(port):
            await c.settled(lambda: not c.engine.monitor.probing.failed)
            c.clock.advance(2.0)  # of the second that the breaker stays open
            await c.settled(lambda: c.engine.pool.servers()[0].up)
            await c.passes(120)
            assert c.engine.state.percent_bp == 2500
            assert log.last(c.engine.conn, ("trigger",)) is None


async def test_one_that_stays_away_is_still_rolled_back(tmp_path: Path) -> None:
    async with Clocked(tmp_path, FAST) as c:
        await c.climb(3)
        await c.settled(lambda: c.engine.monitor.probing.failed > 3)
        await c.passes(120)
        await c.settled(lambda: c.engine.state.percent_bp == 0)
