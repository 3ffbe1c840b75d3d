"""Records of what does not lower the percentage, made in the background."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable

from engine.rollout.state import Ask, Decision, State
from engine.service.engine import Engine
from engine.service.rollback import ANSWER_S, RETRY_S

# The plain class is for a page that cannot be read, and is not one of OperationalError; disks recover.
OF_THE_DISK = (sqlite3.OperationalError, sqlite3.DatabaseError)


class DeferredRecords:
    """Decisions in their order. A store that takes no writes delays them, and never the control loop: that would let
    the lease expire."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._pending: deque[tuple[Ask, Callable[[State], Decision | None]]] = deque()
        self._flushing: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> bool:
        """Whether a decision is not recorded yet."""
        return bool(self._pending)

    async def record(self, ask: Ask, decide: Callable[[State], Decision | None]) -> None:
        """Record a decision; returns after `ANSWER_S` at the latest, recorded or not."""
        self._pending.append((ask, decide))
        if self._flushing is None or self._flushing.done():
            self._flushing = self._engine.background(self._flush())
        await asyncio.wait([self._flushing], timeout=ANSWER_S)

    async def _flush(self) -> None:
        while self._pending:
            ask, decide = self._pending[0]
            try:
                await self._engine.commit(ask, decide)
            except Exception as error:
                if type(error) in OF_THE_DISK:
                    await asyncio.sleep(RETRY_S)
                    continue
                self._engine.trouble(error)  # a retry would fail too, and others are queued behind it
            self._pending.popleft()
