"""The environment of a rehearsal's engine: simulated LLM servers, arriving documents, users who react."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import to_builtins
from msgspec.structs import replace

from engine.clock import LapseClock
from engine.plan.model import Plan
from engine.rehearsal.corpus import SampleDocument, stream
from engine.rehearsal.faults import active, checked
from engine.rehearsal.feeder import Feeder
from engine.rehearsal.simulated_llm import SimulatedLlm, SimulatedLlmError
from engine.rehearsal.users import Experience, Reaction, experience
from engine.rollout.state import Actor

PER_MINUTE = 60.0  # documents per minute of lapsed time, as far as the machine keeps up
PER_REAL_SECOND = 40.0
GAME_PER_MINUTE = 45.0  # a game day runs at a fixed speed, at which a small machine must keep latencies true
GAME_PER_REAL_SECOND = 15.0
SEED = 7
GAME_REPEATS = 0.35  # enough for a healthy cache from the start
LATENCY_MS = 700.0
TIMEOUT_S = 8.0  # a rehearsal does not wait half a minute for a hanging call
TAKEN_OUT_S = 1.0  # nor calendar hours for a server that is back: the breaker counts the machine's own seconds
VISITOR = Actor("visitor", kind="http")


class World:
    """Start it before the engine (its servers' addresses go into the plan); `attach` after.

    `hidden`, on a game day: what goes wrong is not shown, and people can change neither it nor the calendar's speed.
    """

    def __init__(self, clock: LapseClock, seed: int = SEED, servers: int = 2, hidden: bool = False) -> None:
        self._clock = clock
        self._seed = seed
        self.hidden = hidden
        self._llm = SimulatedLlm(servers, seed=seed, latency_ms=LATENCY_MS)
        self._feeder: Feeder | None = None
        self._feeding: asyncio.Task[None] | None = None

    @property
    def urls(self) -> tuple[str, ...]:
        return self._llm.urls

    @property
    def faults(self) -> dict[str, float]:
        """What is switched on, on the first server, and may be shown."""
        if self.hidden:
            return {}
        now = self._llm.current()
        return {kind.name: getattr(now, kind.name) for kind in active(now)}

    @property
    def offered(self) -> int:
        return self._feeder.offered if self._feeder else 0

    async def start(self) -> None:
        """Raises OSError if a server does not come up."""
        await self._llm.start()

    def plan(self, plan: Plan) -> Plan:
        """The plan, pointed at the simulated service."""
        llm = replace(
            plan.llm,
            urls=self.urls,
            api="ollama",
            model=self._llm.model,
            api_key_env="",
            timeout_s=TIMEOUT_S,
            breaker_open_s=TAKEN_OUT_S,
        )
        return replace(plan, llm=llm)

    def attach(
        self,
        extract: Callable[[str, str, str], Awaitable[object]],
        feedback: Callable[[dict[str, Any], Actor], Awaitable[object]],
        served_by_llm: Callable[[str], bool],
        visit: str,
    ) -> None:
        """Send documents to `extract(id, text, title)` and users' reactions to `feedback`. `visit` names this
        run.
        """

        async def arrive(document: SampleDocument) -> None:
            await extract(document.id, document.text, document.title)

        async def react(reaction: Reaction) -> None:
            await feedback(to_builtins(reaction), VISITOR)

        def experience_of(document: SampleDocument) -> Experience:
            return experience(served_by_llm(document.id), self._llm.current().hallucinate)

        self._feeder = Feeder(
            arrive,
            self._clock,
            GAME_PER_MINUTE if self.hidden else PER_MINUTE,
            seed=self._seed,
            documents=stream(self._seed, GAME_REPEATS) if self.hidden else None,
            max_per_real_second=GAME_PER_REAL_SECOND if self.hidden else PER_REAL_SECOND,
            react=react,
            experience=experience_of,
            visit=visit,
        )
        self._feeding = asyncio.create_task(self._feeder.run())

    async def stop(self) -> None:
        if self._feeding is not None:
            self._feeding.cancel()
            await asyncio.gather(self._feeding, return_exceptions=True)
        await self._llm.stop()

    async def switch(self, name: str, value: float, server: int | None = None) -> None:
        """Set a fault on one server or on all, without a log line. Raises SimulatedLlmError if one does not respond."""
        await self._llm.set(name, value, server)

    async def set_fault(self, name: str, value: float) -> str:
        """Set a fault on all servers (0 is off); returns the sentence for the log. The ValueError is a sentence for the
        user."""
        if value == 0:
            value = checked(name, 1.0).off_value
        kind = checked(name, value)
        try:
            await self._llm.set(name, value)
        except SimulatedLlmError as error:
            raise ValueError(str(error)) from None
        if value == kind.off_value:
            return f'Fault "{kind.title}" disabled.'
        shown = {"share": f"{value * 100:g} %", "factor": f"x{value:g}", "on/off": "on"}[kind.unit]
        how = f" ({shown})" if shown != "on" else ""
        return f'Fault "{kind.title}" enabled{how}.'
