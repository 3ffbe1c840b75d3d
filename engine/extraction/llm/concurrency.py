"""How many calls one server gets at a time: measured, because no server reports its capacity.

The window holds the measured throughput by Little's law, X = calls in flight / mean latency, at two sizes and moves to
the larger only while that pays. First it grows while X does, threefold while nothing waits in the server (seek), then
settles at X times the unqueued latency, plus an eighth and the uncertainty of both, so that a slot never waits for the
client. A search that hits the server's size before it knows the latency of an unqueued call goes down to measure that,
then searches again. From there it makes small probes up and down, ever rarer. This needs no notion of a "normal"
latency, so answers of very different length do not shrink the window, and a batching server settles at the knee of its
curve. 503 and timeouts halve it, once for all calls in flight; after a 503 it climbs back to what was accepted and
tries more only after 200 answers. It does the same after a timeout at a trial size, where calls take long. Latency on
an unsaturated window is uninformative and ignored.

Pure: no clock, no waiting. The caller takes a ticket before a send and returns it with the outcome.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Literal

Phase = Literal["seek", "climb", "hold", "up", "down"]
START = 2
ALIKE = 0.15  # relative error of the first answers; above it the server queued some of them, or its latency is uneven
# share of the expected throughput that counts as growth; the first round at a new size looks like 2/3 even where
# nothing was gained
SEEK_GROWS = 0.72
SEEK_PAYS = 0.65
# times one call's latency: below it nothing waits in the server, so the first answers at a new size are enough
SEEK_FLAT = 1.15
# times one call's latency: below it the server has room for three times as many calls, its queue included
SEEK_TRIPLES = 1.08
PATIENCE = 0.6  # share of the deadline that a mean latency may reach: some calls take longer
SEEK_DOUBT = 0.08  # relative error of one call's latency, above which the search does not end
SEEK_LEAST = 8
SEEK_MOST = 100
PROBE_FIRST_S = 5.0
PROBE_MOST_S = 120.0
SMALL = 3
SLOWER = 1.6  # times the latency when the size was last examined: above it, examine it again, downwards first
AFTER_BUSY = 200  # answers before a size that was refused is tried again
SELDOM_LATE = 50  # one timeout among this many answers is not evidence about the size


@dataclass(slots=True)
class Ticket:
    serial: int
    epoch: int


@dataclass(slots=True)
class _Sample:
    """Mean and spread of latencies; old samples fade."""

    n: float = 0.0
    total: float = 0.0
    squares: float = 0.0

    def add(self, value: float) -> None:
        if self.n >= 256:
            self.n, self.total, self.squares = self.n / 2, self.total / 2, self.squares / 2
        self.n += 1
        self.total += value
        self.squares += value * value

    def include(self, other: _Sample) -> None:
        self.n += other.n
        self.total += other.total
        self.squares += other.squares

    @property
    def mean(self) -> float:
        return self.total / self.n if self.n else 0.0

    @property
    def relative_error(self) -> float:
        if self.n < 2 or self.mean <= 0:
            return math.inf
        variance = max(0.0, self.squares / self.n - self.mean**2) * self.n / (self.n - 1)
        return math.sqrt(variance / self.n) / self.mean


@dataclass(frozen=True, slots=True)
class _Held:
    limit: int
    mean: float
    error: float


@dataclass(slots=True)
class Window:
    """`most`: the limit the window never passes. `deadline_s`: how long a call may take. All times in seconds on one
    monotonic clock."""

    most: int
    deadline_s: float = math.inf
    limit: int = START
    in_flight: int = 0
    phase: Phase = "seek"
    latency: float = 0.0  # smoothed; used to choose between servers, and shown on the screen
    _serial: int = 0
    _epoch: int = 0
    _cut_at: int = 0  # serial of the newest ticket in flight when the window was last halved
    _sample: _Sample = field(default_factory=_Sample)
    _settling: int = 0  # answers of this epoch that are still ignored
    # seek: calls that go out at once when the size grows; earlier ones were sent at the smaller size
    _batch: int = 1
    _unqueued: _Sample = field(default_factory=_Sample)  # seek: latency at all sizes for which the server had slots
    _second_look: bool = False
    _full: int = 0  # seek: the smallest size at which calls waited in the server; 0 = none yet
    _held: _Held = field(default_factory=lambda: _Held(0, 0.0, 0.0))  # what was known before the last probe
    _cycle: deque[str] = field(default_factory=lambda: deque(("far", "down", "far", "near")))
    _probe_at: float = 0.0
    _probe_every: float = PROBE_FIRST_S
    _ceiling: int = 0  # the size that the server accepted, as its last 503 or timeout showed; 0 = unknown
    _target: int = 0  # climb: the size to reach
    _since_busy: int = 0
    _in_time: int = 0  # answers, less SELDOM_LATE for each timeout

    def __post_init__(self) -> None:
        self.limit = min(self.limit, self.most)

    @property
    def free(self) -> bool:
        return self.in_flight < self.limit

    @property
    def load(self) -> float:
        return self.in_flight / self.limit

    def take(self) -> Ticket:
        self.in_flight += 1
        self._serial += 1
        return Ticket(self._serial, self._epoch)

    def drop(self, ticket: Ticket) -> None:
        """The call ended without evidence about capacity."""
        self.in_flight -= 1

    def answered(self, ticket: Ticket, seconds: float, now: float, at_size: bool = True) -> None:
        """`at_size`: whether all places of the present size were in use when the call was sent. The latency of another
        call is not evidence about it."""
        full = self.in_flight >= self.limit - self.limit // 8
        self.in_flight -= 1
        self._since_busy += 1
        self._in_time = min(3 * SELDOM_LATE, self._in_time + 1)
        self.latency = seconds if not self.latency else self.latency + 0.1 * (seconds - self.latency)
        if ticket.epoch != self._epoch or not (full and at_size):
            return
        if self._settling > 0:
            self._settling -= 1
            return
        self._sample.add(max(seconds, 1e-6))
        if self._enough(now):
            self._conclude(now)

    def busy(self, ticket: Ticket, now: float) -> None:
        """A 503: the server's queue is full."""
        self.in_flight -= 1
        accepted = max(1, self.in_flight)
        if ticket.serial <= self._cut_at:  # part of the same burst
            self._ceiling = max(1, min(self._ceiling or accepted, accepted))
            self._target = min(self._target, self._ceiling)
            return
        self._since_busy = 0
        self._ceiling = accepted
        self._cut(min(accepted, self._held.limit) if self.phase == "up" else accepted, now)

    def late(self, ticket: Ticket, now: float) -> None:
        """A timeout. One among many answers is a slow document; where single calls take long, a size on trial is too
        large."""
        self.in_flight -= 1
        seldom, self._in_time = self._in_time >= SELDOM_LATE, max(0, self._in_time - SELDOM_LATE)
        if ticket.serial <= self._cut_at:
            return
        fewer = max(1, self.limit * 3 // 4)
        if self.phase in ("seek", "up") and self.limit > 1 and 2 * self.latency > PATIENCE * self.deadline_s:
            fewer = self._ceiling = self._held.limit if self.phase == "up" else self.limit // 2
            self._since_busy = 0
        elif seldom and self.phase != "seek":
            fewer = self.limit
        self._cut(fewer, now)

    def restart(self) -> None:
        """The server was away: discard earlier measurements."""
        self._unqueued = _Sample()
        self._full = 0
        self._ceiling = 0
        self._cut_at = self._serial
        self._probe_every = PROBE_FIRST_S
        self._move(1, "seek")

    def _cut(self, target: int, now: float) -> None:
        self._cut_at = self._serial
        self._target = target
        self._probe_every = PROBE_FIRST_S
        self._move(self.limit // 2, "seek" if self.phase == "seek" else "climb")

    def _move(self, limit: int, phase: Phase, settling: int = 0) -> None:
        self._epoch += 1
        self._sample = _Sample()
        self._settling = settling
        self._second_look = False
        self.limit = max(1, min(limit, self.most))
        self.phase = phase
        self._batch = max(1, self.limit - self.in_flight)

    def _enough(self, now: float) -> bool:
        """Whether the sample answers this phase's question; a smaller step needs a larger sample."""
        n, error = self._sample.n, self._sample.relative_error
        if self.phase == "climb":
            return n >= self.limit
        if self.phase == "seek":
            if not self._unqueued.n:  # a step of two or three is small
                return n >= self.limit
            wanted, most = (0.1, 48) if self._second_look else (0.15, 16)
            flat = not self._second_look and self._sample.mean <= SEEK_FLAT * self._unqueued.mean
            return n >= max(2, self._batch if flat else self.limit) and (
                error <= wanted or n >= max(most, 2 * self.limit)
            )
        if self.phase == "hold":
            soon = now >= self._probe_at or self._slowed()
            wanted = abs(self._step() / self.limit - 1) / 6
            return soon and n >= max(8, self.limit) and (error <= max(wanted, 0.02) or n >= 200)
        wanted = abs(self.limit / self._held.limit - 1) / 6
        return n >= max(8, self.limit) and (error <= max(wanted, 0.02) or n >= 200)

    def _slowed(self) -> bool:
        """Whether the server answers much slower than when this size was chosen: it may have less capacity now."""
        return self._held.limit == self.limit and self.latency > SLOWER * self._held.mean > 0

    def _conclude(self, now: float) -> None:
        if self.phase == "climb":
            if self.limit >= self._target:
                self._hold(self._target, now)
            else:
                self._move(min(self.limit * 2, self._target), "climb")
        elif self.phase == "seek":
            self._sought(now)
        elif self.phase == "hold":
            self._probe(now)
        else:
            self._judge(now)

    def _sought(self, now: float) -> None:
        """Decide the next step of the search, now that one size of it is measured.

        Below the server's own size a call's latency does not depend on the window, so the samples of all those sizes
        together (`_unqueued`) predict the throughput.
        """
        mean, known = self._sample.mean, self._unqueued
        if not known.n and self.limit > 1 and self._sample.relative_error > ALIKE:
            self._move(1, "seek")
            return
        share = known.mean / mean if known.n and self.limit > 1 else 1.0
        if share < SEEK_GROWS and not self._second_look:
            self._sample = _Sample()
            self._second_look = True
            return
        if share >= SEEK_GROWS:
            known.include(self._sample)
        if share >= SEEK_PAYS and not self._full:
            fits = self._fits()
            flat = share * SEEK_TRIPLES >= 1
            if not flat and fits < 2:
                self._hold(self.limit, now)
            else:
                self._grow(3 if flat and fits >= 3 and self.limit > 1 else 2, now)
            return
        if share < (SEEK_GROWS if self._full else SEEK_PAYS):
            self._full = self.limit
            if self._unsure(self.limit) and self.limit > 1:
                self._move(self.limit // 2, "seek")
                return
        if self._unsure(self._full):
            self._sample = _Sample()  # keep measuring this size
            return
        if self.limit < self._full:  # one call's latency is known now: search again, from a size at which no slot idles
            wanted, self._full = min(self._cap, self._full), 0
            self._move(wanted, "seek")
            return
        slots = max(1, round(self.limit / mean * known.mean))
        spare = 0.125 + 2 * known.relative_error  # one slot too many waits in the server, one too few idles
        self._hold(min(self._cap, slots + (math.ceil(slots * spare) if slots > 2 else 0)), now)

    @property
    def _cap(self) -> int:
        return min(self.most, self._ceiling or self.most)

    def _fits(self) -> float:
        """How many times as many calls would still end within their deadline if the server ran none of the extra ones
        in parallel."""
        return PATIENCE * self.deadline_s / self._sample.mean if self._sample.n else math.inf

    def _grow(self, factor: int, now: float) -> None:
        if self.limit < self._cap:
            self._move(min(self.limit * factor, self._cap), "seek")
        else:
            self._hold(self.limit, now)

    def _unsure(self, size: int) -> bool:
        """Whether one call's latency is not yet known to half a slot of this size, or to `SEEK_DOUBT`."""
        n = self._unqueued.n
        doubt = max(SEEK_DOUBT, 0.5 / size)
        return n < min(SEEK_LEAST, 2 * size) or (self._unqueued.relative_error > doubt and n < SEEK_MOST)

    def _hold(self, limit: int, now: float, wait: bool = True) -> None:
        self._probe_at = now + self._probe_every if wait else now
        self._move(limit, "hold", settling=limit)

    def _step(self) -> int:
        """The size of the next probe."""
        slower = self._slowed()
        kind = "down" if slower else self._cycle[0]
        if kind == "down" and self.limit <= SMALL and not slower:
            return self.limit  # one slot fewer costs more than a probe could save
        if kind == "down":
            return max(1, self.limit - max(1, round(self.limit / (4 if slower else 8))))
        far = self.limit if self.limit <= 8 else self.limit // 2
        fits = (self._fits() - 1) * self.limit
        step = max(1, int(min(fits, far if kind == "far" else round(self.limit / 8))))
        if self._ceiling and self.limit + step > self._ceiling:
            step = 1 if self._since_busy >= AFTER_BUSY else max(0, self._ceiling - self.limit)
        return min(self.limit + step, self.most)

    def _probe(self, now: float) -> None:
        wanted = self._step()
        self._held = _Held(self.limit, self._sample.mean, self._sample.relative_error)
        if wanted == self.limit:
            self._cycle.rotate(-1)
            self._probe_at = now + self._probe_every
            return
        self._move(wanted, "up" if wanted > self.limit else "down", settling=wanted)

    def _judge(self, now: float) -> None:
        held = self._held
        here = self._sample.mean
        ratio = (self.limit / here) / (held.limit / held.mean)
        doubt = ratio * math.hypot(held.error, self._sample.relative_error)
        step = self.limit / held.limit - 1
        pays = ratio - 1 - doubt / 2 >= 0.5 * step if step > 0 else 1 - ratio + doubt <= 0.15 * -step
        if pays:
            if self.limit > self._ceiling:
                self._ceiling = 0
            while step > 0 and self._cycle[0] != "far":
                self._cycle.rotate(-1)
            self._probe_every = PROBE_FIRST_S
            self._hold(self.limit, now, wait=False)
        else:
            self._cycle.rotate(-1)
            self._probe_every = min(PROBE_MOST_S, self._probe_every * 1.5)
            self._hold(held.limit, now)
