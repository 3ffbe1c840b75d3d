"""An engine in the test's own process, on a clock that the test moves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from engine.rollout.state import Actor
from engine.server import commands
from engine.service.engine import Engine
from engine.service.loop import ControlLoop
from tests.clock import ManualClock
from tests.engine.service.rig import LATE_NOTE, EngineRig
from tests.machine import patience

ALICE = Actor("alice", 1000)
NOBODY_ANSWERS: Mapping[str, object] = {"llm.url": "http://127.0.0.1:9"}


class Clocked:
    """An engine and its heart; by default no LLM answers at its address."""

    def __init__(
        self,
        root: Path,
        settings: Mapping[str, object] = NOBODY_ANSWERS,
        environ: Mapping[str, str] | None = None,
        ticking: bool = True,
    ) -> None:
        """`ticking`: the loop also ticks once a second of the machine, as it does live; otherwise only when the test
        says so."""
        self.rig = EngineRig(root, settings={**NOBODY_ANSWERS, **settings})
        self.clock = ManualClock(time.time())
        self.engine = Engine(self.rig.plan, self.rig.folder, self.clock, environ=environ)
        self.loop = ControlLoop(self.engine)
        if not ticking:
            self.loop._run = asyncio.Event().wait  # type: ignore[method-assign, assignment]

    async def __aenter__(self) -> Clocked:
        self.rig.folder.prepare()
        self.lock = self.rig.folder.try_lock()
        await self.engine.open()
        # the test moves the clock in jumps while the loop keeps up; without a beat nothing is late
        self.engine.monitor.lag.beat = lambda now: None  # type: ignore[method-assign]
        await self.loop.start()
        await self._recorded()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.engine.stop()
        assert self.lock is not None
        self.lock.release()
        self.rig.reader.close()

    async def command(self, kind: str, **fields: object) -> commands.Reply:
        return await commands.carry_out(self.engine, kind, fields, ALICE)

    async def climb(self, stage: int) -> None:
        for _ in patience(30.0):
            if self.engine.state.stage >= stage:
                return
            epoch = self.engine.state.epoch
            reply = await self.command("promote", epoch=epoch, override=True, reason="climbing in a test")
            assert reply.ok or reply.data.get("code") == LATE_NOTE, reply.sentence
        raise AssertionError("it did not climb")

    async def passes(self, seconds: float, step: float = 10.0) -> None:
        """Time, watched: a beat every `step`, which is less than a lease."""
        for _ in range(round(seconds / step)):
            self.clock.advance(step)
            await self.loop.tick()
            await self._recorded()

    async def _recorded(self) -> None:
        """What the loop decided is in the log, unless the store refuses it: on a busy machine a tick does not wait for
        that, and a test that only ticks never lets the event loop see that a rollback was recorded."""
        engine = self.engine
        await self.settled(lambda: not (self.loop.deferred.waiting or engine.switch.pending) or engine.writer.problem)

    async def settled(self, holds: Callable[[], object]) -> None:
        for _ in patience(30.0):
            if holds():
                return
            await asyncio.sleep(0.01)
        raise AssertionError("it did not come to pass")
