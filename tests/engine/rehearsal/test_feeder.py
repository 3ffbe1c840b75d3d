"""Documents arrive at the rate of the calendar, not faster than the machine, never more at once than there are places."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from itertools import count, pairwise
from typing import Any

import msgspec
import pytest

from engine.clock import LapseClock
from engine.rehearsal.corpus import SampleDocument
from engine.rehearsal.feeder import Arrivals, Feeder
from engine.rehearsal.users import Experience, Reaction, Users, experience
from engine.service.feedback import Feedback, read
from tests.clock import ManualClock
from tests.machine import patience

pytestmark = pytest.mark.anyio


def documents() -> Any:
    return (SampleDocument(f"d{n}", f"Title {n}", f"Text {n}.") for n in count())


async def until(task: asyncio.Task[None], done: Any) -> None:
    for _ in patience(10.0):
        if done():
            return
        assert not task.done()
        await asyncio.sleep(0.001)
    raise AssertionError("it did not come to pass")


async def cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_arrivals_keep_the_rate_of_the_calendar_and_are_poisson() -> None:
    clock = ManualClock()
    arrivals = Arrivals(clock, per_minute=30, most=1e9, seed="x")
    moments = []
    for _ in range(2000):
        await arrivals.next()
        moments.append(clock.monotonic())
    assert moments[-1] == pytest.approx(2000 * 2.0, rel=0.06)
    gaps = [b - a for a, b in pairwise(moments)]
    mean = sum(gaps) / len(gaps)
    variance = sum((gap - mean) ** 2 for gap in gaps) / len(gaps)
    assert variance == pytest.approx(mean**2, rel=0.15)


async def test_a_change_of_rate_holds_from_the_next_arrival() -> None:
    clock = ManualClock()
    arrivals = Arrivals(clock, per_minute=60, most=1e9, seed="x")
    for _ in range(10):
        await arrivals.next()
    arrivals.per_minute = 6
    before = clock.monotonic()
    for _ in range(500):
        await arrivals.next()
    assert clock.monotonic() - before == pytest.approx(5000, rel=0.15)


async def test_documents_that_a_lull_held_up_are_not_made_up_for() -> None:
    clock = ManualClock()
    arrivals = Arrivals(clock, per_minute=60, most=1e9, seed="x")
    await arrivals.next()
    clock.advance(3600)  # full places, a suspended machine
    before = clock.monotonic()
    for _ in range(100):
        await arrivals.next()
    assert clock.monotonic() - before > 60


async def test_however_fast_the_calendar_the_machine_is_spared() -> None:
    clock = LapseClock(100_000)
    arrivals = Arrivals(clock, per_minute=60, most=200, seed="x")
    began = clock.real()
    for _ in range(41):
        await arrivals.next()
    assert clock.real() - began >= 40 / 200 * 0.95


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan")])
def test_a_rate_must_be_above_0(rate: float) -> None:
    with pytest.raises(ValueError, match="arrival rate must be above 0"):
        Feeder(documents, LapseClock(), rate)  # type: ignore[arg-type]


async def test_full_places_hold_arrivals_and_none_is_dropped() -> None:
    gate = asyncio.Event()
    taken: list[str] = []

    async def extract(document: SampleDocument) -> None:
        taken.append(document.id)
        await gate.wait()

    feeder = Feeder(extract, LapseClock(1000), 6000, max_per_real_second=1e4, concurrency=5, documents=documents())
    task = asyncio.create_task(feeder.run())
    await until(task, lambda: feeder.in_flight == 5)
    await asyncio.sleep(0.05)
    assert (feeder.offered, feeder.in_flight, feeder.served) == (5, 5, 0)
    gate.set()
    await until(task, lambda: feeder.served >= 50)
    await cancel(task)
    assert taken == [f"d{n}" for n in range(len(taken))]
    assert feeder.in_flight == 0


async def test_a_document_that_fails_is_counted_and_the_rest_continue() -> None:
    async def extract(document: SampleDocument) -> None:
        if document.id.endswith("3"):
            raise OSError("the store takes nothing")

    feeder = Feeder(extract, LapseClock(1000), 6000, max_per_real_second=1e4, documents=documents())
    task = asyncio.create_task(feeder.run())
    await until(task, lambda: feeder.served >= 40)
    await cancel(task)
    assert feeder.failed >= 4
    assert feeder.failed + feeder.served + feeder.in_flight <= feeder.offered


async def test_cancelling_cancels_the_documents_under_way() -> None:
    ended = Counter[str]()

    async def extract(document: SampleDocument) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended["cancelled"] += 1
            raise

    feeder = Feeder(extract, LapseClock(1000), 6000, max_per_real_second=1e4, concurrency=7, documents=documents())
    task = asyncio.create_task(feeder.run())
    await until(task, lambda: feeder.in_flight == 7)
    await cancel(task)
    assert ended["cancelled"] == 7


async def test_users_react_to_documents_that_were_served() -> None:
    seen: list[Reaction] = []
    served: set[str] = set()

    async def extract(document: SampleDocument) -> None:
        served.add(document.id)

    async def react(reaction: Reaction) -> None:
        seen.append(reaction)
        if len(seen) == 3:
            raise OSError("not taken")

    feeder = Feeder(
        extract, LapseClock(1000), 6000, max_per_real_second=3e3, documents=documents(), react=react,
        experience=lambda document: Experience(1.0, 0.0),
    )  # fmt: skip
    task = asyncio.create_task(feeder.run())
    await until(task, lambda: len(seen) >= 60)
    await cancel(task)
    assert {reaction.document for reaction in seen} <= served
    assert len({reaction.id for reaction in seen}) == len(seen)
    assert not any(reaction.kind == "complaint" for reaction in seen)


def _visits(result: Experience, times: int = 10_000) -> tuple[Counter[str], list[Reaction]]:
    users = Users(seed=1)
    reactions = [reaction for _ in range(times) for reaction in users.visit("d", result)]
    return Counter(reaction.kind for reaction in reactions), reactions


def test_complaints_are_rare_until_the_llm_hallucinates() -> None:
    normal, _ = _visits(experience(by_llm=True))
    bad, _ = _visits(experience(by_llm=True, hallucinate=0.5))
    other, _ = _visits(experience(by_llm=False, hallucinate=0.5))
    assert normal["complaint"] + other["complaint"] <= 3
    assert bad["complaint"] > 100
    assert normal["click"] > other["click"] > bad["click"]


def test_reactions_pass_the_door_for_feedback() -> None:
    _, reactions = _visits(experience(by_llm=True, hallucinate=1.0), 200)
    assert {reaction.kind for reaction in reactions} == {"impression", "click", "rating", "complaint"}
    for reaction in reactions:
        content = read(msgspec.to_builtins(reaction), "visitor", 0.0)
        assert isinstance(content, Feedback), content
        assert (content.id, content.kind, content.document) == (reaction.id, reaction.kind, "d")
