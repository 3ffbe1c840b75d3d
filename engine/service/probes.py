"""Probes of the LLM servers. Failures are kept in the store, so that an outage without traffic leaves its reason."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Sequence

from engine.clock import Clock
from engine.cluster.lag import LoopLag
from engine.extraction.llm import LlmPool, ServerHealth
from engine.store.writer import Writer
from engine.triggers.evidence import Probes

EVERY_S = 60.0  # interval between rows for a server that stays down (machine time)

Row = tuple[float, str, bool, float | None, str]  # at, server, ok, ms, message


class ProbeLog:
    def __init__(self) -> None:
        self._down: dict[str, float] = {}  # server -> when a failure was last recorded

    def rows(self, servers: Sequence[ServerHealth], at: float, real: float) -> list[Row]:
        """A failure immediately and then once a minute, and the first answer after it. `real` is the machine's
        clock."""
        out: list[Row] = []
        for s in servers:
            last = self._down.get(s.url)
            if s.failed_probes:
                if last is None or real - last >= EVERY_S:
                    self._down[s.url] = real
                    out.append((at, s.url, False, None, s.last_error or "no answer"))
            elif last is not None:
                del self._down[s.url]
                out.append((at, s.url, True, s.latency_ms, ""))
        return out


def writes(rows: Sequence[Row]) -> Callable[[sqlite3.Connection], None]:
    def write(conn: sqlite3.Connection) -> None:
        conn.executemany("INSERT INTO probe VALUES (?,?,?,?,?)", rows)

    return write


class Probing:
    """Probes the LLM service for as long as the engine runs."""

    def __init__(
        self,
        pool: LlmPool,
        clock: Clock,
        writer: Writer,
        lag: LoopLag,
        every_s: float,
        trouble: Callable[[BaseException], None],
    ) -> None:
        """`trouble` receives each error of ours."""
        self._pool = pool
        self._clock = clock
        self._writer = writer
        self._lag = lag
        self._every_s = every_s
        self._trouble = trouble
        self._log = ProbeLog()
        self._task: asyncio.Task[None] | None = None
        self.servers: tuple[ServerHealth, ...] = ()
        self.failed = 0  # in a row
        self.answers: bool | None = None  # to the last probe that counts; None before the first
        self.unjudged = 0  # failures discarded because the engine's loop was late

    @property
    def evidence(self) -> Probes:
        """The probes' evidence for the triggers; about no server until a probe counts."""
        return Probes(self.failed, len(self.servers) if self.answers is not None else 0)

    def forget(self) -> None:
        """Earlier probes no longer count."""
        self.failed, self.answers = 0, None

    def start(self) -> None:
        self._task = asyncio.create_task(self._forever())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _forever(self) -> None:
        """Probes the LLM service in the machine's time: a time lapse does not speed up the network."""
        while True:
            began = self._clock.real()
            try:
                self.servers = await self._pool.probe()
                answered = any(server.answers_probes for server in self.servers)
                self.probed(answered, began)
                if rows := self._log.rows(self.servers, self._clock.now(), self._clock.real()):
                    self._writer.later(writes(rows))
            except Exception as error:  # a failed probe raises nothing: so this is not evidence about the service
                self._trouble(error)
            await asyncio.sleep(self._every_s)

    def probed(self, answered: bool, began: float) -> None:
        """A probe has ended. One that failed while the engine's loop was late is not evidence."""
        if answered:
            self.failed, self.answers = 0, True
        elif self._lag.starved(began, self._clock.real()):
            self.unjudged += 1
        else:
            self.failed, self.answers = self.failed + 1, False
