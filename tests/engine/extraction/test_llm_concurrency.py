"""The window discovers a server's size; the breaker takes a server out and lets one call probe it. Both pure, on the test's clock."""

from __future__ import annotations

import heapq
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.extraction.llm.breaker import LONGEST, Breaker
from engine.extraction.llm.concurrency import Ticket, Window


class Served:
    """A server of `slots` and `latency_s` with a bounded queue, always offered as much as the window lets through."""

    def __init__(
        self,
        slots: int,
        latency_s: float,
        queue: int = 10_000,
        spread: float = 0.0,
        batching: float = 0.0,
        seed: int = 7,
        deadline_s: float = 1e9,
    ) -> None:
        self.slots, self.latency_s, self.queue = slots, latency_s, queue
        self.chance = random.Random(seed)
        self.spread = spread
        self.batching = batching  # how much slower each call is for every other one under way
        self.window = Window(64, deadline_s)
        self.deadline_s = deadline_s
        self.now = 0.0
        self.answered = self.refused = self.late = 0
        self._events: list[tuple[float, int, Ticket, float, bool]] = []
        self._open: set[int] = set()
        self._serial = 0
        self._running = 0
        self._queued: list[tuple[Ticket, float]] = []

    def run(self, seconds: float) -> float:
        """Answers a second over the time, as a share of slots / latency."""
        end, before = self.now + seconds, self.answered
        while self.now < end:
            while self.window.free:
                self._send(self.window.take())
            self.now, _, ticket, sent, late = heapq.heappop(self._events)
            if ticket.serial not in self._open:
                continue
            self._open.discard(ticket.serial)
            waiting = (ticket, sent) in self._queued
            if waiting:
                self._queued.remove((ticket, sent))
            else:
                self._running -= 1
            if self._queued and self._running < self.slots:
                self._start(*self._queued.pop(0))
            if late:
                self.window.late(ticket, self.now)
                self.late += 1
            else:
                self.window.answered(ticket, self.now - sent, self.now)
                self.answered += 1
        return (self.answered - before) / seconds / (self.slots / self.latency_s)

    def _send(self, ticket: Ticket) -> None:
        if self._running >= self.slots and len(self._queued) >= self.queue:
            self.refused += 1
            self.window.busy(ticket, self.now)
            return
        self._open.add(ticket.serial)
        self._at(self.now + self.deadline_s, ticket, self.now, late=True)
        if self._running < self.slots:
            self._start(ticket, self.now)
        else:
            self._queued.append((ticket, self.now))

    def _start(self, ticket: Ticket, sent: float) -> None:
        factor = self.chance.lognormvariate(-(self.spread**2) / 2, self.spread) * (1 + self.batching * self._running)
        self._running += 1
        self._at(self.now + self.latency_s * factor, ticket, sent)

    def _at(self, when: float, ticket: Ticket, sent: float, late: bool = False) -> None:
        self._serial += 1
        heapq.heappush(self._events, (when, self._serial, ticket, sent, late))


SIZES = [(1, 0.2), (2, 1.0), (8, 0.05), (32, 0.1), (48, 2.0)]


@pytest.mark.parametrize(("slots", "latency_s"), SIZES)
@pytest.mark.parametrize("spread", [0.0, 0.4])
def test_it_keeps_every_slot_busy_and_queues_little(slots: int, latency_s: float, spread: float) -> None:
    shares = []
    for seed in range(5 if spread else 1):
        server = Served(slots, latency_s, spread=spread, seed=seed)
        server.run(40 * latency_s)
        shares.append(server.run(200 * latency_s))
        assert server.window.limit <= 2 * slots + 2
    assert statistics.median(shares) >= 0.95


def test_a_few_lucky_answers_do_not_end_the_search() -> None:
    for seed in range(40):
        server = Served(16, 0.1, spread=0.5, seed=seed)
        while server.window.phase == "seek":
            server.run(0.1)
        assert server.window.limit >= 8


@pytest.mark.parametrize("spread", [0.0, 0.2, 0.4])
@pytest.mark.parametrize("slots", [1, 2, 3, 5, 8, 11, 16, 20, 32, 48])
def test_the_search_costs_less_than_five_percent_of_the_first_120_latencies(slots: int, spread: float) -> None:
    servers = [Served(slots, 0.1, queue=2 * slots, spread=spread, seed=seed) for seed in range(9 if spread else 1)]
    assert statistics.median(server.run(12.0) for server in servers) >= 0.95
    assert sum(server.refused for server in servers) < 0.01 * sum(server.answered for server in servers)


def test_neither_search_nor_probe_makes_a_call_wait_past_its_deadline_where_one_takes_a_third_of_it() -> None:
    for slots in (1, 2, 3):
        server = Served(slots, 5.0, deadline_s=15.0)
        server.run(600.0)
        assert not server.late


@pytest.mark.parametrize("slots", [1, 2, 8])
@pytest.mark.parametrize("share", [0.55, 0.8])
def test_where_a_call_takes_more_than_half_its_deadline_the_search_ends_and_few_are_late(
    slots: int, share: float
) -> None:
    server = Served(slots, 60.0 * share, deadline_s=60.0)
    server.run(120 * server.latency_s)
    before = server.late, server.answered
    assert server.run(400 * server.latency_s) >= 0.85
    assert server.late - before[0] <= 0.02 * (server.answered - before[1])


