"""What makes a process a worker: the product's own pipeline with a lease in place of the switch, and a store of the
caller's."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable

import msgspec

from engine.clock import Clock
from engine.cluster.identity import version
from engine.cluster.lag import BEAT_S, LoopLag
from engine.cluster.lease import WorkerIdentity
from engine.cluster.window_shares import MOST_ANSWERS, WindowUse
from engine.extraction.llm import LlmPool
from engine.measures.record import Extraction
from engine.plan.model import Plan
from engine.routing.pipeline import Pipeline
from engine.routing.ports import Ports, Store
from engine.worker.keeper import Keeper
from engine.worker.line import EngineConnection
from engine.worker.switch import LeasedSwitch


class LeasedPipeline:
    """`ended` is called once, in the loop, if the engine will never grant this worker a lease. The windows of its
    servers are the engine's, which lends places in them.

    `calls`: if False, no document may ask for the LLM and no client starts.
    """

    def __init__(
        self,
        name: str,
        plan: Plan,
        line: Callable[[], EngineConnection],
        clock: Clock,
        store: Store,
        kept_within_s: float,
        ended: Callable[[str], object],
        trouble: Callable[[BaseException], None],
        api_key: str = "",
        backfill: bool = False,
        calls: bool = True,
    ) -> None:
        self._plan = plan
        self._makes_calls = calls
        self._clock = clock
        self._lag = LoopLag()
        self._beating: asyncio.Task[None] | None = None
        self._salt = plan.salt
        self.pool = LlmPool(plan.llm, clock, api_key=api_key or None, permit=lambda: self.switch.may_call())
        self._windows = self.pool.borrow_windows()
        self._ended = ended
        self.keeper = Keeper(name, line, clock, self, backfill)
        self.switch = LeasedSwitch(self.keeper, line().folder)
        self.pipeline = Pipeline(
            Ports(
                plan=plan,
                clock=clock,
                store=store,
                switch=self.switch,
                conn=sqlite3.connect(":memory:"),
                pool=self.pool,
                state=self.switch.state,
                observe=lambda record: None,  # the engine's triggers see it with its batch
                trouble=trouble,
                kept_within_s=kept_within_s,
            )
        )

    def start(self) -> None:
        """Start renewing the lease; call it in the loop."""
        self.keeper.start(asyncio.get_running_loop())
        self._beating = asyncio.create_task(self._beat())

    async def granted(self, timeout_s: float) -> bool:
        """Whether the engine has answered a renewal. The first answer starts the LLM client, if calls are allowed."""
        if not await asyncio.to_thread(self.keeper.wait_for_grant, timeout_s):
            return False
        self.follow_salt()
        if self._makes_calls:
            await self.pool.start()
        return True

    def follow_salt(self) -> None:
        """Draw buckets as the engine does, also after a change to an engine with another store."""
        if self.keeper.salt and self.keeper.salt != self._salt:
            self._salt = self.keeper.salt
            self.pipeline.use(msgspec.structs.replace(self._plan, salt=self._salt))

    def starved(self, record: Extraction) -> bool:
        """Whether this process was late for much of the time the record took. Such a record is not evidence about
        the LLM service."""
        took = (record.ms + record.queue_ms) / 1000
        return record.attempted and self._lag.starved_over(took, self._clock.real())

    async def _beat(self) -> None:
        while True:
            self._lag.beat(self._clock.real())
            await asyncio.sleep(BEAT_S)

    async def stop(self) -> None:
        if self._beating is not None:
            self._beating.cancel()
        await asyncio.to_thread(self.keeper.stop)
        await self.pool.close()

    # -- what the keeper asks for: see `LeasedWork` --------------------------------------------------------------------

    @property
    def identity(self) -> WorkerIdentity:
        return WorkerIdentity(version(), self._plan.digest, self.pool.model_digest if self.pool.all_known else "")

    @property
    def open_calls(self) -> int:
        return max(self.pipeline.in_flight, self.pipeline.calls.requests_open)

    @property
    def last_call(self) -> float | None:
        return self.pipeline.calls.last_sent

    def cancel(self, why: str) -> None:
        self.pipeline.cancel_calls(why)

    def shut(self) -> None:
        self.pipeline.calls.shut()

    def ended(self, why: str) -> None:
        self._ended(why)

    def uses(self) -> list[WindowUse]:
        waiting, uses = self.pool.waiting, []
        for url, window in self._windows.items():
            in_flight = window.in_flight
            answers, lates, refusals = window.collect(self._clock.real())
            uses.append(
                WindowUse(url, in_flight + waiting, answers[-MOST_ANSWERS:], lates, refusals, in_flight=in_flight)
            )
        return uses

    def lend(self, shares: dict[str, int]) -> None:
        for url, window in self._windows.items():
            window.limit = shares.get(url, 0)
        self.pool.serve()
