"""Days that pass between the moves. Trouble is watched at its own pace, so a night begins with a healthy machine."""

from __future__ import annotations

import asyncio
from random import Random

from tests.simulate import plans
from tests.simulate.moves.registry import move
from tests.simulate.people import Scene
from tests.simulate.world import NIGHT, WATCHED

NIGHT_S = 2.0  # of the machine's time: a day of the calendar
QUIET_S = 15.0  # longer than a document may be on its way


@move(0)
async def night(scene: Scene, draw: Random) -> None:
    world = scene.world
    await mend(scene)
    deadline = world.loop.time() + QUIET_S
    while world.engine is not None and world.engine.pipeline.in_flight and world.loop.time() < deadline:
        await asyncio.sleep(0.1)  # half a second of a call would be hours of the calendar
    world.clock.set_speed(NIGHT)
    await asyncio.sleep(NIGHT_S)
    world.clock.set_speed(WATCHED)
    await asyncio.sleep(0.6)  # a tick: the hours before it are not a wait for what comes next


async def mend(scene: Scene) -> None:
    """On-call ends what is wrong with the machine; decisions stay as they are."""
    world = scene.world
    if world.servers.mood == world.disk.mood == "healthy" and world.engine is not None:
        return
    world.servers.mood = world.disk.mood = "healthy"
    world.loop.thaw()
    world.trouble("on-call mends the machine")
    if world.plan() is None:
        world.plan_file.write_text(plans.base_text())
    await world.start()
