"""What can happen in a rollout: a script of moves drawn by the seed before it starts, so that a failing one can be cut down."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

from msgspec import Struct

from engine.client.client import EngineClient
from engine.rollout.control import Actor
from engine.store import log
from tests.simulate.world import World, text_of

PEOPLE = (Actor("alice", 1001), Actor("bo", 1002), Actor("cy", 1003))
CALM, WATCHED = 10_800.0, 40.0  # calendar seconds a second
INCIDENT_S = 1800.0
ENOUGH_FAILURES = 25
MOODS = ("errors", "down", "hang", "slow", "empty", "invalid")
ODD_IDS = ("a  b", "a b", "a\u200db", "ab", "x\u00ady", "xy", "z" * 600, "z" * 512, "n\u0303", "\u00f1")


class Move(Struct, frozen=True):
    """`pause` seconds of the machine's time, then `name` with `number`; `alone` moves are waited for, others run beside."""

    name: str
    pause: float
    number: int
    alone: bool


WEIGHTS = {
    "calm": 14, "documents": 16, "promote": 14, "stale_promote": 4, "roll_back": 4, "roll_back_to": 2, "undo": 5, "resume": 7,
    "hold": 2, "remove_armed": 3, "fault": 5, "incident": 3, "healthy": 5, "disk_full": 1, "disk_locked": 1, "disk_healthy": 3, "kill": 2,
    "stop": 1, "start": 1, "offline_rollback": 2, "repeat_request": 4, "reuse_request": 4, "odd_documents": 2, "look": 4,
    "swap_store": 1, "wait": 8,
}  # fmt: skip


def script(random: Random, length: int) -> list[Move]:
    names = random.choices(list(WEIGHTS), list(WEIGHTS.values()), k=length)
    # at the beginning a team goes up, as teams do
    names[:4] = ["look", "promote", "documents", "promote"]
    return [
        Move(name, random.choice((0.0, 0.01, 0.05, 0.3, 1.5, 4.0)), random.randrange(1 << 20), random.random() < 0.5)
        for name in names
    ]


