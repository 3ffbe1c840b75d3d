"""The circuit breaker of one server: after a run of failures it sends nothing for a while, then lets a single call
probe.

A run takes long to build up when each failure costs a whole deadline and calls go out one at a time; so after other
evidence of an outage (`doubt`) one failure is enough.

Pure: the caller supplies the time, in seconds on a monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["closed", "open", "half-open"]
LONGEST = 4  # a long outage keeps it open for at most this many times `open_s`


@dataclass(slots=True)
class Breaker:
    failures: int  # failures in a row until it opens
    open_s: float
    row: int = 0
    _until: float | None = None
    _times: int = 0
    _probing: bool = False
    _doubted: bool = False

    def state(self, now: float) -> State:
        if self._until is None:
            return "closed"
        return "half-open" if self._probing or now >= self._until else "open"

    def admits(self, now: float) -> bool:
        """Whether a call may go out now: any while closed, one while half-open."""
        return self._until is None or (now >= self._until and not self._probing)

    def opens_in(self, now: float) -> float:
        """Seconds until the next try; 0 when one may go now."""
        return 0.0 if self._until is None else max(0.0, self._until - now)

    def take(self) -> bool:
        """Count a call that goes out. True: it is the half-open probe, and no other call goes out until it has
        ended."""
        if self._until is None:
            return False
        self._probing = True
        return True

    def doubt(self) -> None:
        """Other evidence suggests an outage: the next failure opens the breaker, however few came before it."""
        self._doubted = True

    def succeeded(self) -> None:
        self.row = self._times = 0
        self._doubted = False
        self._until = None
        self._probing = False

    def failed(self, now: float, probe: bool = False) -> bool:
        """Count a failure of the service. True when this one opened the breaker."""
        self.row += 1
        if probe:
            self._probing = False
        if probe or (self._until is None and (self._doubted or self.row >= self.failures)):
            self._doubted = False
            self._until = now + self.open_s * min(LONGEST, 2**self._times)
            self._times += 1
            return True
        return False

    def shut(self, now: float, seconds: float) -> None:
        """Send nothing for this long, because the service asked for it."""
        self._until = max(self._until or 0.0, now + seconds)
        self._probing = self._doubted = False

    def undecided(self, probe: bool = False) -> None:
        """The call ended without evidence about the service. If it was the probe, the next call becomes the probe."""
        if probe:
            self._probing = False

    def try_now(self, now: float) -> None:
        """Other evidence shows that the service answers: the next call may be the probe."""
        if self._until is not None and not self._probing:
            self._until = min(self._until, now)
