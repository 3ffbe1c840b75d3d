"""How late a process's own loop runs. A starved engine or worker times out on a healthy LLM service: what it measured
while it was late says nothing about the service.

A beat sleeps BEAT_S and notes how much longer it took. Pure: the caller beats and gives the time, on the machine's
clock.
"""

from __future__ import annotations

from collections import deque

BEAT_S = 0.05
LEAST_S = 0.5  # less lateness than this changes no figure that a trigger judges
SHARE = 0.5  # of the time that a measurement took
KEPT_S = 120.0
SHOWN_S = 10.0


class LoopLag:
    """How late the event loop is. Without beats nothing counts as late: a process whose loop is not measured trusts
    what it sees."""

    def __init__(self) -> None:
        self._last: float | None = None
        self._late: deque[tuple[float, float]] = deque()  # (when a beat ended, how late it was)

    def beat(self, now: float) -> None:
        if self._last is not None and (late := now - self._last - BEAT_S) > BEAT_S / 5:
            self._late.append((now, late))
        self._last = now
        while self._late and now - self._late[0][0] > KEPT_S:
            self._late.popleft()

    def late_s(self, since: float, now: float) -> float:
        """Seconds by which the loop was late between the two, with what the present beat is late already."""
        if self._last is None:
            return 0.0
        total = max(0.0, now - max(self._last + BEAT_S, since))
        for ended, late in reversed(self._late):
            if ended <= since:
                break
            total += min(late, ended - since)
        return total

    def starved_over(self, took_s: float, now: float) -> bool:
        """Whether the loop was late for much of what ends now and took so long: a second is judged at least."""
        return self.starved(now - max(1.0, took_s), now)

    def starved(self, since: float, now: float) -> bool:
        """Whether a measurement between the two must be discarded as evidence."""
        late = self.late_s(since, now)
        return late >= LEAST_S and late >= SHARE * (now - since)

    def sentence(self, now: float) -> str:
        """What people have to know; "" while the loop keeps up."""
        if not self.starved(now - SHOWN_S, now):
            return ""
        late = self.late_s(now - SHOWN_S, now)
        return (
            f"the engine was late for {late:.1f} of the last {SHOWN_S:g} s (too little CPU, or stopped): what it "
            "measures then does not count"
        )
