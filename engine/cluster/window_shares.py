"""One window per LLM server, the engine's: places in it are lent to workers with their leases.

Windows that each worker finds alone add up: eight of them on one server of 8 slots summed to 123. So a worker has no
window of its own. It reports what it wants and how its calls ended; the engine's window learns from that as from its
own calls, and a share of its size goes back with the lease. A lent place counts as a call in flight.

A report arrives after what it reports. So an answer is evidence about the window's size only if its call was sent after
all places of that size had been lent: calls of a smaller size look fast, and the window would grow past the server's
capacity several times before the first call at its new size is back. A place whose call is still in flight is not lent
again.
"""

from __future__ import annotations

import math
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Protocol

from msgspec import Meta, Struct

MOST_ANSWERS = 2000
TURN_S = 10.0  # how long the same workers keep the places that do not suffice for all

Few = Annotated[int, Meta(ge=0, le=100_000)]


class WindowUse(Struct, frozen=True):
    """A worker's calls to one server since its last report. `wanted`: calls in flight or waiting for a place;
    `answered`: of each, the seconds it took and the seconds since it was sent."""

    url: str
    wanted: Few = 0
    answered: Annotated[list[tuple[float, float]], Meta(max_length=MOST_ANSWERS)] = []
    late: Few = 0
    busy: Few = 0
    in_flight: Few = 0


class SharedWindow(Protocol):
    limit: int
    in_flight: int

    def take(self) -> Any: ...
    def drop(self, ticket: Any) -> None: ...
    def answered(self, ticket: Any, seconds: float, now: float, at_size: bool = True) -> None: ...
    def late(self, ticket: Any, now: float) -> None: ...
    def busy(self, ticket: Any, now: float) -> None: ...


class WindowShares:
    """`windows` by server; `waiting`: documents of the engine itself that wait for a place, which come first."""

    def __init__(
        self, windows: Callable[[], Mapping[str, SharedWindow]], waiting: Callable[[], int], now: Callable[[], float]
    ) -> None:
        self._windows = windows
        self._waiting = waiting
        self._now = now
        self._lent: dict[str, dict[str, deque[Any]]] = {}  # worker -> server -> tickets
        self._wanted: dict[str, dict[str, int]] = {}
        self._full: dict[str, tuple[int, float]] = {}  # server -> (size, since when all of its places are lent)

    def settle(self, worker: str, uses: Iterable[WindowUse]) -> dict[str, int]:
        """Learn from a worker's report; return how many calls it may have in flight, by server."""
        windows = self._windows()
        wanted = self._wanted[worker] = {}
        in_flight: dict[str, int] = {}
        lent = self._lent.setdefault(worker, {})
        for use in uses:
            if (window := windows.get(use.url)) is not None:
                wanted[use.url], in_flight[use.url] = use.wanted, use.in_flight
                self._learn(window, lent.setdefault(use.url, deque()), use)
        shares = {url: self._share(worker, url, window) for url, window in windows.items()}
        for url, window in windows.items():
            tickets = lent.setdefault(url, deque())
            self._resize(window, tickets, max(shares[url], min(len(tickets), in_flight.get(url, 0))))
            self._full_since(url, window)
        if not any(shares.values()) and not any(wanted.values()):  # idle: the others' shares are the same without it
            del self._lent[worker], self._wanted[worker]
        return shares

    def end(self, living: Callable[[str], bool]) -> None:
        """Take back the places of workers without a lease."""
        windows = self._windows()
        for worker in [worker for worker in self._lent if not living(worker)]:
            self._wanted.pop(worker, None)
            for url, tickets in self._lent.pop(worker).items():
                for ticket in tickets:
                    windows[url].drop(ticket)

    def _learn(self, window: SharedWindow, tickets: deque[Any], use: WindowUse) -> None:
        """Each end gives a place back and takes it again: the worker has used it for its next call already."""
        now = self._now()
        for seconds, ago in use.answered:
            if tickets and 0 <= seconds < 1e6:
                ticket = tickets.popleft()
                if at_size := now - ago >= self._full_since(use.url, window):
                    window.drop(ticket)
                    ticket = window.take()  # at this size, whenever the place was lent
                window.answered(ticket, seconds, now, at_size)
                tickets.append(window.take())
        for times, end in ((use.busy, window.busy), (use.late, window.late)):
            for _ in range(min(times, len(tickets))):
                end(tickets.popleft(), now)
                tickets.append(window.take())

    def _full_since(self, url: str, window: SharedWindow) -> float:
        """Since when as many places are lent as the window has at its present size."""
        size, since = self._full.get(url, (0, math.inf))
        if size != window.limit:
            since = math.inf
        if since == math.inf and window.limit - window.limit // 8 <= window.in_flight <= window.limit:
            since = self._now()
        self._full[url] = (window.limit, since)
        return since

    def _turn(self, worker: str) -> int:
        """A worker's place among those who want as much as it does; another one every `TURN_S`."""
        return zlib.crc32(f"{worker} {self._now() // TURN_S:.0f}".encode())

    def _share(self, worker: str, url: str, window: SharedWindow) -> int:
        """An equal part of what the engine leaves, and what others do not want of theirs."""
        if not self._wanted[worker].get(url):
            return 0
        out = sum(len(lent.get(url, ())) for lent in self._lent.values())
        left = max(0, window.limit - (window.in_flight - out) - min(self._waiting(), window.limit // 2))
        askers = sorted(
            (min(wanted.get(url, 0), window.limit), self._turn(name), name) for name, wanted in self._wanted.items()
        )
        for place, (wanted, _, name) in enumerate(askers):
            share = min(wanted, -(-left // (len(askers) - place)))
            if name == worker:
                mine = len(self._lent[worker][url])
                return max(0, min(share, window.limit - window.in_flight + mine))
            left -= share
        return 0

    @staticmethod
    def _resize(window: SharedWindow, tickets: deque[Any], share: int) -> None:
        while len(tickets) < share:
            tickets.append(window.take())
        while len(tickets) > share:
            window.drop(tickets.pop())
