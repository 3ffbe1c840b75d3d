"""Feeds documents in accelerated time, with a limit on how many are in progress.

Arrivals are a Poisson process of the calendar, capped per real second: a rehearsal at 600 times the speed does not need
600 times the documents. When every slot is taken, the next arrival waits; it is neither dropped nor queued.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from typing import Protocol

from engine.rehearsal.corpus import SampleDocument, stream
from engine.rehearsal.users import Experience, Reaction, Users

LATELY = 400  # documents that users still look at
DOCUMENTS_A_VISIT = 3
OWED = 5  # arrivals made up for after a lull; those held up by the cap or by full slots are not


class Pace(Protocol):
    """The clock it needs: the calendar, which may run fast, and the machine's own seconds."""

    def monotonic(self) -> float: ...
    def real(self) -> float: ...
    async def sleep(self, seconds: float) -> None: ...


class Arrivals:
    """Moments of a Poisson process, `per_minute` of the calendar, at least 1 / `most` real seconds apart."""

    def __init__(self, clock: Pace, per_minute: float, most: float, seed: str) -> None:
        if not per_minute > 0 or not most > 0:
            raise ValueError(f"the arrival rate must be above 0, not {min(per_minute, most):g}")
        self.per_minute = per_minute
        self._clock = clock
        self._gap = 1 / most
        self._chance = random.Random(seed)
        self._due = clock.monotonic()
        self._earliest = clock.real()

    async def next(self) -> None:
        """Wait for the next one."""
        clock, mean = self._clock, 60 / self.per_minute
        self._due = max(self._due, clock.monotonic() - OWED * mean) + self._chance.expovariate(1 / mean)
        if (left := self._due - clock.monotonic()) > 0:
            await clock.sleep(left)
        if (early := self._earliest - clock.real()) > 0:
            await asyncio.sleep(early)
        self._earliest = max(self._earliest, clock.real() - self._gap) + self._gap


class Feeder:
    """`run` until cancelled. `offered`, `served` and `failed` count documents, `reactions` what users did.

    `extract` takes one document and returns when it is stored; its exceptions are counted and do not end the feed.
    `react`, if given, receives what users do with a recently served document; `experience` is how well they find what
    they look for.
    """

    def __init__(
        self,
        extract: Callable[[SampleDocument], Awaitable[object]],
        clock: Pace,
        per_minute: float,
        *,
        seed: int = 7,
        max_per_real_second: float = 60.0,
        concurrency: int = 200,
        documents: Iterator[SampleDocument] | None = None,
        react: Callable[[Reaction], Awaitable[object]] | None = None,
        experience: Callable[[SampleDocument], Experience] = lambda _: Experience(),
        visit: str = "visit",
    ) -> None:
        self.offered = 0
        self.served = 0
        self.failed = 0
        self._extract = extract
        self._arrivals = Arrivals(clock, per_minute, max_per_real_second, f"{seed}/documents")
        self._visits = Arrivals(
            clock, per_minute / DOCUMENTS_A_VISIT, max_per_real_second / DOCUMENTS_A_VISIT, f"{seed}/visits"
        )
        self._places = asyncio.Semaphore(concurrency)
        self._documents = documents if documents is not None else stream(seed)
        self._chance = random.Random(f"{seed}/seen")
        self._users = Users(seed, visit)
        self._react = react
        self._experience = experience
        self._lately: deque[SampleDocument] = deque(maxlen=LATELY)
        self._running: set[asyncio.Task[None]] = set()

    @property
    def per_minute(self) -> float:
        return self._arrivals.per_minute

    @property
    def in_flight(self) -> int:
        """Documents in progress; at most `concurrency`."""
        return len(self._running)

    async def run(self) -> None:
        """Feed until cancelled; the documents in progress are cancelled with it."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._feed())
                if self._react is not None:
                    group.create_task(self._visit(self._react))
        finally:
            running = tuple(self._running)
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _feed(self) -> None:
        while True:
            await self._places.acquire()
            await self._arrivals.next()
            self.offered += 1
            task = asyncio.create_task(self._one(next(self._documents)))
            self._running.add(task)
            task.add_done_callback(self._done)

    async def _one(self, document: SampleDocument) -> None:
        try:
            await self._extract(document)
        except Exception:
            self.failed += 1  # the extraction reports its own errors; the feed continues
        else:
            self.served += 1
            self._lately.append(document)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._places.release()

    async def _visit(self, react: Callable[[Reaction], Awaitable[object]]) -> None:
        while True:
            await self._visits.next()
            if not self._lately:
                continue
            document = self._chance.choice(self._lately)
            for reaction in self._users.visit(document.id, self._experience(document)):
                with contextlib.suppress(Exception):  # as with documents
                    await react(reaction)
