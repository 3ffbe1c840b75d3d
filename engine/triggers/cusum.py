"""Bernoulli CUSUM: accumulates evidence, document by document, that an error rate rose from `healthy` to `bad`.

Each failure adds ln(bad / healthy); each success adds ln((1 - bad) / (1 - healthy)), which is negative. The sum is kept
between zero and its threshold + 2, so it forgets an outage as soon as successes outweigh it. More documents mean more
false alarms, so the threshold grows with traffic: ln(LLM documents a week) minus a constant, fitted by simulation
(tests/bench/bench_triggers.py) to about 0.1 false alarms a week at a true 0.8 %.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

from msgspec import Struct

from engine.plan.model import Trigger

CAP = 2.0
WEEK_MIN = 7 * 24 * 60.0


class Design(NamedTuple):
    """The two error rates a CUSUM distinguishes."""

    healthy: float
    bad: float


CREEP = Design(0.01, 0.06)


class Detectors(NamedTuple):
    """The CUSUM designs a rule uses; None: does not use it."""

    early: Design | None = None  # catches a rate far above the threshold, long before the window does
    few: Design | None = None  # judges a window with too few documents, and confirms one with enough
    proof: Design | None = None  # confirms the window, which alone is not enough


@lru_cache(maxsize=256)
def detectors(rule: Trigger) -> Detectors:
    """`early` is tuned around the threshold (5 %: 3 -> 8 %), so it ignores rates that are bad but allowed. The other
    two separate the plan's target from trouble (1 -> 6 % for both 5 % and 3 %).

    Critical rules act on their window plus a little evidence. The thresholds of the others are so close to the target
    that the window proves nothing: at a healthy 0.8 %, 3 of the last 100 documents fail ten times a week.
    """
    if rule.metric == "error_creep":
        return Detectors(early=CREEP)
    if rule.metric != "error_rate" or rule.above is None or not 0 < rule.above < 0.5:
        return Detectors()
    if rule.severity == "critical":
        return Detectors(early=_around(rule.above, 0.6, 1.6), few=_around(rule.above, 0.2, 1.2))
    return Detectors(proof=_around(rule.above, 1 / 3, 2.0))


def _around(threshold: float, healthy: float, bad: float) -> Design:
    return Design(round(threshold * healthy, 6), round(min(0.95, threshold * bad), 6))


def early_threshold(per_min: float) -> float:
    """Threshold for a design around the rule's threshold: 4 to 10."""
    return min(10.0, max(4.0, _log_week(per_min) - 4.3))


def target_threshold(per_min: float) -> float:
    """Threshold for a design from the target to trouble: 4 to 12."""
    return min(12.0, max(4.0, _log_week(per_min) - 2.7))


def proof_threshold(per_min: float) -> float:
    """Threshold for rules that have no other guard: 4 to 12."""
    return min(12.0, max(4.0, _log_week(per_min) - 2.0))


def _log_week(per_min: float) -> float:
    return math.log(max(1.0, per_min * WEEK_MIN))


def is_around(design: Design) -> bool:
    """Whether a design is tuned around the rule's threshold, not from the target."""
    return design.bad < 4 * design.healthy


class Level(Struct, frozen=True):
    """A CUSUM at one moment. Its window is everything since it was last zero: `n` documents, `k` of them failures."""

    value: float
    n: int
    k: int
    span_s: float


class Cusum:
    """The running sum of one design."""

    __slots__ = ("_clean", "_failure", "k", "n", "since", "value")

    def __init__(self, design: Design) -> None:
        self._failure = math.log(design.bad / design.healthy)
        self._clean = math.log((1 - design.bad) / (1 - design.healthy))
        self.reset()

    def reset(self) -> None:
        self.value, self.n, self.k, self.since = 0.0, 0, 0, 0.0

    def add(self, t: float, ok: bool, cap: float) -> None:
        value = self.value + (self._clean if ok else self._failure)
        if value <= 0:
            self.value, self.n, self.k = 0.0, 0, 0
            return
        if not self.n:
            self.since = t
        self.value = value if value < cap else cap
        self.n += 1
        self.k += not ok

    def level(self, t: float) -> Level:
        return Level(self.value, self.n, self.k, max(0.0, t - self.since) if self.n else 0.0)
