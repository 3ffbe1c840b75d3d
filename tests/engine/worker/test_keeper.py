"""What a keeper does when its lease falls or ends, without waiting for a busy loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from engine.cluster import lease
from engine.cluster.lease import HeldLease, LeaseGrant, LeaseTerms
from engine.worker.keeper import Keeper
from engine.worker.line import EngineConnection
from tests.clock import ManualClock
from tests.engine.worker.leased_work import NoCalls


class BusyLoop(asyncio.AbstractEventLoop):
    """Runs nothing until `run`."""

    def __init__(self) -> None:
        self._ready: list[Callable[[], object]] = []

    def call_soon_threadsafe(self, callback, *args, context=None):  # type: ignore[no-untyped-def]
        self._ready.append(lambda: callback(*args))

    def run(self) -> None:
        for work in self._ready:
            work()


class OneCall(NoCalls):
    """Has a call in flight; `done` is what became of it."""

    open_calls = 1

    def __init__(self, done: list[str]) -> None:
        super().__init__("plan")
        self.done = done

    def cancel(self, why: str) -> None:
        self.done.append(f"cancelled: {why}")

    def shut(self) -> None:
        self.done.append("shut")


@pytest.fixture
def calling() -> tuple[Keeper, BusyLoop, list[str]]:
    """A keeper with a lease at 10 %, its loop, and what it did about its calls."""
    done: list[str] = []
    loop = BusyLoop()
    keeper = Keeper("w", lambda: EngineConnection("/nowhere"), ManualClock(), OneCall(done))
    keeper._loop = loop
    keeper._apply(lambda held: lease.renewed(held, LeaseGrant((1, 1), LeaseTerms(1000, True, "", 1)), 0.0))
    loop.run()
    loop._ready.clear()
    return keeper, loop, done


def test_a_rollback_ends_connections_before_the_loop_cancels_and_acknowledges(
    calling: tuple[Keeper, BusyLoop, list[str]],
) -> None:
    keeper, loop, done = calling
    keeper._apply(lambda held: lease.lowered(held, LeaseGrant((1, 2), LeaseTerms(0, False, "", 2))))
    assert done == ["shut"]
    assert keeper._report().acknowledged == (1, 1)
    loop.run()
    assert done == ["shut", "cancelled: ended by a rollback"]
    assert keeper._report().acknowledged == (1, 2)


def test_the_loop_has_the_cancellation_before_it_can_see_a_connection_end(
    calling: tuple[Keeper, BusyLoop, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper, loop, _ = calling
    queued: list[int] = []
    monkeypatch.setattr(keeper._work, "shut", lambda: queued.append(len(loop._ready)))
    keeper._apply(lambda held: lease.lowered(held, LeaseGrant((1, 2), LeaseTerms(0, False, "", 2))))
    assert queued == [1]


def test_less_than_a_rollback_to_zero_ends_no_call(calling: tuple[Keeper, BusyLoop, list[str]]) -> None:
    keeper, loop, done = calling
    keeper._apply(lambda held: lease.lowered(held, LeaseGrant((1, 2), LeaseTerms(500, True, "", 2))))
    loop.run()
    assert done == []


def test_a_lease_that_expires_ends_calls_once_whatever_the_other_threads_wait_for(
    calling: tuple[Keeper, BusyLoop, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper, loop, done = calling
    clock = keeper._clock
    assert isinstance(clock, ManualClock)
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock.advance(seconds)
        if len(slept) == 3:  # a renewal arrives in time
            keeper.held = replace(keeper.held, until=clock.real() + 0.5)
        keeper._stopping = len(slept) > 8

    monkeypatch.setattr("time.sleep", sleep)
    keeper.held = HeldLease(keeper.held.version, keeper.held.terms, clock.real() + 0.7)
    keeper._expire_forever()
    loop.run()
    assert done == ["shut", "cancelled: ended with the worker's lease"]
    assert sum(slept[:5]) == pytest.approx(0.6 + 0.1 + 0.5)
    assert keeper.now().open is False
