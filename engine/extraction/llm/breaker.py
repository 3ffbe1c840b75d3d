"""The circuit breaker of one server: after a run of failures nothing is sent for a while, then one call tries.

A run is long where each failure costs a whole deadline and there is one call at a time; there a doubt that proved right is enough.

Pure: the caller says what time it is, in seconds on a clock that only grows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["closed", "open", "half-open"]
LONGEST = 4  # an outage that lasts opens it for at most this many times `open_s`


@dataclass(slots=True)
class Breaker:
    failures: int  # in a row, until it opens
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
        """Whether a call may go out now: any while closed, one when half-open."""
        return self._until is None or (now >= self._until and not self._probing)

    def opens_in(self, now: float) -> float:
        """Seconds until the next try; 0 when one may go now."""
        return 0.0 if self._until is None else max(0.0, self._until - now)

    def take(self) -> bool:
        """A call goes out. True: it is the half-open probe, and no other goes until it ended."""
        if self._until is None:
            return False
        self._probing = True
        return True

    def doubt(self) -> None:
        """There is other evidence that the service is gone: the next failure takes it out, however few there were."""
        self._doubted = True

    def succeeded(self) -> None:
        self.row = self._times = 0
        self._doubted = False
        self._until = None
        self._probing = False

    def failed(self, now: float, probe: bool = False) -> bool:
        """Count a failure of the service. True when this one took the server out."""
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
        """Nothing goes out for this long: the service said so itself."""
        self._until = max(self._until or 0.0, now + seconds)
        self._probing = self._doubted = False

    def undecided(self, probe: bool = False) -> None:
        """The call ended without a word about the service: if it was the probe, the next call is."""
        if probe:
            self._probing = False

    def try_now(self, now: float) -> None:
        """Something else saw the service answer: the next call may be the probe."""
        if self._until is not None and not self._probing:
            self._until = min(self._until, now)
