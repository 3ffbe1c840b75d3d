"""Who acts in a rollout, the consoles they look at, and what they have sent so far."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import msgspec

from engine.client.client import EngineClient, Reply
from engine.rollout.state import Actor
from engine.store import log
from engine.view.model import View
from tests.simulate.world import World

PEOPLE = (Actor("alice", 1001), Actor("bo", 1002), Actor("cy", 1003))
_view = msgspec.json.Decoder(View)


class Console:
    """An attached console: what its screen shows, which may be old."""

    def __init__(self, who: Actor) -> None:
        self.who = who
        self.view: View | None = None

    @property
    def epoch(self) -> int:
        return self.view.epoch if self.view is not None else 0


class Scene:
    """What moves share: the world, three attached consoles, and the requests that were sent."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.consoles = [Console(who) for who in PEOPLE]
        self.sent: list[tuple[str, dict[str, Any], Actor]] = []
        self.documents = 0

    # -- looking -------------------------------------------------------------------------------------------------------

    def epoch(self) -> int:
        return int(self.world.read(log.read_state).epoch)

    def look(self, console: Console) -> None:
        """Draw the engine's last view; without an engine the screen stays as it is."""
        row = self.world.read(lambda conn: conn.execute("SELECT body FROM live WHERE id = 1").fetchone())
        if row is not None:
            console.view = _view.decode(row[0])

    # -- up ------------------------------------------------------------------------------------------------------------

    async def up(self, kind: str, fields: dict[str, Any], epoch: int, who: Actor) -> None:
        if self.world.engine is None:
            return
        fields = {"request_id": f"{kind}-{len(self.sent)}", "epoch": epoch, **fields}
        self.sent.append((kind, fields, who))
        await self.send_up(kind, fields, who)

    async def send_up(self, kind: str, fields: dict[str, Any], who: Actor) -> None:
        """A request that was carried out before only gets its answer again."""
        request_id, observer = fields["request_id"], self.world.observer
        new = not self._is_logged(request_id)
        if new:
            observer.asks_up(request_id, kind, fields["epoch"])
        reply = await self.world.command(kind, fields, who)
        if new:
            # an engine that died may have recorded it: the next one obeys what is on the disk
            observer.answered_up(request_id, reply.ok if reply is not None else self._is_logged(request_id))
        self.world.say(f"{who.name} {kind} at epoch {fields['epoch']}: {_sentence(reply)}")

    def _is_logged(self, request_id: str) -> bool:
        query = "SELECT 1 FROM decision WHERE request_id = ?"
        return bool(self.world.read(lambda conn: conn.execute(query, (request_id,)).fetchone()))

    # -- down ----------------------------------------------------------------------------------------------------------

    async def down(self, fields: dict[str, Any], who: Actor) -> None:
        fields = {"request_id": f"rollback-{len(self.sent)}", "reason": "simulated", **fields}
        self.sent.append(("rollback", fields, who))
        await self.send_down(fields, who)

    async def send_down(self, fields: dict[str, Any], who: Actor) -> None:
        asked_at, swaps = self.epoch(), self.world.observer.swaps
        reply = await self.world.command("rollback", fields, who)
        self.world.say(f"{who.name} rollback {fields['request_id']}: {_sentence(reply)}")
        if reply is not None and reply.ok:
            data, to_zero = reply.data, fields.get("to_stage") is None
            world = self.world
            world.observer.answered_down(
                data["request_id"], data["recorded"], to_zero, asked_at, world.disk.mood == "stalled", swaps
            )

    def down_unanswered(self, who: Actor) -> None:
        """The command line's rollback where no engine answers: it commits itself, or leaves an intent."""
        world = self.world
        result = EngineClient(world.folder, world.plan(), who).rollback("simulated, no answer")
        world.disk.unsynced.clear()  # it syncs the folder
        if result.rev is not None:
            world.disk.sync()
        if result.ok:
            world.observer.lowered(0)
        world.say(f"{who.name} rollback without an answer: {result.sentence}")

    async def together(self, first: Awaitable[None], after_s: float, then: Callable[[], Awaitable[None]]) -> None:
        """Two acts that meet: the second `after_s` into the first."""
        async with asyncio.TaskGroup() as group:
            group.create_task(_of(first))
            await asyncio.sleep(after_s)
            group.create_task(_of(then()))


async def _of(act: Awaitable[None]) -> None:
    await act


def _sentence(reply: Reply | None) -> str:
    return reply.sentence if reply is not None else "no answer"


def soon(draw: Random) -> float:
    """A moment within a command: its steps take between half a millisecond and half a second."""
    return draw.choice((0.0, 0.0003, 0.001, 0.002, 0.003, 0.006, 0.02, 0.1, 0.4))
