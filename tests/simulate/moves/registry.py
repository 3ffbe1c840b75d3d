"""The moves by name, with how often each is drawn."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import Random

from tests.simulate.people import Scene
from tests.simulate.script import Move

Does = Callable[[Scene, Random], Awaitable[None]]
MOVES: dict[str, Does] = {}
WEIGHTS: dict[str, int] = {}


def move(weight: int) -> Callable[[Does], Does]:
    """A move that is drawn `weight` times as often as one of weight 1; 0: never by chance."""

    def note(does: Does) -> Does:
        name = does.__name__  # type: ignore[attr-defined]
        MOVES[name] = does
        if weight:
            WEIGHTS[name] = weight
        return does

    return note


async def do(scene: Scene, made: Move) -> None:
    scene.world.counts[made.name] += 1
    await MOVES[made.name](scene, Random(made.number))
