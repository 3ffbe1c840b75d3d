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
