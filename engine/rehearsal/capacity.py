"""The parts of the simulated service: slots, the queue for them, the loaded model, latency, faults."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator

from msgspec import Struct

from engine.rehearsal import model
from engine.rehearsal.faults import ServerFaults

SPREAD = 0.35  # standard deviation of the logarithm of the latency
TYPICAL_TOKENS = 600.0  # a prompt of this length takes `latency_ms` on average
TRAINED_CONTEXT = 131_072
DIGEST = "a80c4f17acd55265feec403c7aef86be0c25983ab279d83f3bcd3abbcb5b8b72"


class Counters(Struct):
    """What happened so far. `gone`: requests whose client left before the answer."""

    calls: int = 0
    served: int = 0
    failed: int = 0
    turned_away: int = 0
    gone: int = 0
    loads: int = 0
    at_once: int = 0
    most_at_once: int = 0
    waiting: int = 0


class Service:
    """Slots, their queue, the loaded model, the faults. The model's settings may change while it runs."""

    def __init__(
        self,
        seed: int = 7,
        number: int = 1,
        slots: int = 32,
        queue: int = 64,
        latency_ms: float = 900.0,
        load_ms: float = 1500.0,
        name: str = "llama3.2:3b",
        spread: float = SPREAD,
    ) -> None:
        self.name = name
        self.slots = slots
        self.queue = queue
        self.latency_s = latency_ms / 1000
        self.load_s = load_ms / 1000
        self.digest = DIGEST
        self.family = "llama"
        self.thinking = False
        self.trained_context = TRAINED_CONTEXT
        self.faults = ServerFaults()
        self.counters = Counters()
        self._seed = seed
        self._spread = spread
        self._chance = random.Random(f"{seed}/{number}")
        self._free = asyncio.Semaphore(slots)
        self._left = 0.0  # when a slot was last freed
        self._loading = asyncio.Lock()
        self._loaded_until = 0.0
        self._context = 0

    def knows(self, name: str) -> bool:
        return not self.faults.not_found and name in (self.name, self.name.removesuffix(":latest"))

    def read(self, prompt: str) -> model.SeededText:
        """All servers of a rehearsal share the seed, so a text fails on all of them."""
        return model.read(prompt, self._seed)

    def feels_busy(self) -> bool:
        """Drawn per call: a full queue does not depend on the text."""
        return self._chance.random() < self.faults.busy

    def seconds(self, tokens: int) -> float:
        """How long one answer takes: lognormal around the configured mean, a little longer for a long prompt; always
        the same when the spread is 0.
        """
        mean = self.latency_s * self.faults.slow
        if not self._spread:
            return mean
        factor = self._chance.lognormvariate(-(self._spread**2) / 2, self._spread)
        return mean * min(5.0, factor) * (0.8 + 0.2 * min(5.0, tokens / TYPICAL_TOKENS))

    @contextlib.asynccontextmanager
    async def slot(self) -> AsyncIterator[SlotCall]:
        """A slot, first come first served. Raises Full when too many already wait."""
        counters = self.counters
        if counters.at_once >= self.slots and counters.waiting >= self.queue:
            raise Full
        counters.waiting += 1
        waits = self._free.locked()
        try:
            await self._free.acquire()
        finally:
            counters.waiting -= 1
        counters.at_once += 1
        counters.most_at_once = max(counters.most_at_once, counters.at_once)
        work = SlotCall(self._left if waits else time.monotonic())
        try:
            yield work
        finally:
            counters.at_once -= 1
            self._left = work.due if work.done else time.monotonic()
            self._free.release()

    @property
    def loaded(self) -> int:
        """The context that the model is loaded with; 0 = it is not loaded."""
        return self._context if time.monotonic() < self._loaded_until else 0

    async def load(self, context: int, keep_s: float) -> float:
        """Load the model with this context and return the seconds it took. Keeping it for 0 seconds unloads it."""
        async with self._loading:
            took = 0.0
            if keep_s > 0 and self.loaded != context:
                self.counters.loads += 1
                took = self.load_s * (self._chance.uniform(0.8, 1.2) if self._spread else 1.0)
                await asyncio.sleep(took)
            self._context = context
            self._loaded_until = time.monotonic() + keep_s
            return took

    def unload(self) -> None:
        """Another model replaced it."""
        self._loaded_until = 0.0


class SlotCall:
    """A call in its slot. `due`: when it is done; the next one in line starts then, however late this process
    notices.

    A real server's slot does not wait for a Python loop: at 50 ms a call, a lag of 2 ms would make 8 slots look like
    7.7.
    """

    def __init__(self, began: float) -> None:
        self.due = began
        self.done = False

    async def lasts(self, seconds: float) -> None:
        self.done = False
        self.due += seconds
        await asyncio.sleep(max(0.0, self.due - time.monotonic()))
        self.done = True


class Full(Exception):
    """All slots are taken and so is the queue."""
