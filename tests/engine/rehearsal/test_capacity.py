"""The simulated service has its stated capacity: slots divided by latency, whatever its own process takes."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise

import pytest

from engine.rehearsal.capacity import Service

pytestmark = pytest.mark.anyio


async def test_what_waits_for_a_slot_begins_when_the_call_before_was_due_not_when_this_process_noticed() -> None:
    service = Service(slots=1, queue=100, latency_ms=20, spread=0.0)
    due: list[float] = []

    async def call() -> None:
        async with service.slot() as work:
            time.sleep(0.004)  # noqa: ASYNC251  what writing an answer takes keeps the loop
            await work.lasts(0.02)
            due.append(work.due)

    await asyncio.gather(*(call() for _ in range(10)))
    assert [round(after - before, 6) for before, after in pairwise(due)] == [0.02] * 9


async def test_a_slot_that_was_free_begins_when_the_call_comes() -> None:
    service = Service(slots=1, queue=100, latency_ms=20, spread=0.0)
    async with service.slot() as work:
        await work.lasts(0.001)
    await asyncio.sleep(0.01)
    before = time.monotonic()
    async with service.slot() as work:
        assert work.due >= before
