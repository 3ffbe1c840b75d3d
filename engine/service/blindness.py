"""Whether the monitor sees anything: since when no LLM document has ended, and whether any was to be expected.

*Blind* is: documents come and none of them is seen on the LLM arm. *No traffic* is: none come, on either arm, and the LLM service
answers its probes. The first one wants a step down when it lasts; the second one is a quiet night.
"""

from __future__ import annotations

from typing import NamedTuple

from engine.clock import Clock, pace
from engine.text import counted
from engine.triggers.evidence import GAPS, silence

# Real seconds: in a time lapse hours pass while one document, or one answer, is on its way, and that is no silence.
ON_ITS_WAY_S = 3.0
ANSWERING_S = 30.0


class Unseen(NamedTuple):
    """Why nothing is seen ("" while something is), for how many seconds, and whether that is only because no document comes."""

    why: str = ""
    since_s: float = 0.0
    idle: bool = False


class Sight:
    """Hears of every document; asked at each evaluation."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen_at = clock.monotonic()
        self._calm_at = self._seen_at  # when there was last no reason to see anything: that time is not blindness
        self._per_min = 0.0  # LLM documents, as they came before the silence
        self._others = self._missed = (
            0  # since then: documents by frequency; documents of the LLM arm without a trace there
        )

    def sees(self, per_min: float) -> None:
        """An LLM document has ended, or another percentage is in force: silence starts again, where `per_min` LLM documents are to be
        expected."""
        self._seen_at, self._per_min = self._clock.monotonic(), per_min
        self._others = self._missed = 0

    def passes(self, llm_arm: bool) -> None:
        """A document has ended of which the LLM arm shows nothing."""
        if llm_arm:
            self._missed += 1
        else:
            self._others += 1

    def unseen(self, problem: str, waiting: int, share: float = 1.0, answers: bool = False) -> Unseen:
        """`problem` is the store's own. `waiting` are LLM calls that have not ended: then documents do come, and the service is
        silent. `share` of documents goes to the LLM; `answers`: its service answers probes.
        """
        if problem:
            return Unseen(problem)
        now = self._clock.monotonic()
        since_s = now - max(self._seen_at, self._calm_at)
        quiet = since_s if waiting else now - self._seen_at
        if quiet < (ANSWERING_S if waiting else ON_ITS_WAY_S) * pace(self._clock):
            return Unseen()
        why = silence(quiet, self._per_min, waiting)
        if not why:
            return Unseen()
        come = self._others + self._missed
        if waiting or not answers:
            return Unseen(why, since_s)
        if self._expected(share) >= GAPS:
            return Unseen(f"{why}, while {counted(come, 'document')} came", since_s)
        self._calm_at = now
        few = f", {counted(come, 'document')} by frequency" if come else ""
        return Unseen(f"no LLM documents for {int(quiet)} s{few}", quiet, idle=True)

    def _expected(self, share: float) -> float:
        """LLM documents that should have been seen since the last one, by what came on the other arm."""
        return self._missed + (self._others * share / (1 - share) if share < 1 else 0.0)
