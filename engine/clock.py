"""Time, injected everywhere: the rest of the engine never asks the operating system.

There are three readings, for three meanings of "time":

- ``now``: UTC epoch seconds, for records and people. It steps when someone sets the clock.
- ``monotonic``: seconds that only grow, for timers, windows and bake. It runs faster in a rehearsal.
- ``real``: the machine's seconds, never accelerated, for latency, deadlines and liveness.
"""

from __future__ import annotations

import sys
import time
from typing import Protocol

SWITCH_S = 0.001
URGENT_S = 0.0001

EARLIEST = 1_577_836_800.0  # 2020-01-01: what a clock without a battery falls back to is earlier
LATEST = 2_713_910_400.0  # 2056-01-01
STEP_S = 2.0  # NTP's own corrections are smaller
PROVEN_S = 60.0  # so long must a clock that was set back keep its new time


class Clock(Protocol):
    def now(self) -> float:
        """UTC epoch seconds."""

    def monotonic(self) -> float:
        """Seconds that only grow; origin undefined."""

    def real(self) -> float:
        """Unscaled monotonic seconds of the machine."""

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds` of ``monotonic``."""


def switch_threads_soon() -> None:
    """For a whole process: a thread gets the interpreter within 1 ms, not within Python's default 5. A rollback reaches
    the writer's thread, and a worker's lease, while a document is being read."""
    sys.setswitchinterval(SWITCH_S)


def switch_threads_at_once() -> None:
    """Within 0.1 ms, until `switch_threads_soon`. Recording a decision asks for the interpreter after each statement
    and each look at a file, so beside a busy loop it would wait many times 1 ms."""
    sys.setswitchinterval(URGENT_S)


def _machine() -> float:
    """Seconds since boot, including sleep, so that a lease also expires on a suspended machine."""
    return time.clock_gettime(_BOOT)


_BOOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class SystemClock:
    """The machine's time."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def real(self) -> float:
        return _machine()

    async def sleep(self, seconds: float) -> None:
        import asyncio  # not for the first frame of the console

        await asyncio.sleep(seconds)


class BelievedClock:
    """The wall clock of `clock` as far as it can be right: what the engine dates its records by.

    A clock that reads 1970 for a moment would make every record one of the future, to be moved back to 1970 for good.
    So a time outside `EARLIEST` to `LATEST` is not believed, and time goes on by the clock that counts from boot. A
    clock that is set forward is followed, and then back to where it was: records dated meanwhile are moved back by the
    same step. Set back further, the clock is believed after `PROVEN_S`.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset = EARLIEST - clock.real()  # of the believed time from the machine's
        self._earliest_offset: float | None = None  # None until the wall clock was believed
        self._back_since: tuple[float, float] | None = None  # the offset it was set back to, and when
        self.doubted: float | None = None  # what the wall clock reads while it is not believed
        self.now()

    def not_before(self, at: float) -> None:
        """Continue at `at`, the end of what is recorded: a wall clock that reads earlier was set back meanwhile."""
        if self.now() < min(at, LATEST) - STEP_S:
            self._offset = self._earliest_offset = min(at, LATEST) - self._clock.real()

    def now(self) -> float:
        wall, real = self._clock.now(), self._clock.real()
        offset = wall - real
        if EARLIEST <= wall <= LATEST and (self._is_known(offset) or self._is_proven(offset, real)):
            known = offset if self._earliest_offset is None else self._earliest_offset
            self._offset, self._earliest_offset = offset, min(known, offset)
            self.doubted = self._back_since = None
            return wall
        self.doubted = wall
        return real + self._offset

    def _is_known(self, offset: float) -> bool:
        return self._earliest_offset is None or offset >= min(self._earliest_offset, self._offset - STEP_S)

    def _is_proven(self, offset: float, real: float) -> bool:
        if self._back_since is None or abs(offset - self._back_since[0]) > STEP_S:
            self._back_since = (offset, real)
        return real - self._back_since[1] >= PROVEN_S

    def monotonic(self) -> float:
        return self._clock.monotonic()

    def real(self) -> float:
        return self._clock.real()

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)


class LapseClock:
    """A calendar that runs `speed` times faster than the machine; the speed may change while it runs."""

    def __init__(self, speed: float = 1.0) -> None:
        self._anchor_real = time.monotonic()
        self._anchor_lapsed = self._anchor_real
        self._epoch = time.time() - self._anchor_real
        self._speed = float(speed)

    @property
    def speed(self) -> float:
        return self._speed

    def set_speed(self, speed: float) -> None:
        """Change the speed from now on; time already passed is unchanged. ValueError unless speed > 0."""
        if not speed > 0:
            raise ValueError(f"a speed of {speed} does not move time forward; give a number above 0")
        self._anchor_lapsed = self.monotonic()
        self._anchor_real = time.monotonic()
        self._speed = float(speed)

    def not_before(self, at: float) -> None:
        """Continue no earlier than `at` (epoch seconds), where an earlier lapse ended."""
        self._epoch += max(0.0, at - self.now())

    def now(self) -> float:
        return self._epoch + self.monotonic()

    def monotonic(self) -> float:
        return self._anchor_lapsed + (time.monotonic() - self._anchor_real) * self._speed

    def real(self) -> float:
        return _machine()

    async def sleep(self, seconds: float) -> None:
        import asyncio  # not for the first frame of the console

        await asyncio.sleep(seconds / self._speed)


def pace(clock: Clock) -> float:
    """Calendar seconds per real second: 1, except in a time lapse."""
    return clock.speed if isinstance(clock, LapseClock) else 1.0
