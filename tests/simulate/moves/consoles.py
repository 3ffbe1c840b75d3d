"""What people do at consoles and command lines, with what they see, which may be old."""

from __future__ import annotations

from random import Random

from tests.simulate.moves.registry import move
from tests.simulate.people import PEOPLE, Scene


@move(6)
async def look(scene: Scene, draw: Random) -> None:
    """One console draws what there is; the others keep what they have."""
    scene.look(draw.choice(scene.consoles))


@move(8)
async def way_up(scene: Scene, draw: Random) -> None:
    """What a team does after a rollback: someone resumes with the cause, then promotes."""
    await resume(scene, draw)
    await promote(scene, draw)


@move(8)
async def promote(scene: Scene, draw: Random) -> None:
    """By someone who has just looked."""
    await scene.up("promote", {"override_reason": "simulated"}, scene.epoch(), draw.choice(PEOPLE))


@move(5)
async def stale_promote(scene: Scene, draw: Random) -> None:
    """From a console as it is: with the epoch and the next stage that its screen shows."""
    console = draw.choice(scene.consoles)
    fields: dict[str, object] = {"override_reason": "simulated, from an old screen"}
    if console.view is not None and console.view.gate is not None:
        fields["to_stage"] = console.view.gate.next_stage
    await scene.up("promote", fields, console.epoch, console.who)


@move(5)
async def undo(scene: Scene, draw: Random) -> None:
    console = draw.choice(scene.consoles)
    epoch = scene.epoch() if draw.random() < 0.6 else console.epoch
    await scene.up("undo_rollback", {}, epoch, console.who)


@move(3)
async def resume(scene: Scene, draw: Random) -> None:
    """Lets people promote again; the percentage stays."""
    await scene.up("resume", {"cause": "simulated: mended"}, scene.epoch(), draw.choice(PEOPLE))


@move(2)
async def hold(scene: Scene, draw: Random) -> None:
    await scene.world.command("hold", {"reason": "simulated"}, draw.choice(PEOPLE))


@move(4)
async def roll_back(scene: Scene, draw: Random) -> None:
    await scene.down({}, draw.choice(PEOPLE))


@move(2)
async def roll_back_to(scene: Scene, draw: Random) -> None:
    await scene.down({"to_stage": draw.choice((0, 1, 2, 3, 9))}, draw.choice(PEOPLE))


@move(3)
async def remove_armed(scene: Scene, draw: Random) -> None:
    """`rm armed`. Where it is not there, no one could notice."""
    world = scene.world
    if world.folder.is_armed():
        world.folder.armed.unlink()
        world.disk.unsynced.clear()  # what a person removed and a power cut brought back is beyond the engine
        world.observer.armed_removed()
        world.say("the armed file was removed")


@move(2)
async def offline_rollback(scene: Scene, draw: Random) -> None:
    if scene.world.engine is None:
        scene.down_unanswered(draw.choice(PEOPLE))


@move(4)
async def repeat_request(scene: Scene, draw: Random) -> None:
    """A network sends a request again: the same answer, or a refusal, and nothing happens twice."""
    if scene.sent and scene.world.engine is not None:
        kind, fields, whose = draw.choice(scene.sent)
        if kind == "rollback":
            await scene.send_down(fields, whose)
        else:
            await scene.send_up(kind, fields, whose)


@move(4)
async def reuse_request(scene: Scene, draw: Random) -> None:
    """A client that uses an id twice: a rollback is carried out all the same."""
    if scene.sent and scene.world.engine is not None:
        _, fields, _ = draw.choice(scene.sent)
        await scene.send_down({"request_id": fields["request_id"], "reason": "again"}, draw.choice(PEOPLE))
