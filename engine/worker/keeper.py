"""Keeps a worker's lease, in threads of its own, so that a busy event loop delays neither a renewal nor its expiry.

`held` is replaced whole, so any thread reads one consistent lease. That assignment is what lowers the percentage. The
thread that made it ends the connections of calls in flight, for the loop may be busy with documents; the loop cancels
the calls, and only after that does the next renewal acknowledge it.
"""

from __future__ import annotations

import asyncio
import math
import os
import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Protocol

import msgspec

from engine.clock import Clock
from engine.cluster import lease
from engine.cluster.lease import HeldLease, LeaseGrant, LeasePoll, LeaseRenewal, LeaseTerms, Version, WorkerIdentity
from engine.cluster.lease_times import LEASE_S, RENEW_S
from engine.cluster.leases import WATCH_S
from engine.cluster.window_shares import WindowUse
from engine.decoding import json_decoder
from engine.worker.line import EngineConnection, EngineRefused, no_answer

_grants = json_decoder(LeaseGrant)

SETTLE_S = 0.02  # between two renewals while calls are ending, which the engine waits for
AGAIN_S = 0.1  # after a renewal without an answer
LEAST_S = 0.05  # shortest wait for an answer, after the lease has expired


class LeasedWork(Protocol):
    """What a keeper needs of the process that it keeps a lease for."""

    @property
    def identity(self) -> WorkerIdentity: ...

    @property
    def open_calls(self) -> int:
        """LLM requests in flight."""

    @property
    def last_call(self) -> float | None:
        """When the last one was sent, on the clock's epoch."""

    def cancel(self, why: str) -> None:
        """End calls in flight. Called in the loop."""

    def shut(self) -> None:
        """End their connections. Called in any thread."""

    def ended(self, why: str) -> None:
        """The engine will never grant this worker a lease. Called once, in the loop."""

    def uses(self) -> list[WindowUse]:
        """What the LLM servers' windows learn from."""

    def lend(self, shares: dict[str, int]) -> None:
        """This worker's places in the windows, by server."""


