"""A worker's part of a server's window: the engine sets its size, and learns from how calls end."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.extraction.llm.concurrency import Ticket, Window


@dataclass(slots=True)
class LentWindow(Window):
    """No place until one is lent."""

    _answers: list[float] = field(default_factory=list)
    _lates: int = 0
    _refusals: int = 0

    def __post_init__(self) -> None:
        self.limit = 0

    @property
    def load(self) -> float:
        return self.in_flight / max(1, self.limit)

    def answered(self, ticket: Ticket, seconds: float, now: float) -> None:
        self.in_flight -= 1
        self.latency = seconds if not self.latency else self.latency + 0.1 * (seconds - self.latency)
        self._answers.append(seconds)

    def busy(self, ticket: Ticket, now: float) -> None:
        self.in_flight -= 1
        self._refusals += 1

    def late(self, ticket: Ticket, now: float) -> None:
        self.in_flight -= 1
        self._lates += 1

    def restart(self) -> None:
        """The engine's window knows what to do."""

    def collect(self) -> tuple[list[float], int, int]:
        """(seconds of each answer, timeouts, refusals for want of room) since the last time."""
        answers, self._answers = self._answers, []
        lates, self._lates = self._lates, 0
        refusals, self._refusals = self._refusals, 0
        return answers, lates, refusals