class People:
    """Carries out moves. `glances` are what consoles that look at the rollout have on their screens, some of it old."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.glances: list[int] = [0]
        self.sent: list[tuple[str, dict[str, Any], Actor]] = []
        self.documents = 0
        self._swap: bytes | None = None

    async def do(self, move: Move) -> None:
        self.world.counts[move.name] += 1
        does: Callable[[Random, Actor], Awaitable[None]] = getattr(self, f"_{move.name}")
        draw = Random(move.number)
        await does(draw, draw.choice(PEOPLE))

    # -- looking -----------------------------------------------------------------------------------------------------------

    def epoch(self) -> int:
        return int(self.world.read(lambda conn: log.read_state(conn).epoch))

    async def _look(self, draw: Random, who: Actor) -> None:
        self.glances.append(self.epoch())

    async def _wait(self, draw: Random, who: Actor) -> None:
        pass

    async def _calm(self, draw: Random, who: Actor) -> None:
        """Hours in which nothing happens, on a healthy machine only: trouble is watched at its own pace."""
        world = self.world
        busy = world.engine is not None and world.engine.pipeline.in_flight
        if world.servers.mood != "healthy" or world.disk.mood != "healthy" or busy:
            return
        world.clock.set_speed(CALM)
        await asyncio.sleep(draw.uniform(4.0, 7.0))  # longer than a document may be on its way
        world.clock.set_speed(WATCHED)
        await asyncio.sleep(0.3)  # one look: the hours before it are not a wait for what comes next

    # -- documents -----------------------------------------------------------------------------------------------------------

    async def _documents(self, draw: Random, who: Actor) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(draw.randint(2, 12)):
                group.create_task(self._document(draw))

    async def _document(self, draw: Random) -> None:
        number = draw.randrange(40) if draw.random() < 0.3 and self.documents > 40 else self.documents
        self.documents = max(self.documents, number + 1)
        document_id = f"doc-{number}"
        self.world.knows(number, document_id)
        await self.world.extract(document_id, text_of(number))

    async def _odd_documents(self, draw: Random, who: Actor) -> None:
        """Ids that look alike; each is another document."""
        for place, document_id in enumerate(draw.sample(ODD_IDS, 4)):
            number = 900_000 + ODD_IDS.index(document_id)
            self.world.knows(number, document_id)
            await self.world.extract(document_id, text_of(number, place))

    # -- up ------------------------------------------------------------------------------------------------------------------

    async def _up(self, kind: str, fields: dict[str, Any], epoch: int, who: Actor) -> None:
        observer = self.world.observer
        if self.world.engine is None:
            return
        request_id = f"{kind}-{len(self.sent)}"
        fields = {"request_id": request_id, "epoch": epoch, **fields}
        self.sent.append((kind, fields, who))
        observer.asks_up(request_id, kind, epoch)
        reply = await self.world.command(kind, fields, who)
        # an engine that died may have recorded it: the next one obeys what is on the disk
        done = reply.ok if reply is not None else self._is_logged(request_id)
        observer.answered_up(request_id, done)
        self.world.say(f"{who.name} {kind} at epoch {epoch}: {reply.sentence if reply else 'no answer'}")

    def _is_logged(self, request_id: str) -> bool:
        return bool(
            self.world.read(
                lambda conn: conn.execute("SELECT 1 FROM decision WHERE request_id = ?", (request_id,)).fetchone()
            )
        )

    async def _promote(self, draw: Random, who: Actor) -> None:
        await self._up("promote", {"override_reason": "simulated"}, self.epoch(), who)

    async def _stale_promote(self, draw: Random, who: Actor) -> None:
        await self._up("promote", {"override_reason": "simulated, from an old screen"}, draw.choice(self.glances), who)

    async def _undo(self, draw: Random, who: Actor) -> None:
        epoch = self.epoch() if draw.random() < 0.6 else draw.choice(self.glances)
        await self._up("undo_rollback", {}, epoch, who)

    async def _resume(self, draw: Random, who: Actor) -> None:
        """Resuming lets people promote again; at a hold the percentage is what it was."""
        await self._up("resume", {"cause": "simulated: mended"}, self.epoch(), who)

    # -- down ----------------------------------------------------------------------------------------------------------------

    async def _down(self, fields: dict[str, Any], who: Actor) -> None:
        world = self.world
        fields = {"request_id": f"rollback-{len(self.sent)}", "reason": "simulated", **fields}
        self.sent.append(("rollback", fields, who))
        reply = await world.command("rollback", fields, who)
        if reply is not None and reply.ok:
            self._is_down(reply.data)
        world.say(f"{who.name} rollback: {reply.sentence if reply else 'no answer'}")

    async def _roll_back(self, draw: Random, who: Actor) -> None:
        await self._down({}, who)

    async def _roll_back_to(self, draw: Random, who: Actor) -> None:
        await self._down({"to_stage": draw.choice((0, 1, 2, 3, 9))}, who)

    async def _remove_armed(self, draw: Random, who: Actor) -> None:
        if not self.world.folder.is_armed():  # there is nothing to remove, and nothing that anyone could notice
            return
        self.world.folder.armed.unlink()
        self.world.observer.lowered(0)
        self.world.say(f"{who.name} removed the armed file")

    async def _offline_rollback(self, draw: Random, who: Actor) -> None:
        """The command line's rollback where no engine runs."""
        if self.world.engine is None:
            result = EngineClient(self.world.folder, self.world.plan, who).rollback("simulated, no engine")
            if result.ok:
                self.world.observer.lowered(0)
            self.world.say(f"{who.name} rollback without an engine: {result.sentence}")

    async def _hold(self, draw: Random, who: Actor) -> None:
        await self.world.command("hold", {"reason": "simulated"}, who)

    # -- requests that arrive twice ----------------------------------------------------------------------------------------

    async def _repeat_request(self, draw: Random, who: Actor) -> None:
        """A network sends a request again: the same answer, or a refusal, and nothing happens twice."""
        if self.sent and self.world.engine is not None:
            kind, fields, whose = draw.choice(self.sent)
            reply = await self.world.command(kind, fields, whose)
            if kind == "rollback" and reply is not None and reply.ok:
                self._is_down(reply.data)

    async def _reuse_request(self, draw: Random, who: Actor) -> None:
        """A client that gives an id twice: a rollback is carried out all the same."""
        if self.sent and self.world.engine is not None:
            _, fields, _ = draw.choice(self.sent)
            await self._down({"request_id": fields["request_id"]}, who)

    def _is_down(self, data: dict[str, Any]) -> None:
        """What a rollback's answer claims."""
        row = self.world.read(
            lambda conn: conn.execute(
                "SELECT epoch FROM decision WHERE request_id = ?", (data.get("request_id"),)
            ).fetchone()
        )
        proof = data.get("proof") or {}
        self.world.observer.lowered(int(proof.get("target_bp", 0)), row[0] if row else None)

    # -- trouble -------------------------------------------------------------------------------------------------------------

    def _trouble(self) -> None:
        self.world.observer.troubled_at = self.world.clock.now()

    async def _fault(self, draw: Random, who: Actor) -> None:
        self.world.clock.set_speed(WATCHED)
        self.world.servers.mood = draw.choice(MOODS)
        self._trouble()
        self.world.say(f"the LLM service: {self.world.servers.mood}")

    async def _incident(self, draw: Random, who: Actor) -> None:
        """The service fails for half an hour of watched traffic: the triggers must have acted by then."""
        world, engine, disk = self.world, self.world.engine, self.world.disk
        state = engine.state if engine is not None else None
        if engine is None or state is None or not state.percent_bp or disk.mood != "healthy":
            return
        world.clock.set_speed(WATCHED)
        world.servers.mood = mood = draw.choice(("errors", "down"))
        self._trouble()
        world.say(f"an incident: {mood}")
        began, raises = world.clock.now(), world.observer.raises
        while world.clock.now() - began < INCIDENT_S:
            await asyncio.gather(*(self._document(draw) for _ in range(6)))
            await asyncio.sleep(0.7)
            self._trouble()
            untouched = (world.engine, world.servers.mood, disk.mood, world.observer.raises)
            if untouched != (engine, mood, "healthy", raises):
                return
        failed = world.read(
            lambda conn: conn.execute(
                "SELECT count(*) FROM extraction WHERE at > ? AND attempted AND error IS NOT NULL", (began,)
            ).fetchone()[0]
        )
        if failed >= ENOUGH_FAILURES:
            now = engine.state.percent_bp
            world.observer.holds(
                "a failing service is rolled back within its time",
                now < state.percent_bp or engine.state.locked != "",
                f"{failed} documents failed in {INCIDENT_S / 60:.0f} min ({mood}), {now / 100:g} % is in force",
            )

    async def _healthy(self, draw: Random, who: Actor) -> None:
        if self.world.servers.mood != "healthy":
            self._trouble()
            self.world.servers.mood = "healthy"
            self.world.say("the LLM service: healthy")

    async def _disk_full(self, draw: Random, who: Actor) -> None:
        self._trouble()
        self.world.disk.mood = "full"
        self.world.say("the disk is full")

    async def _disk_locked(self, draw: Random, who: Actor) -> None:
        self._trouble()
        self.world.disk.mood = "locked"
        self.world.say("the database is locked")

    async def _disk_healthy(self, draw: Random, who: Actor) -> None:
        if self.world.disk.mood != "healthy":
            self._trouble()
            self.world.disk.mood = "healthy"
            self.world.say("the disk takes writes")

    async def _kill(self, draw: Random, who: Actor) -> None:
        self._trouble()
        self.world.kill()
        await self._supervise(draw)

    async def _stop(self, draw: Random, who: Actor) -> None:
        self._trouble()
        await self.world.stop()
        await self._supervise(draw)

    async def _supervise(self, draw: Random) -> None:
        """What a service manager does; sometimes late."""
        await asyncio.sleep(draw.choice((0.1, 0.5, 2.0, 10.0)))
        await self.world.start()

    async def _start(self, draw: Random, who: Actor) -> None:
        if self.world.engine is None:
            self._trouble()
            await self.world.start()

    async def _swap_store(self, draw: Random, who: Actor) -> None:
        """Someone puts a backup in place under the running engine."""
        self._trouble()
        self.world.swap_store()
