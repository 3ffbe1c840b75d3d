"""A clock that a test moves."""

from __future__ import annotations

import asyncio


class ManualClock:
    """Time that moves only on request."""

    def __init__(self, epoch: float = 1_800_000_000.0) -> None:
        self._epoch = epoch
        self._elapsed = 0.0
        self._asleep = 0.0

    def advance(self, seconds: float) -> None:
        self._elapsed += seconds

    def suspend(self, seconds: float) -> None:
        """The machine sleeps: wall clock and machine time advance, the timers' clock does not."""
        self._asleep += seconds

    def step_wall(self, seconds: float) -> None:
        """Set the wall clock forward or back, like a person or NTP; the monotonic readings are unaffected."""
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