def test_one_slow_document_in_a_hundred_does_not_take_the_window_from_a_server_that_keeps_up() -> None:
    shares = []
    for seed in range(5):
        server = Served(16, 24.0, spread=0.4, seed=seed, deadline_s=60.0)
        server.run(120 * server.latency_s)
        shares.append(server.run(400 * server.latency_s))
        assert 0 < server.late < 0.03 * server.answered
    assert statistics.median(shares) >= 0.75


def test_a_server_that_loses_its_slots_is_not_kept_at_calls_that_all_end_late() -> None:
    server = Served(16, 10.0, deadline_s=30.0)
    server.run(1200.0)
    server.slots, before = 2, server.late
    server.run(600.0)
    assert server.late - before <= 3 * 16
    late, answered = server.late, server.answered
    server.run(1200.0)
    assert server.late - late <= 0.02 * (server.answered - answered)
    assert server.window.limit <= 5


def test_a_server_of_one_slot_is_found_out_without_a_queue_of_ours_in_it() -> None:
    server = Served(1, 0.2)
    server.run(6.0)
    assert server.window.limit == 1
    assert server.window.phase == "hold"


@pytest.mark.parametrize(("slots", "latency_s"), SIZES)
def test_a_short_queue_is_met_by_fewer_than_one_refusal_in_a_hundred(slots: int, latency_s: float) -> None:
    server = Served(slots, latency_s, queue=max(1, slots // 4), spread=0.2)
    assert server.run(600 * latency_s) >= 0.9
    assert server.refused < 0.01 * server.answered + 8


def test_a_server_that_gets_more_slots_is_used_more_and_one_that_loses_them_less() -> None:
    server = Served(4, 0.1)
    server.run(20)
    server.slots = 16
    server.run(120)
    assert server.run(60) >= 0.9
    server.slots = 4
    server.run(120)
    assert server.window.limit <= 10


def test_a_batching_server_is_not_pushed_past_the_knee_of_its_curve() -> None:
    server = Served(64, 0.1, batching=0.5)  # twice the calls, twice the latency: nothing gained
    server.run(120)
    assert server.window.limit <= 16


def test_a_timeout_makes_it_smaller_once_for_all_calls_under_way() -> None:
    window = Window(64, limit=32)
    tickets = [window.take() for _ in range(32)]
    for ticket in tickets:
        window.late(ticket, 1.0)
    assert 8 <= window.limit < 32
    assert window.in_flight == 0


def test_a_slow_answer_on_an_unsaturated_window_teaches_nothing() -> None:
    window = Window(64, limit=32)
    for i in range(200):
        window.answered(window.take(), 30.0, float(i))
    assert window.limit == 32


ENDS = st.lists(st.tuples(st.sampled_from("tabld"), st.floats(0.001, 100.0)), max_size=300)


@given(ENDS, st.integers(1, 64))
def test_whatever_happens_it_stays_within_its_bounds_and_loses_no_ticket(
    ends: list[tuple[str, float]], most: int
) -> None:
    window = Window(most)
    out: list[Ticket] = []
    now = 0.0
    for what, value in ends:
        now += value
        if what == "t":
            if window.free:
                out.append(window.take())
        elif out:
            ticket = out.pop(0)
            if what == "a":
                window.answered(ticket, value, now)
            elif what == "b":
                window.busy(ticket, now)
            elif what == "l":
                window.late(ticket, now)
            else:
                window.drop(ticket)
        assert 1 <= window.limit <= most
        assert window.in_flight == len(out)


# the breaker


def test_it_opens_at_the_failure_that_completes_the_row_and_a_success_resets_the_row() -> None:
    breaker = Breaker(3, 15.0)
    assert not breaker.failed(0.0)
    breaker.succeeded()
    assert [breaker.failed(1.0) for _ in range(3)] == [False, False, True]
    assert not breaker.admits(1.0)
    assert breaker.opens_in(6.0) == 10.0


def test_half_open_lets_exactly_one_call_try_and_its_success_closes() -> None:
    breaker = Breaker(1, 15.0)
    breaker.failed(0.0)
    assert not breaker.admits(14.9)
    assert breaker.admits(15.0)
    assert breaker.take()
    assert breaker.state(15.0) == "half-open"
    assert not breaker.admits(15.0)
    breaker.succeeded()
    assert breaker.state(15.0) == "closed"
    assert not breaker.take()


def test_a_failed_probe_waits_longer_up_to_a_limit_and_one_cut_short_decides_nothing() -> None:
    breaker = Breaker(1, 10.0)
    breaker.failed(0.0)
    now, waits = 0.0, []
    for _ in range(5):
        now += breaker.opens_in(now)
        probe = breaker.take()
        breaker.failed(now, probe)
        waits.append(breaker.opens_in(now))
    assert waits == [20.0, 40.0, 40.0, 40.0, 40.0]
    assert LONGEST == 4
    now += breaker.opens_in(now)
    breaker.undecided(breaker.take())
    assert breaker.admits(now)
