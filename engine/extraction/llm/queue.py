"""The queue in front of the servers: which call is next, and on which server.

First come, first served, but a retried call goes first, because its document's clock is running. Waiting here costs
nothing; waiting inside the HTTP client costs up to 30 ms of CPU per call once there are hundreds.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from engine.extraction.llm.concurrency import Ticket
from engine.extraction.llm.failure import ErrorKind, Fault
from engine.extraction.llm.server import Server


@dataclass(slots=True)
class Slot:
    """A slot on a server. `probe`: its call decides whether a half-open breaker closes."""

    server: Server
    ticket: Ticket
    probe: bool


@dataclass(slots=True)
class _Waiting:
    slot: asyncio.Future[Slot]
    avoid: set[Server]


class WaitQueue:
    """Two queues: calls that no client waits for (`background`) get a slot only when no other call wants it."""

    def __init__(self, servers: Sequence[Server], most: int) -> None:
        self._servers = servers
        self._most = most
        self._served: deque[_Waiting] = deque()
        self._background: deque[_Waiting] = deque()

    def __len__(self) -> int:
        return len(self._served) + len(self._background)

    @property
    def interactive(self) -> int:
        """Calls that a client waits for."""
        return len(self._served)

    def turn_away(self, why: Fault) -> None:
        """Reject all waiting calls."""
        for line in (self._served, self._background):
            while line:
                waiting = line.popleft()
                if not waiting.slot.done():
                    waiting.slot.set_exception(why)

    def elsewhere(self, avoid: set[Server]) -> bool:
        """Whether a server outside `avoid` accepts calls."""
        return any(s not in avoid and s.breaker.admits(s.now()) for s in self._servers)

    async def slot(self, avoid: set[Server], again: bool, background: bool) -> Slot:
        """A slot on the least loaded server; equally loaded ones take turns. `again`: the call was sent before and
        its clock is running, so it goes first.

        Raises Fault: breaker_open if every server's breaker is open, queue_full if too many wait.
        """
        line = self._background if background else self._served
        if not self._served and (again or not line):
            server = self._best(avoid)
            if server is not None:
                return self._take(server)
        if not self._admitted():
            raise self._all_out()
        if not (again or background) and len(self._served) >= self._most:
            raise Fault(
                ErrorKind.queue_full,
                f"{len(self._served)} documents wait for the LLM, as many as [llm] max_waiting allows",
            )
        waiting = _Waiting(asyncio.get_running_loop().create_future(), avoid)
        if again:
            line.appendleft(waiting)
            self.serve()
        else:
            line.append(waiting)
        try:
            return await waiting.slot
        except asyncio.CancelledError:
            slot = waiting.slot
            if slot.done() and not slot.cancelled() and slot.exception() is None:
                given = slot.result()
                given.server.window.drop(given.ticket)
                given.server.breaker.undecided(given.probe)
                self.serve()
            elif waiting in line:
                line.remove(waiting)
            raise

    def serve(self) -> None:
        """Give free slots to waiting calls, in order; reject all of them if no server is left."""
        if not len(self):
            return
        if not self._admitted():
            self.turn_away(self._all_out())
            return
        for line in (self._served, self._background):
            passed: list[_Waiting] = []
            while line and any(s.window.free and s.breaker.admits(s.now()) for s in self._servers):
                waiting = line.popleft()
                if waiting.slot.done():
                    continue
                server = self._best(waiting.avoid)
                if server is None:
                    passed.append(waiting)
                else:
                    waiting.slot.set_result(self._take(server))
            line.extendleft(reversed(passed))

    @property
    def all_loading(self) -> bool:
        """Whether every server that accepts calls is loading its model."""
        admitting = [s for s in self._servers if s.breaker.admits(s.now())]
        return bool(admitting) and all(s.loading for s in admitting)

    def _admitted(self) -> bool:
        return any(s.breaker.admits(s.now()) for s in self._servers)

    def _best(self, avoid: set[Server]) -> Server | None:
        """The least loaded server with a free slot; one that failed this document only as a last resort."""
        admitting = [s for s in self._servers if s.breaker.admits(s.now())]
        wanted = [s for s in admitting if s not in avoid] or admitting
        free = [s for s in wanted if s.window.free]
        return min(free, key=lambda s: (s.window.load, s.window.latency), default=None)

    @staticmethod
    def _take(server: Server) -> Slot:
        return Slot(server, server.window.take(), server.breaker.take())

    def _all_out(self) -> Fault:
        now = self._servers[0].now() if self._servers else 0.0
        reasons = "; ".join(
            s.last_error if s.url in s.last_error else f"{s.url}: {s.last_error or 'no answer'}" for s in self._servers
        )
        soonest = min((s.breaker.opens_in(now) for s in self._servers), default=0.0)
        return Fault(
            ErrorKind.breaker_open,
            f"every LLM server's breaker is open, next try in {max(1, round(soonest))} s ({reasons})",
        )
