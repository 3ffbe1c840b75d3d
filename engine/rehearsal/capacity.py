"""What the simulated service is made of: slots, the queue before them, the loaded model, the latency, the faults."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator

from msgspec import Struct

from engine.rehearsal import model
from engine.rehearsal.faults import Faults

SPREAD = 0.35  # standard deviation of the logarithm of the latency
TYPICAL_TOKENS = 600.0  # a prompt of this length takes `latency_ms` on average


class Counters(Struct):
    """What happened so far. `gone`: the client left before its answer."""

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
    """Slots, the queue before them, the loaded model, the faults."""

    def __init__(
        self, seed: int, number: int, slots: int, queue: int, latency_ms: float, load_ms: float, name: str
    ) -> None:
        self.name = name
        self.slots = slots
        self.queue = queue
        self.faults = Faults()
        self.counters = Counters()
        self._seed = seed
        self._latency_s = latency_ms / 1000
        self._load_s = load_ms / 1000
        self._chance = random.Random(f"{seed}/{number}")
        self._free = asyncio.Semaphore(slots)
        self._loading = asyncio.Lock()
        self._loaded_until = 0.0
        self._context = 0

    def knows(self, name: str) -> bool:
        return not self.faults.not_found and name in (self.name, self.name.removesuffix(":latest"))

    def read(self, prompt: str) -> model.Reading:
        """The seed is the same for all servers of a rehearsal: what fails here fails there."""
        return model.read(prompt, self._seed)

    def feels_busy(self) -> bool:
        """Drawn for each call: a full queue is no matter of the text."""
        return self._chance.random() < self.faults.busy

    def seconds(self, tokens: int, slow: float) -> float:
        """How long one answer takes: lognormal around the configured mean, a little longer for a long prompt."""
        factor = self._chance.lognormvariate(-(SPREAD**2) / 2, SPREAD)
        return self._latency_s * slow * min(5.0, factor) * (0.8 + 0.2 * min(5.0, tokens / TYPICAL_TOKENS))

    @contextlib.asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """A place to work in, first come first served. Raises Full when too many wait already."""
        counters = self.counters
        if counters.at_once >= self.slots and counters.waiting >= self.queue:
            raise Full
        counters.waiting += 1
        try:
            await self._free.acquire()
        finally:
            counters.waiting -= 1
        counters.at_once += 1
        counters.most_at_once = max(counters.most_at_once, counters.at_once)
        try:
            yield
        finally:
            counters.at_once -= 1
            self._free.release()

    @property
    def loaded(self) -> int:
        """The context that the model is loaded with; 0 = it is not loaded."""
        return self._context if time.monotonic() < self._loaded_until else 0

    async def load(self, context: int, keep_s: float) -> float:
        """Have the model in memory with this context; seconds that it took. 0 seconds to keep unloads it."""
        async with self._loading:
            took = 0.0
            if keep_s > 0 and self.loaded != context:
                self.counters.loads += 1
                took = self._load_s * self._chance.uniform(0.8, 1.2)
                await asyncio.sleep(took)
            self._context = context
            self._loaded_until = time.monotonic() + keep_s
            return took


class Full(Exception):
    """All slots are taken and so is the queue."""
