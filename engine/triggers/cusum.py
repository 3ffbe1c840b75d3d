"""Bernoulli CUSUM: counts evidence, document by document, that an error rate went from `healthy` to `bad`.

Each failure adds ln(bad / healthy), each success ln((1 - bad) / (1 - healthy)), which is negative; the sum never falls below
zero and is capped two above its threshold, so that it forgets an outage as soon as successes outweigh it. False alarms grow
with the number of documents, so the threshold grows with traffic: ln(LLM documents a week) less a constant that was
fitted by simulation (tests/bench/bench_triggers.py) to about 0.1 false alarms a week at a true 0.8 %.
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
    """What a CUSUM is tuned to tell apart."""

    healthy: float
    bad: float


CREEP = Design(0.01, 0.06)


class Detectors(NamedTuple):
    """The designs that a rule listens to; None: not this one."""

    early: Design | None = None  # far above the threshold: acts long before the window does
    few: Design | None = None  # where the window holds too few documents, and what convinces where it holds enough
    proof: Design | None = None  # the window alone does not convince


@lru_cache(maxsize=256)
def detectors(rule: Trigger) -> Detectors:
    """Early is tuned around the threshold (5 %: 3 -> 8 %) and so ignores what is bad but allowed; the other two tell the
    plan's target from trouble (1 -> 6 % for both 5 % and 3 %).

    Critical rules act on their window, and a little evidence. The lower ones stand so near to the target that the window convinces of
    nothing: at a healthy 0.8 %, 3 of the last 100 fail ten times a week.
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
    """For a design around the threshold itself: within 4 .. 10."""
    return min(10.0, max(4.0, _log_week(per_min) - 4.3))


def target_threshold(per_min: float) -> float:
    """For a design from the target to trouble: within 4 .. 12."""
    return min(12.0, max(4.0, _log_week(per_min) - 2.7))


def proof_threshold(per_min: float) -> float:
    """The same for rules that have no other guard."""
    return min(12.0, max(4.0, _log_week(per_min) - 2.0))


def _log_week(per_min: float) -> float:
    return math.log(max(1.0, per_min * WEEK_MIN))


def is_around(design: Design) -> bool:
    """Whether a design is tuned around its threshold rather than from the target."""
    return design.bad < 4 * design.healthy


class Level(Struct, frozen=True):
    """A CUSUM at a moment. `n` documents with `k` failures have come since it last stood at zero: its own window."""

    value: float
    n: int
    k: int
    span_s: float


class Cusum:
    """The running statistic of one design."""

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
