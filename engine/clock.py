"""Time, injected everywhere: the engine never asks the operating system itself.

Three readings, because three things are meant by "time":

- ``now``: UTC epoch seconds, for records and people. May step when someone sets the clock.
- ``monotonic``: seconds that only grow, for timers, windows and bake time. In a rehearsal it runs faster.
- ``real``: seconds of the machine, never sped up, for latency, deadlines and liveness: a network does not hurry.
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    def now(self) -> float:
        """UTC epoch seconds."""

    def monotonic(self) -> float:
        """Seconds that only grow; origin undefined."""

    def real(self) -> float:
        """Unscaled monotonic seconds of the machine."""

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds` of ``monotonic``."""


def _machine() -> float:
    """Seconds since boot, sleep included, so that a lease expires on a suspended machine too."""
    return time.clock_gettime(_BOOT)


_BOOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class SystemClock:
    """The machine's own time."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def real(self) -> float:
        return _machine()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


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
        """Change the speed from here on; time already passed stays as it was. ValueError unless speed > 0."""
        if not speed > 0:
            raise ValueError(f"a time lapse of {speed} does not move forward; give a number above 0")
        self._anchor_lapsed = self.monotonic()
        self._anchor_real = time.monotonic()
        self._speed = float(speed)

    def not_before(self, at: float) -> None:
        """Go on at `at` (epoch seconds) at the earliest: where an earlier lapse ended."""
        self._epoch += max(0.0, at - self.now())

    def now(self) -> float:
        return self._epoch + self.monotonic()

    def monotonic(self) -> float:
        return self._anchor_lapsed + (time.monotonic() - self._anchor_real) * self._speed

    def real(self) -> float:
        return _machine()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self._speed)


class ManualClock:
    """Time that moves only when told: for tests, simulations and backtests."""

    def __init__(self, epoch: float = 1_800_000_000.0) -> None:
        self._epoch = epoch
        self._elapsed = 0.0
        self._asleep = 0.0

    def advance(self, seconds: float) -> None:
        self._elapsed += seconds

    def suspend(self, seconds: float) -> None:
        """The machine sleeps: the wall clock and the machine's own time go on, what timers run by stands still."""
        self._asleep += seconds

    def step_wall(self, seconds: float) -> None:
        """Set the wall clock forward or back, as a person or NTP does; the monotonic readings do not move."""
        self._epoch += seconds

    def now(self) -> float:
        return self._epoch + self._elapsed + self._asleep

    def monotonic(self) -> float:
        return self._elapsed

    def real(self) -> float:
        return self._elapsed + self._asleep

    async def sleep(self, seconds: float) -> None:
        self._elapsed += seconds
        await asyncio.sleep(0)


def pace(clock: Clock) -> float:
    """Calendar seconds a second: 1, except in a time lapse."""
    return clock.speed if isinstance(clock, LapseClock) else 1.0
