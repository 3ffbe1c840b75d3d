"""Trouble with the LLM service."""

from __future__ import annotations

import asyncio
from random import Random

from tests.simulate.moves.documents import send
from tests.simulate.moves.registry import move
from tests.simulate.people import Scene

MOODS = ("errors", "down", "hang", "slow", "empty", "invalid")
INCIDENT_S = 1800.0
EVERY_S, AT_ONCE = 0.7, 6
ENOUGH_FAILURES = 25


@move(5)
async def fault(scene: Scene, draw: Random) -> None:
    scene.world.servers.mood = draw.choice(MOODS)
    scene.world.trouble(f"the LLM service: {scene.world.servers.mood}")


@move(5)
async def healthy(scene: Scene, draw: Random) -> None:
    if scene.world.servers.mood != "healthy":
        scene.world.servers.mood = "healthy"
        scene.world.trouble("the LLM service: healthy")


@move(3)
async def incident(scene: Scene, draw: Random) -> None:
    """The service fails for half an hour of traffic, watched by an engine that nothing else disturbs: the triggers must
    have acted."""
    world, engine = scene.world, scene.world.engine
    state = engine.state if engine is not None else None
    if engine is None or state is None or not state.percent_bp or world.disk.mood != "healthy":
        return
    world.servers.mood = mood = draw.choice(("errors", "down"))
    world.trouble(f"an incident: {mood}")
    began, undisturbed = world.clock.now(), (engine, mood, "healthy", world.observer.raises)
    while world.clock.now() - began < INCIDENT_S:
        await send(scene, draw, AT_ONCE)
        await asyncio.sleep(EVERY_S)
        world.observer.troubled_at = world.clock.now()
        now = (world.engine, world.servers.mood, world.disk.mood, world.observer.raises)
        acted = engine.state.percent_bp < state.percent_bp or engine.state.locked != state.locked
        if acted or now != undisturbed:
            break
    else:
        acted = _failures(scene, began) < ENOUGH_FAILURES  # too few to act on
    if acted or now == undisturbed:
        at = f"{mood} for {INCIDENT_S / 60:.0f} min, {engine.state.percent_bp / 100:g} % is in force"
        world.observer.holds("a failing service is rolled back within its time", acted, at)


def _failures(scene: Scene, began: float) -> int:
    query = "SELECT count(*) FROM extraction WHERE at > ? AND attempted AND error IS NOT NULL"
    return int(scene.world.read(lambda conn: conn.execute(query, (began,)).fetchone()[0]))
