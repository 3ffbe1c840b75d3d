"""Two acts at once: the second begins while the first is carried out."""

from __future__ import annotations

from random import Random

from tests.simulate.moves import consoles, machine
from tests.simulate.moves.registry import Does, move
from tests.simulate.people import Scene, soon


async def _meet(scene: Scene, draw: Random, first: Does, second: Does) -> None:
    other = Random(draw.random())
    await scene.together(first(scene, draw), soon(draw), lambda: second(scene, other))


@move(4)
async def rm_in_a_raise(scene: Scene, draw: Random) -> None:
    """A person removes the armed file while another raises, or just before."""
    up = draw.choice((consoles.promote, consoles.undo, consoles.resume))
    order = [up, consoles.remove_armed]
    draw.shuffle(order)
    await _meet(scene, draw, *order)


@move(4)
async def rollback_in_a_raise(scene: Scene, draw: Random) -> None:
    up = draw.choice((consoles.promote, consoles.promote, consoles.undo, consoles.resume))
    order = [up, consoles.roll_back]
    draw.shuffle(order)
    await _meet(scene, draw, *order)


@move(2)
async def two_raises(scene: Scene, draw: Random) -> None:
    """Two people who saw the same screen."""
    await _meet(scene, draw, consoles.promote, draw.choice((consoles.promote, consoles.undo, consoles.stale_promote)))


@move(3)
async def crash_in_a_command(scene: Scene, draw: Random) -> None:
    """The engine dies, or the power goes, while it decides."""
    first = draw.choice(
        (consoles.promote, consoles.roll_back, consoles.undo, consoles.resume, machine.start, machine.stop)
    )
    await _meet(scene, draw, first, draw.choice((machine.kill, machine.kill, machine.power_loss)))
