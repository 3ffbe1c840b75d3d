"""The end of the plan in the real engine, on a virtual clock: seven clean days open the last gate, and stable is not the end."""

from __future__ import annotations

import asyncio
from typing import Any

from engine.client.client import Reply
from engine.view.model import View
from tests.simulate.moves.documents import text_of
from tests.simulate.people import PEOPLE, Scene
from tests.simulate.rollout import machine
from tests.simulate.world import DAY_S, TICK_S, WATCHED, World

PACE = 8000.0  # calendar seconds a second
NEW, AGAIN = 6, 4  # documents at once
A_TICK = 2 * TICK_S + 0.2


class Rollout:
    """A rollout at 100 %, each gate on the way overridden, and what people see and do there."""

    def __init__(self, world: World) -> None:
        self.world, self.scene, self.sent = world, Scene(world), 0

    @property
    def view(self) -> View:
        assert self.world.engine is not None
        view = self.world.engine.view
        assert view is not None
        return view

    async def climb(self) -> None:
        await self.world.start()
        await asyncio.sleep(A_TICK)
        for _ in range(5):
            assert (await self.ask("promote", override=True, reason="climbing in a test")).ok

    async def ask(self, kind: str, **fields: Any) -> Reply:
        request_id = f"{kind}-{self.view.rev}-{self.world.loop.time()}"
        wanted = {"request_id": request_id, "epoch": self.scene.epoch(), **fields}
        reply = await self.world.command(kind, wanted, PEOPLE[0])
        assert reply is not None
        await asyncio.sleep(A_TICK)
        return reply

    async def documents(self) -> None:
        """Some are new, and some are in the cache."""
        new = range(self.sent, self.sent + NEW)
        self.sent += NEW
        async with asyncio.TaskGroup() as group:
            for number in (*range(AGAIN), *new):
                self.world.knows(number, f"doc-{number}")
                group.create_task(self.world.extract(f"doc-{number}", text_of(number)))

    async def days(self, count: float) -> None:
        """Documents arrive, and no one does anything."""
        clock = self.world.clock
        end = clock.now() + count * DAY_S
        clock.set_speed(PACE)
        while clock.now() < end:
            await self.documents()
            await asyncio.sleep(0.3)
        clock.set_speed(WATCHED)
        await asyncio.sleep(A_TICK)


async def _to_stable(rollout: Rollout) -> None:
    await rollout.climb()
    await rollout.days(6.8)
    assert [m for m in rollout.view.gate.missing if not m.startswith("stable within targets: ")] == []
    refused = await rollout.ask("promote")
    assert not refused.ok
    assert "stable within targets" in refused.sentence

    await rollout.days(0.3)
    assert rollout.view.gate.open, rollout.view.gate.missing
    declared = await rollout.ask("promote")
    assert declared.ok
    assert "declared stable" in declared.sentence
    assert "overriding" not in declared.sentence
    assert rollout.view.stable


async def _down_from_stable(rollout: Rollout) -> None:
    rollout.world.servers.mood = "errors"
    for _ in range(120):
        await rollout.documents()
        if not rollout.view.percent_bp:
            break
        await asyncio.sleep(0.5)
    rollout.world.servers.mood = "healthy"
    assert rollout.view.rolled_back
    assert rollout.view.locked


async def _way_back(rollout: Rollout) -> None:
    """To the stage that was left, and from there seven clean days again."""
    await rollout.days(0.05)
    assert (await rollout.ask("resume", reason="the model server ran out of memory")).ok
    assert rollout.view.gate.returns
    assert rollout.view.gate.next_stage == 5
    back = await rollout.ask("promote", override=True, reason="a test does not wait for the bake")
    assert back.ok, back.sentence
    assert (rollout.view.stage, rollout.view.percent_bp) == (5, 10_000)
    assert not rollout.view.stable
    assert any("stable within targets: 6d 23h left" in m for m in rollout.view.gate.missing), rollout.view.gate.missing


def test_seven_clean_days_open_the_last_gate_and_after_a_rollback_they_count_again() -> None:
    with machine(1) as (world, loop):
        rollout = Rollout(world)
        for part in (_to_stable, _down_from_stable, _way_back):
            loop.run_until_complete(part(rollout))
