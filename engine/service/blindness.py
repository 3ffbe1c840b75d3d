"""Whether the monitor sees anything: since when no LLM document has ended, and what stands in the way."""

from __future__ import annotations

from engine.clock import Clock, pace
from engine.triggers.evidence import silence

# Real seconds: in a time lapse hours pass while one document, or one answer, is on its way, and that is no silence.
ON_ITS_WAY_S = 3.0
ANSWERING_S = 30.0


class Sight:
    """Told of every look-up; asked at each evaluation."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen_at = clock.monotonic()
        self._per_min = 0.0  # LLM documents, as they came before the silence

    def sees(self, per_min: float) -> None:
        """A document has ended, or another percentage is in force: silence begins anew, where `per_min` LLM documents are to be expected."""
        self._seen_at, self._per_min = self._clock.monotonic(), per_min

    def unseen(self, problem: str, waiting: int) -> tuple[str, float]:
        """Why nothing is seen and for how many seconds already; ("", 0) while something is.

        `problem` is the store's own; `waiting` are LLM calls that have not ended: then documents do come, and it is the service that
        says nothing.
        """
        if problem:
            return problem, 0.0
        quiet = self._clock.monotonic() - self._seen_at
        if quiet < (ANSWERING_S if waiting else ON_ITS_WAY_S) * pace(self._clock):
            return "", 0.0
        why = silence(quiet, self._per_min, waiting)
        return why, quiet if why else 0.0
