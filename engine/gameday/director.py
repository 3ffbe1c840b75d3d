"""Plays a scenario inside a game day's engine: brings the rollout to its stage, waits for the player, and breaks
the real servers, the real process and the real disk.

The engine after a killed one continues at the current calendar time; active faults are switched on again.
"""

from __future__ import annotations

import asyncio
import os
import random
import resource
import signal
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

from engine.clock import LapseClock
from engine.gameday import journal
from engine.gameday.journal import JournalEntry, Kind
from engine.gameday.scenario import Scenario, Step
from engine.rollout.state import Actor

WARM_SPEED = 60.0
WARM_S = 600.0  # calendar time before the shift, so that every gauge has figures
PAUSED = 1.0  # speed while the player reads the briefing
RETRY_S = 0.3
TRIES = 40
DAY_SHIFT = Actor("mara", kind="person", terminal="day shift")
USER = Actor("visitor", kind="http")
FULL_AT = 4096  # size limit of every file the engine writes while the disk is full
CORE = "core.4711"
CORE_BYTES = 4 << 20
LOOK_S = 0.2
DELAYED_S = 100.0  # at most: whoever has played must not know the scenario by when it begins


def delay(begun: JournalEntry) -> float:
    """How much later than planned this shift's fault begins: the same in an engine that follows a killed one."""
    return random.Random(begun.real).uniform(0.0, DELAYED_S)


class DirectedEngine(Protocol):
    """What the director needs of the engine."""

    @property
    def stage(self) -> int: ...
    @property
    def epoch(self) -> int: ...
    @property
    def percent_bp(self) -> int: ...
    async def request(self, kind: str, fields: dict[str, Any], actor: Actor) -> bool: ...
    def llm_document(self) -> str: ...


class Director:
    """Call `resume` before the engine opens, `run` as a task, and `begin` when the player is ready."""

    def __init__(
        self,
        scenario: Scenario,
        folder: Path,
        clock: LapseClock,
        speed: float,
        set_fault: Callable[[str, float, int | None], Awaitable[object]],
    ) -> None:
        self.scenario = scenario
        self._folder = folder
        self._clock = clock
        self._speed = speed
        self._set_fault = set_fault
        self._begun = asyncio.Event()
        self._past = journal.read(folder)

    def begin(self) -> bool:
        """False while the stage is not ready yet."""
        if journal.first(journal.read(self._folder), "ready") is None:
            return False
        self._begun.set()
        return True

    def resume(self) -> None:
        """Continue in the engine after a killed one: the calendar kept running."""
        begun = journal.first(self._past, "begun")
        if begun is not None:
            self._clock.set_speed(self._speed)
            self._clock.not_before(begun.at + (time.time() - begun.real) * self._speed)

    async def run(self, stage: DirectedEngine) -> None:
        begun = journal.first(self._past, "begun")
        if begun is None:
            await self._warm(stage)
            await self._begun.wait()
            self._clock.set_speed(self._speed)
            begun = self._note("begun")
        else:
            self._note("back")
        fault_at = begun.at + self.scenario.fault_after_s + delay(begun)
        done = {moment.step for moment in self._past if moment.kind == "step"}
        for number, step in enumerate(self.scenario.steps):
            if number in done:
                if step.deed == "fault":
                    await self._set_fault(step.fault, step.value, step.server)
                elif step.deed == "fill" and (self._folder / CORE).exists():
                    await self._fill()
                continue
            left = fault_at + step.after_s - self._clock.now()
            if left > 0:
                await self._clock.sleep(left)
            if stage.percent_bp < step.from_bp:
                continue
            self._note("step", "", number)  # in few words: the player may read the file
            await self._do(step, stage)

    async def _warm(self, stage: DirectedEngine) -> None:
        """Climb to the scenario's stage, as the day shift, and run some traffic there."""
        self._clock.set_speed(WARM_SPEED)
        for _ in range(TRIES):
            if stage.stage >= self.scenario.stage:
                break
            fields = {"epoch": stage.epoch, "override_reason": "game day: the day shift leaves the rollout here"}
            if not await stage.request("promote", fields, DAY_SHIFT):
                await asyncio.sleep(RETRY_S)
        await self._clock.sleep(WARM_S)
        self._clock.set_speed(PAUSED)
        self._note("ready")

    async def _do(self, step: Step, stage: DirectedEngine) -> None:
        match step.deed:
            case "fault":
                await self._set_fault(step.fault, step.value, step.server)
            case "promote":
                fields = {"epoch": stage.epoch, "override_reason": step.text}
                if not await stage.request("promote", fields, Actor(step.who, kind="person", terminal="pts/7")):
                    self._note("refused", step.who)
            case "complaint" if stage.percent_bp:  # of LLM keywords; who is served none has none to complain of
                fields = {"kind": "complaint", "id": f"game-{uuid.uuid4().hex[:12]}", "text": step.text}
                fields |= {"document": stage.llm_document(), "source": step.who}
                await stage.request("feedback", fields, USER)
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "fill":
                await self._fill()

    async def _fill(self) -> None:
        """Stop every file of this process from growing until someone removes the core dump that fills the disk."""
        core = self._folder / CORE
        await asyncio.to_thread(core.write_bytes, bytes(CORE_BYTES))
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (FULL_AT, hard))
        while core.exists():  # noqa: ASYNC110, the kernel's own event would need a library
            await asyncio.sleep(LOOK_S)
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        self._note("room", "The core dump is gone; there is space again.")

    def _note(self, kind: Kind, text: str = "", step: int = -1) -> JournalEntry:
        moment = JournalEntry(time.time(), self._clock.now(), kind, text, step)
        journal.note(self._folder, moment)
        return moment
