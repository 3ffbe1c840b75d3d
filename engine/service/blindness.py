"""Whether the monitor sees LLM documents: how long none has ended, whether any was expected, and whether the engine
runs long enough at a time to judge them.

*Blind*: documents arrive and none is seen on the LLM arm; if it lasts, the rollout should step down. *No traffic*: none
arrive on either arm and the LLM service answers its probes; that is a quiet night.
"""

from __future__ import annotations

from typing import NamedTuple

from engine.clock import Clock, pace
from engine.text import counted
from engine.triggers.evidence import GAPS, silence

# Real seconds: in a time lapse hours pass while one document or answer is in flight, and that is not silence.
ON_ITS_WAY_S = 3.0
ANSWERING_S = 30.0


class Unseen(NamedTuple):
    """Why nothing is seen ("" while something is), for how many seconds, and whether the only cause is that no
    documents arrive."""

    why: str = ""
    since_s: float = 0.0
    idle: bool = False


class SilenceDetector:
    """Receives every document; queried at each evaluation."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen_at = clock.monotonic()
        self._calm_at = self._seen_at  # the last time with no reason to expect anything: that time is not blindness
        self._per_min = 0.0  # LLM documents per minute before the silence
        # since then: documents by frequency; documents of the LLM arm that left no trace there; of these, the ones that
        # failed while the engine was late
        self._others = self._missed = self._unjudged = 0

    def sees(self, per_min: float) -> None:
        """An LLM document has ended, or another percentage is in force: silence restarts, with `per_min` LLM documents
        expected."""
        self._seen_at, self._per_min = self._clock.monotonic(), per_min
        self._others = self._missed = self._unjudged = 0

    def passes(self, llm_arm: bool, unjudged: bool = False) -> None:
        """A document has ended without a trace on the LLM arm. `unjudged`: it failed while the engine was late."""
        self._unjudged += unjudged
        if llm_arm:
            self._missed += 1
        else:
            self._others += 1

    def unseen(self, problem: str, waiting: int, share: float = 1.0, answers: bool = False) -> Unseen:
        """`problem` is the store's own. `waiting` is the number of unfinished LLM calls: if there are any, documents do
        arrive and the service is silent. `share` of documents goes to the LLM; `answers`: its service answers
        probes."""
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
        if self._unjudged >= GAPS:
            return Unseen(f"engine late: {self._unjudged:,} failed LLM documents not judged", since_s)
        if waiting or not answers:
            return Unseen(why, since_s)
        if self._expected(share) >= GAPS:
            return Unseen(f"{why} while {come:,} arrived", since_s)
        self._calm_at = now
        few = f", {counted(come, 'document')} by frequency" if come else ""
        return Unseen(f"no LLM documents for {int(quiet)} s{few}", quiet, idle=True)

    def _expected(self, share: float) -> float:
        """LLM documents that should have been seen since the last one, judged by traffic on the other arm."""
        return self._missed + (self._others * share / (1 - share) if share < 1 else 0.0)


class Interruptions:
    """Stops of the engine that follow each other so closely that the triggers can judge nothing in between: what was
    measured before a stop does not count after it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.forget()

    def forget(self) -> None:
        """The triggers can judge again, or another percentage is in force."""
        self._first_at, self._stops = 0.0, 0

    def stopped(self) -> None:
        """The engine was stopped, and the triggers have judged nothing since the stop before."""
        if not self._stops:
            self._first_at = self._clock.monotonic()
        self._stops += 1

    def unseen(self) -> Unseen:
        """One stop is like a start: the triggers are insufficient for a while, not blind."""
        if self._stops < 2:
            return Unseen()
        why = f"engine stopped {self._stops} times, too few documents in between to judge"
        return Unseen(why, self._clock.monotonic() - self._first_at)
