"""Trouble with the disk, the process and the power."""

from __future__ import annotations

import asyncio
from random import Random

from tests.simulate.moves.registry import move
from tests.simulate.people import PEOPLE, Scene

BACK_AFTER = (0.1, 0.5, 2.0, 10.0)  # seconds until a service manager starts the engine again


@move(1)
async def disk_full(scene: Scene, draw: Random) -> None:
    scene.world.disk.mood = "full"
    scene.world.trouble("the disk is full")


@move(1)
async def disk_locked(scene: Scene, draw: Random) -> None:
    scene.world.disk.mood = "locked"
    scene.world.trouble("the database is locked")


@move(1)
async def disk_stalled(scene: Scene, draw: Random) -> None:
    """It takes no write and reports no error, for up to a minute."""
    world = scene.world
    world.disk.mood = "stalled"
    world.trouble("the disk does not answer")
    await asyncio.sleep(draw.choice((0.2, 3.0, 25.0, 60.0)))
    if world.disk.mood == "stalled":
        await disk_healthy(scene, draw)


@move(3)
async def disk_healthy(scene: Scene, draw: Random) -> None:
    if scene.world.disk.mood != "healthy":
        scene.world.disk.mood = "healthy"
        scene.world.trouble("the disk takes writes")


@move(2)
async def kill(scene: Scene, draw: Random) -> None:
    scene.world.trouble("kill -9")
    scene.world.kill()
    await _supervise(scene, draw)


@move(2)
async def power_loss(scene: Scene, draw: Random) -> None:
    scene.world.trouble("the power goes")
    scene.world.lose_power()
    await _supervise(scene, draw)


@move(1)
async def stop(scene: Scene, draw: Random) -> None:
    scene.world.trouble("the engine is to stop")
    await scene.world.stop()
    await _supervise(scene, draw)


async def _supervise(scene: Scene, draw: Random) -> None:
    """What a service manager does; sometimes late."""
    await asyncio.sleep(draw.choice(BACK_AFTER))
    await scene.world.start()


@move(1)
async def start(scene: Scene, draw: Random) -> None:
    if scene.world.engine is None:
        scene.world.trouble("an engine is to start")
        await scene.world.start()


@move(2)
async def frozen(scene: Scene, draw: Random) -> None:
    """The engine's process gets no time, for shorter and longer than its lease; meanwhile a person may roll back."""
    world, engine = scene.world, scene.world.engine
    if engine is None:
        return
    world.freeze()
    await asyncio.sleep(draw.choice((0.3, 5.0)))
    if draw.random() < 0.5 and world.engine is engine:
        scene.down_unanswered(draw.choice(PEOPLE))
    await asyncio.sleep(draw.choice((0.1, 10.0, 25.0, 50.0)))
    if world.engine is engine:
        world.loop.thaw()
        world.trouble("engine continues")


@move(2)
async def swap_store(scene: Scene, draw: Random) -> None:
    """A backup is taken, and later put in place under the running engine."""
    scene.world.swap_store()