class Keeper:
    def __init__(
        self, name: str, line: Callable[[], EngineConnection], clock: Clock, work: LeasedWork, backfill: bool = False
    ) -> None:
        self.held = HeldLease()
        self.salt = ""
        self.problem = ""  # why the last renewal failed
        self._name = name
        self._line = line
        self._clock = clock
        self._work = work
        self._backfill = backfill
        self._acknowledged: Version = (0, 0)
        self._lock = threading.Lock()  # held while `held` is replaced
        self._soon = threading.Event()
        self._stopping = False
        self._granted = threading.Event()
        self._renewing: threading.Thread | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._renewing = threading.Thread(target=self._renew_forever, name="renew_forever", daemon=True)
        self._renewing.start()
        for work in (self._watch_forever, self._expire_forever):
            threading.Thread(target=work, name=work.__name__.strip("_"), daemon=True).start()

    def stop(self) -> None:
        """Return the lease. No LLM call may start after this."""
        self._stopping = True
        with self._lock:
            self.held = HeldLease(self.held.version, self.held.terms, -math.inf, "this worker is stopping")
        self._soon.set()
        if self._renewing is not None:
            self._renewing.join(LEASE_S)  # a renewal that arrived after the return would revive the lease
        report = msgspec.structs.replace(self._report(), leaving=not self._work.open_calls)
        try:
            self._line().post("/v1/worker/lease", msgspec.json.encode(report), RENEW_S)
        except (OSError, EngineRefused):
            return  # the lease expires anyway

    def wait_for_grant(self, timeout_s: float) -> bool:
        """Wait for the engine's first answer to a renewal; return whether it came."""
        return self._granted.wait(timeout_s)

    def now(self) -> LeaseTerms:
        return self.held.at(self._clock.real())

    # -- the renewals' thread ------------------------------------------------------------------------------------------

    def _renew_forever(self) -> None:
        line = self._line()
        while not self._stopping:
            sent = self._clock.real()
            left = self.held.until - sent
            pause = self._renew(line, sent, min(max(left, LEAST_S), LEASE_S) if left > 0 else LEASE_S)
            self._soon.wait(max(0.0, pause))
            self._soon.clear()
        line.close()

    def _renew(self, line: EngineConnection, sent: float, timeout_s: float) -> float:
        """Send one renewal; return the seconds until the next."""
        try:
            body = line.post("/v1/worker/lease", msgspec.json.encode(self._report()), timeout_s)
            grant = _grants.decode(body)
        except EngineRefused as refused:
            if not refused.passing and not self._stopping:
                self._stopping = True
                self._in_loop(self._work.ended, str(refused))
            self.problem = refused.phrase
            return AGAIN_S
        except (OSError, msgspec.MsgspecError) as error:
            self.problem = no_answer(error)
            return min(AGAIN_S, max(0.0, self.held.until - self._clock.real())) or AGAIN_S
        self._apply(lambda held: lease.renewed(held, grant, sent))
        self.salt, self.problem = grant.salt, ""
        self._granted.set()
        self._in_loop(self._work.lend, grant.shares)
        unsettled = self._work.open_calls and not self.held.terms.percent_bp
        return SETTLE_S if unsettled else RENEW_S - (self._clock.real() - sent)

    def _report(self) -> LeaseRenewal:
        acknowledged = self._acknowledged  # before the calls are counted
        last = self._work.last_call
        return LeaseRenewal(
            worker=self._name,
            host=socket.gethostname(),
            pid=os.getpid(),
            identity=self._work.identity,
            acknowledged=acknowledged,
            in_flight=self._work.open_calls,
            last_call_age_s=None if last is None else max(0.0, self._clock.now() - last),
            backfill=self._backfill,
            servers=self._work.uses(),
        )

    # -- the expiry's thread -------------------------------------------------------------------------------------------

    def _expire_forever(self) -> None:
        """End calls in flight when the lease expires, whatever the other threads wait for."""
        expired = True
        while not self._stopping:
            left = self.held.until - self._clock.real()
            if left <= 0 and not expired:
                self._end_calls(self._work.cancel, "ended with the worker's lease")
            expired = left <= 0
            time.sleep(AGAIN_S if expired else min(left, RENEW_S))  # a suspended machine does not count its sleep

    # -- the watch's thread --------------------------------------------------------------------------------------------

    def _watch_forever(self) -> None:
        line = self._line()
        while not self._stopping:
            watch = LeasePoll(self._name, self.held.version)
            try:
                body = line.post("/v1/worker/watch", msgspec.json.encode(watch), WATCH_S + 5.0)
                grant = _grants.decode(body)
            except (OSError, EngineRefused, msgspec.MsgspecError):
                time.sleep(AGAIN_S)
                continue
            if grant.version <= watch.seen:
                time.sleep(AGAIN_S if grant.terms.why else 0.0)  # an engine that is stopping answers at once
                continue
            self._apply(partial(lease.lowered, grant=grant))
        line.close()

    # -- both ----------------------------------------------------------------------------------------------------------

    def _apply(self, change: Callable[[HeldLease], HeldLease]) -> None:
        with self._lock:
            before, self.held = self.held, change(self.held)
            after = self.held
        if self._stopping:
            with self._lock:
                self.held = msgspec.structs.replace(self.held, until=-math.inf, ended="this worker is stopping")
        lower = lease.is_lower(before.terms, after.terms)
        if lower:
            self._end_calls(self._settle, after, lower)
        elif after.version != before.version:
            self._in_loop(self._settle, after, lower)

    def _end_calls(self, settle: Callable[..., object], *given: object) -> None:
        """Have the loop settle it, and end the connections without waiting for that. In this order: the loop cancels
        each call before it can see the end of its connection, so none counts as a fault of the LLM service."""
        self._in_loop(settle, *given)
        self._work.shut()

    def _settle(self, held: HeldLease, lower: bool) -> None:
        """Runs in the loop, where calls start: every call permitted before is counted or cancelled by now."""
        if lower:
            self._work.cancel("ended by a rollback")
        self._acknowledged = max(self._acknowledged, held.version)
        if lower:
            self._soon.set()

    def _in_loop(self, work: Callable[..., object], *given: object) -> None:
        try:
            self._loop.call_soon_threadsafe(work, *given)
        except RuntimeError:  # the loop has ended, and its calls with it
            return
