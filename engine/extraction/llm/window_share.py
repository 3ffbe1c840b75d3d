"""A worker's part of a server's window: the engine sets its size, and it records how calls end so that the engine can
learn."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.extraction.llm.concurrency import Ticket, Window


@dataclass(slots=True)
class WindowShare(Window):
    """A window without places until the engine lends some."""

    _answers: list[tuple[float, float]] = field(default_factory=list)  # (seconds taken, when it was sent)
    _lates: int = 0
    _refusals: int = 0

    def __post_init__(self) -> None:
        self.limit = 0

    @property
    def load(self) -> float:
        return self.in_flight / max(1, self.limit)

    def answered(self, ticket: Ticket, seconds: float, now: float, at_size: bool = True) -> None:
        self.in_flight -= 1
        self.latency = seconds if not self.latency else self.latency + 0.1 * (seconds - self.latency)
        self._answers.append((seconds, now - seconds))

    def busy(self, ticket: Ticket, now: float) -> None:
        self.in_flight -= 1
        self._refusals += 1

    def late(self, ticket: Ticket, now: float) -> None:
        self.in_flight -= 1
        self._lates += 1

    def restart(self) -> None:
        """Nothing to do: the engine's window reacts to an outage."""

    def collect(self, now: float) -> tuple[list[tuple[float, float]], int, int]:
        """(seconds that each answer took and seconds since it was asked for, timeouts, refusals for lack of room) since
        the last call."""
        answers, self._answers = [(took, max(0.0, now - sent)) for took, sent in self._answers], []
        lates, self._lates = self._lates, 0
        refusals, self._refusals = self._refusals, 0
        return answers, lates, refusals
