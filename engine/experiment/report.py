"""The result of the analysis, ready for the screen and for ab_test_results.json. Unknown numbers are null."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from engine.experiment.effects import Interval
from engine.experiment.formatting import Unit
from engine.experiment.srm import SampleRatio

Signal = Literal["better", "worse", "different", "none", "unknown"]
Word = Literal["ship", "short of target", "no difference", "worse", "not yet", "void"]


class Side(Struct, frozen=True):
    """One arm of one metric; `sd` for continuous metrics, `k` for rates: of `n`, or of `asked` where a document has
    many."""

    n: int
    mean: float | None
    sd: float | None = None
    k: int | None = None
    asked: int | None = None


class FixedReading(Struct, frozen=True):
    """The test read once, at the declared end. `plan_p` is the plan's test to the letter (`fixed.plan_p`)."""

    at: float
    test: str
    statistic: float
    p: float
    plan_p: float | None
    exact_p: float | None
    warning: str
    difference: Interval | None
    uplift: Interval | None
    effect: Interval | None  # Cohen's d, or h for rates

    @property
    def judged_p(self) -> float:
        return self.p if self.exact_p is None else self.exact_p


class GuardrailReading(Struct, frozen=True):
    """`held`: surely inside the limit; `broken`: surely outside; `open`: cannot tell yet. `bound` is what `held` is
    judged by.

    `at_end`: the fixed bounds were read at the declared end; what was still open then is followed by any-time bounds.
    """

    state: Literal["held", "broken", "open", "unknown"]
    limit: float
    value: float | None
    bound: float | None
    sentence: str
    at_end: bool = False


class MetricReport(Struct, frozen=True):
    """One metric. `difference`, `uplift` and `p` hold at any look; `adjusted_p` is corrected for the number of
    metrics."""

    name: str
    label: str
    unit: Unit
    role: str
    better: str
    control: Side
    treatment: Side
    difference: Interval | None
    uplift: Interval | None
    p: float | None
    adjusted_p: float | None
    signal: Signal
    effect: float | None  # Cohen's d, or h for rates: an estimate; its interval comes with the fixed test
    power: float | None  # for a change of `worthwhile`, with the documents at hand
    needed: int | None  # documents still missing, both arms, for the declared power
    fixed: FixedReading | None  # None: closed until the declared end, or unknown
    fixed_adjusted_p: float | None
    guardrail: GuardrailReading | None
    sentence: str

    @property
    def change(self) -> Interval | None:
        """The interval that decides the signal, as a share of the control's mean; None where that mean is too near 0.

        The relative effect has an interval of its own (`uplift`): it carries the control's uncertainty too and can
        contain 0 where the difference does not.
        """
        relative = self.fixed.uplift if self.fixed is not None else self.uplift
        decides = self.fixed.difference if self.fixed is not None else self.difference
        base = self.control.mean
        if relative is None or decides is None or not base:
            return None
        low, high = (None if edge is None else edge / base for edge in (decides.low, decides.high))
        return Interval(relative.estimate, low, high)


class LookMetric(Struct, frozen=True):
    z: float
    bound: float
    signal: Signal


class Look(Struct, frozen=True):
    """A declared look, taken once and kept. `p` is the nominal level the primary metric had to pass."""

    number: int
    at: float
    control: int
    treatment: int
    p: float
    metrics: dict[str, LookMetric]


class FixedTestLock(Struct, frozen=True):
    """What the fixed test still waits for."""

    open: bool
    opens_at: float
    seconds_left: float
    documents_left: int
    sentence: str


class Verdict(Struct, frozen=True):
    """`worse`: metrics that got worse, each in a few words. `harmful`: those of them that are beyond what the
    declaration allows; the others are within their limit, or left to people."""

    word: Word
    sentence: str
    reasons: tuple[str, ...] = ()
    worse: tuple[str, ...] = ()
    harmful: tuple[str, ...] = ()


class TrialReport(Struct, frozen=True):
    """`final`: the verdict is fixed and never recomputed. `correction` explains how several metrics were corrected."""

    at: float
    verdict: Verdict
    final: bool
    lock: FixedTestLock
    ratio: SampleRatio
    metrics: tuple[MetricReport, ...]
    looks: tuple[Look, ...]
    next_look: float | None
    correction: str

    def metric(self, name: str) -> MetricReport:
        """KeyError when the metric was not declared."""
        for metric in self.metrics:
            if metric.name == name:
                return metric
        raise KeyError(name)
