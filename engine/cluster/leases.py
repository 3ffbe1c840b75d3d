"""Every lease of this engine, and the workers that wait for a change. Owned by the engine's loop."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from functools import partial
from typing import Literal

from msgspec.structs import replace

from engine.clock import Clock
from engine.cluster.lease import LeaseGrant, LeaseRenewal, LeaseTerms, Version, WorkerLease, granted, pending
from engine.cluster.lease_times import OUT_S
from engine.cluster.window_shares import WindowShares
from engine.plan.durations import iso
from engine.text import clean_line, counted, percent

WATCH_S = 20.0  # how long a watch without news stays open
LOOK_S = 0.02  # what routers obey is read this often while there are leases; a renewal is granted on the last reading
SILENT_S = 0.7  # without a renewal for this long, a worker is silent: two renewals are missing
SHOWN_S = 60.0  # how long a lease that has ended is shown
MOST_WORKERS = 1000
MOST_WAITING = 4  # watches of one worker at once


State = Literal["active", "silent", "ended"]


class TooManyWorkers(Exception):
    """The limit of workers is reached. The message is a sentence."""


class _Watch:
    """A worker that waits for news. `timer` ends its waiting."""

    timer: asyncio.TimerHandle

    def __init__(self, worker: str, salt: str, news: Callable[[LeaseGrant], object]) -> None:
        self.worker, self.salt, self.news = worker, salt, news


class Leases:
    """`obeyed` reads what routers obey; `remember` notes durably that leases exist, before the first is granted.
    `inherited`: an engine before this one may have granted leases that still last."""

    def __init__(
        self,
        clock: Clock,
        token: int,
        obeyed: Callable[[], LeaseTerms],
        remember: Callable[[], None],
        lender: WindowShares,
        inherited: bool = False,
    ) -> None:
        self._clock = clock
        self._obeyed = obeyed
        self._remember = remember
        self._lender = lender
        self._remembered = False
        self._terms = LeaseTerms()
        self._read_at = -math.inf
        self._version: Version = (token, 0)
        self._leases: dict[str, WorkerLease] = {}
        self._waiting: dict[_Watch, None] = {}  # longest first
        self._inherited_until = clock.real() + OUT_S if inherited else 0.0
        self.closed = False

    # -- what is granted -----------------------------------------------------------------------------------------------

    def refresh(self) -> Version:
        """Read what routers obey; a change wakes every watch. Return the version in force."""
        self._read_at = self._clock.real()
        terms = self._obeyed()
        changed = terms.differs(self._terms)
        self._terms = terms
        if changed:
            self._version = (self._version[0], self._version[1] + 1)
            self._wake()
        self._lender.end(self.lives)
        return self._version

    def grant(self, salt: str) -> LeaseGrant:
        self.refresh()
        return LeaseGrant(self._version, self._terms, salt)

    async def renew(self, report: LeaseRenewal, salt: str) -> LeaseGrant:
        """TooMany, or OSError when the leases' mark in the store's folder cannot be made."""
        if not self._remembered and not report.leaving:
            await asyncio.to_thread(self._remember)
            self._remembered = True
        return self._renew(report, salt)

    def renew_again(self, report: LeaseRenewal, salt: str) -> LeaseGrant | None:
        """The grant of a worker whose lease lasts, without waiting for anything; None for any other, which is for
        `renew`."""
        known = self._remembered and not report.leaving and self.lives(report.worker)
        return self._renew(report, salt) if known else None

    def _renew(self, report: LeaseRenewal, salt: str) -> LeaseGrant:
        if report.leaving:
            self._leases.pop(report.worker, None)
            return self.grant(salt)
        if report.worker not in self._leases and len(self._live()) >= MOST_WORKERS:
            raise TooManyWorkers(
                f"{MOST_WORKERS:,} workers hold a lease already, the most that one engine supports. Stop some of them."
            )
        if self._clock.real() - self._read_at >= LOOK_S:
            self.refresh()
        grant = LeaseGrant(self._version, self._terms, salt)
        clean = replace(report, worker=clean_line(report.worker, 100), host=clean_line(report.host, 100))
        self._leases[report.worker] = granted(self._leases.get(report.worker), clean, grant, self._clock.real())
        return replace(grant, shares=self._lender.settle(report.worker, report.servers))

    def attend(self, worker: str, seen: Version, salt: str, news: Callable[[LeaseGrant], object]) -> Callable[[], None]:
        """Call `news` with the grant as soon as its version is above `seen`, or after a while. A rollback calls it
        before anything else of the loop runs. Call the result when nothing waits for the news any more."""
        watch = _Watch(worker, salt, news)
        if self.refresh() > seen or self.closed:
            news(self.grant(salt))
        else:
            mine = [other for other in self._waiting if other.worker == worker]
            for other in mine[: max(0, len(mine) + 1 - MOST_WAITING)]:
                self._answer(other)
            watch.timer = asyncio.get_running_loop().call_later(WATCH_S, self._late, watch)
            self._waiting[watch] = None
        return partial(self._leave, watch)

    async def watch(self, worker: str, seen: Version, salt: str) -> LeaseGrant:
        """The same, for whoever can wait."""
        news: asyncio.Future[LeaseGrant] = asyncio.get_running_loop().create_future()

        def take(grant: LeaseGrant) -> None:
            if not news.done():  # its client may be gone: the task is cancelled and has not run since
                news.set_result(grant)

        leave = self.attend(worker, seen, salt, take)
        try:
            return await news
        finally:
            leave()

    @property
    def idle(self) -> bool:
        """Whether no worker can be calling and the mark in the store's folder may go: `forget` it then."""
        return not self.any and self._clock.real() >= self._inherited_until

    def forget(self) -> None:
        """The mark is about to be removed: the next lease makes it again."""
        self._remembered = False

    def close(self) -> None:
        """Answer every watch: the engine is stopping."""
        self.closed = True
        self.refresh()  # a stopping engine grants nothing
        self._wake()

    def _wake(self) -> None:
        for watch in tuple(self._waiting):
            self._answer(watch)

    def _answer(self, watch: _Watch) -> None:
        if watch in self._waiting:
            self._leave(watch)
            watch.news(LeaseGrant(self._version, self._terms, watch.salt))

    def _late(self, watch: _Watch) -> None:
        self.refresh()
        self._answer(watch)

    def _leave(self, watch: _Watch) -> None:
        if watch in self._waiting:
            del self._waiting[watch]
            watch.timer.cancel()

    # -- what is known -------------------------------------------------------------------------------------------------

    @property
    def any(self) -> bool:
        """Whether a worker may be calling now."""
        now = self._clock.real()
        return any(lease.lives(now) for lease in self._leases.values())  # asked 100 times a second

    @property
    def live_in_flight(self) -> int:
        """Calls for documents that arrive now; a back-fill's calls are not traffic."""
        return sum(lease.in_flight for lease in self._live() if not lease.backfill)

    @property
    def last_call(self) -> float | None:
        """When a worker last sent a call, epoch seconds."""
        calls = [lease.last_call for lease in self._leases.values() if lease.last_call is not None]
        return self._clock.now() - (self._clock.real() - max(calls)) if calls else None

    def lives(self, worker: str) -> bool:
        lease = self._leases.get(worker)
        return lease is not None and lease.lives(self._clock.real())

    def unproven(self, version: Version, to_zero: bool) -> str:
        """Which worker contradicts that `version` is in force everywhere, and until when it can; "" if none does."""
        now = self._clock.real()
        if now < self._inherited_until:
            return f"workers of the engine before this one may hold a lease until {self._iso(self._inherited_until)}"
        waiting = [lease for lease in self._leases.values() if pending(lease, version, to_zero, now)]
        if not waiting:
            return ""
        worst = max(waiting, key=lambda lease: lease.until - (lease.in_flight > 0 and not self._is_silent(lease)))
        more = f", and {counted(len(waiting) - 1, 'other worker')} with it" if len(waiting) > 1 else ""
        return f"{self._named(worst)} {self._state(worst)}{more}"

    def ended_since(self, version: Version, at: float) -> tuple[str, ...]:
        """Workers that went silent after `at` (the engine's boot clock) without acknowledging, and when their leases
        ended."""
        now = self._clock.real()
        return tuple(
            f"{self._named(lease)} is silent, its lease ended {self._iso(lease.until)}"
            for lease in self._leases.values()
            if not lease.lives(now) and lease.until > at and not lease.obeys(version)
        )

    def acknowledged(self, version: Version) -> int:
        """Workers whose lease lasts and obeys it."""
        return sum(lease.obeys(version) for lease in self._live())

    def shown(self) -> tuple[WorkerLease, ...]:
        """Leases for the screen: those that last, and those that ended a moment ago."""
        now = self._clock.real()
        for name in [name for name, lease in self._leases.items() if now - lease.until > SHOWN_S]:
            del self._leases[name]
        return tuple(self._leases.values())

    def sentence(self, lease: WorkerLease) -> str:
        return f"{self._named(lease)} {self._state(lease)}"

    def until(self, lease: WorkerLease) -> float:
        """When it ends, epoch seconds."""
        return self._clock.now() + lease.until - self._clock.real()

    def state(self, lease: WorkerLease) -> State:
        if not lease.lives(self._clock.real()):
            return "ended"
        return "silent" if self._is_silent(lease) else "active"

    def _live(self) -> list[WorkerLease]:
        now = self._clock.real()
        return [lease for lease in self._leases.values() if lease.lives(now)]

    def _is_silent(self, lease: WorkerLease) -> bool:
        return self._clock.real() - lease.received > SILENT_S

    def _named(self, lease: WorkerLease) -> str:
        return f"worker {lease.worker} on {lease.host}"

    def _state(self, lease: WorkerLease) -> str:
        match self.state(lease):
            case "ended":
                return f"is silent; its lease ended {self._iso(lease.until)}"
            case "silent":
                return f"is silent; its lease ends {self._iso(lease.until)}"
        calls = f"{counted(lease.in_flight, 'document')} at the LLM or in its queue" if lease.in_flight else ""
        if not lease.obeys(self._version):
            return f"has not acknowledged {percent(self._terms.percent_bp)} yet{f', {calls}' if calls else ''}"
        return f"has {calls}" if calls else f"obeys {percent(lease.percent_bp)}, nothing in flight"

    def _iso(self, at: float) -> str:
        return iso(self._clock.now() + at - self._clock.real(), ms=True)
