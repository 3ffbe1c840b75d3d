"""A person edits rollout.toml while the rollout runs."""

from __future__ import annotations

import asyncio
from random import Random

from engine.store import log
from tests.simulate import plans
from tests.simulate.moves.registry import move
from tests.simulate.people import PEOPLE, Scene


@move(2)
async def edit_plan(scene: Scene, draw: Random) -> None:
    """The running engine keeps what it read; one that starts later reads the file."""
    name = draw.choice(list(plans.EDITS))
    scene.world.plan_file.write_text(plans.edited(name))
    scene.world.trouble(f"rollout.toml: {name}")


@move(2)
async def edit_and_restart(scene: Scene, draw: Random) -> None:
    """Often the person adopts the rollout's stage in the changed plan afterwards."""
    await edit_plan(scene, draw)
    await scene.world.stop()
    await asyncio.sleep(draw.choice((0.1, 3.0)))
    await scene.world.start()
    if draw.random() < 0.6:
        await adopt_plan(scene, draw)


@move(1)
async def adopt_plan(scene: Scene, draw: Random) -> None:
    who, stage = draw.choice(PEOPLE), scene.world.read(log.read_state).stage
    reply = await scene.world.command("adopt_plan", {"stage": stage}, who)
    if reply is not None:
        scene.world.say(f"{who.name} adopts stage {stage}: {reply.sentence}")
