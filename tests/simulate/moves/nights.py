"""Days that pass between the moves. Trouble is watched at its own pace, so a night begins with a healthy machine."""

from __future__ import annotations

import asyncio
from random import Random

from tests.simulate import plans
from tests.simulate.moves.registry import move
from tests.simulate.people import Scene
from tests.simulate.records import RECENT_S
from tests.simulate.world import NIGHT, TICK_S, WATCHED

NIGHT_S = 1.0  # of the machine's time: a day of the calendar
EVENING, EVENING_S = 5400.0, 2.5  # after trouble some hours pass slower, so that the timers of triggers end near to it
QUIET_STEPS = 150  # tenths of a second: longer than a document may be on its way


@move(0)
async def night(scene: Scene, draw: Random) -> None:
    world = scene.world
    await mend(scene)
    for _ in range(QUIET_STEPS):  # half a second of a call would be hours of the calendar
        if world.engine is None or not world.engine.pipeline.in_flight:
            break
        await asyncio.sleep(0.1)
    if world.clock.now() - world.observer.troubled_at < RECENT_S:
        world.clock.set_speed(EVENING)
        await asyncio.sleep(EVENING_S)
    world.clock.set_speed(NIGHT)
    await asyncio.sleep(NIGHT_S)
    world.clock.set_speed(WATCHED)
    await asyncio.sleep(TICK_S + 0.1)  # a tick: the hours before it are not a wait for what comes next


async def mend(scene: Scene) -> None:
    """On-call ends what is wrong with the machine; decisions stay as they are."""
    world = scene.world
    engine = world.engine
    if world.servers.mood == world.disk.mood == "healthy" and engine is not None and not engine.switch.shut:
        return
    world.servers.mood = world.disk.mood = "healthy"
    world.loop.thaw()
    world.trouble("on-call mends the machine")
    if engine is not None and engine.switch.shut:  # the store was replaced under it
        await world.stop()
    if world.plan() is None:
        world.plan_file.write_text(plans.base_text())
    await world.start()
