"""Whether the store takes writes, as its writer's own writes show it."""

from __future__ import annotations

import time

STUCK_S = 20.0  # no single change takes this long
REFUSING_S = 2.0  # after refusing writes for this long, the store takes no new documents either
STALLED_S = 5.0  # nor after one change has been running this long


class WriteHealth:
    """The writer's thread notes what happens; any thread reads the properties. Times are monotonic seconds."""

    def __init__(self) -> None:
        self.why = ""  # why the last write was not taken, or not all of it; "" if it was
        self._refused_since: float | None = None  # when a batch was first refused
        self._began: float | None = None  # when the current write began
        self._took_s = 0.0  # the last write

    def begin(self) -> None:
        """A write begins."""
        self._began = time.monotonic()

    def end(self) -> None:
        """It has ended, well or not."""
        self._took_s, self._began = self._runs_s, None

    def refused_batch(self, why: str) -> None:
        """The store refused a batch, which waits."""
        self.why = why
        self._refused_since = self._refused_since or time.monotonic()

    def ended_batch(self, why: str = "") -> None:
        """No batch waits any more. `why`: what of the last one could not be written."""
        self.why, self._refused_since = why, None

    @property
    def _runs_s(self) -> float:
        """How long the current write has been running; 0 without one."""
        began = self._began
        return 0.0 if began is None else time.monotonic() - began

    @property
    def problem(self) -> str:
        """Why the store cannot take writes now, or "". A disk that hangs raises no error, and counts too."""
        waited = self._runs_s
        return self.why or (f"the store has not answered for {waited:.0f} s" if waited > STUCK_S else "")

    @property
    def slow(self) -> str:
        """That writes take so long that documents are refused, for the screen; "" while they do not. The last write
        counts until the next has ended, so that the sentence does not come and go between them."""
        took_s = max(self._took_s, self._runs_s)
        if took_s <= STALLED_S:
            return ""
        return (
            f"a write to the store takes {took_s:.0f} s (a slow disk, or a large restore); documents get 503 meanwhile"
        )

    @property
    def refusing(self) -> str:
        """Why a document given to the writer now would wait indefinitely, or ""."""
        since = self._refused_since
        if since is not None and time.monotonic() - since > REFUSING_S:
            return self.why or "the store refuses writes"
        return "the disk is not responding" if self._runs_s > STALLED_S else ""
