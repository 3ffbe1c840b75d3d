"""What is declared before the test starts and never changed by its results: metrics, targets, length, looks.

The defaults are the rollout plan's: search quality better by 15 %, processing time under twice the control's, error
rate under 1 %, satisfaction up or unchanged, seven days, p < 0.05.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from engine.experiment.formatting import Unit
from engine.experiment.moments import Measure
from engine.plan.model import Experiment

DAY = 86400.0


class MetricPlan(Struct, frozen=True, forbid_unknown_fields=True):
    """One metric. `worthwhile` is the relative change worth detecting; for the primary metric it is the target for
    shipping.

    A guardrail has one limit: `max_rate` for the treatment alone (0..1), `max_ratio` of treatment to control, or
    `margin`, the loss against the control that still counts as unchanged (in the metric's unit).
    """

    name: str
    label: str
    unit: Unit = "score"
    role: Literal["primary", "guardrail", "secondary"] = "secondary"
    better: Literal["higher", "lower", "neither"] = "higher"
    worthwhile: float = 0.15
    max_rate: float | None = None
    max_ratio: float | None = None
    margin: float | None = None
    required: bool = True  # an uncertain guardrail keeps from shipping; False: only a broken one does
    decides: bool = True  # False: shown, and left to the gate's checklist
    base: float = 0.0  # added to every value of both arms: what a document costs beside what was measured
    expected_n: int = 0  # of both arms, where it is not one value a document; tunes the sequence


DEFAULT_METRICS = (
    MetricPlan("search_quality", "search quality", role="primary"),
    MetricPlan("processing_ms", "processing time", "ms", "guardrail", "lower", max_ratio=2.0),
    MetricPlan("error_rate", "error rate", "rate", "guardrail", "lower", max_rate=0.01),
    # The plan collects feedback "if applicable": few ratings do not keep from shipping, worse ratings do.
    MetricPlan("satisfaction", "satisfaction", "rate", "guardrail", "higher", margin=0.05, required=False),
    MetricPlan("cache_hit_rate", "cache hits", "rate"),
    MetricPlan("keywords", "keywords per document", "count", better="neither"),
    MetricPlan("relevance", "keyword relevance"),
    MetricPlan("click_through", "click-through", "rate"),
)


class Declaration(Struct, frozen=True, forbid_unknown_fields=True):
    """`started` is UTC epoch seconds. `decide_by` "end": the verdict is the fixed test's at the declared end, and the
    daily bounds inform. "daily": the daily bounds decide, the last of them at the end, and a crossing ends the test
    early.

    700 documents an arm find +15 % with 80 % power when documents vary as much as their mean (cv 1).
    """

    started: float
    days: float = 7.0
    documents_per_arm: int = 700
    share: float = 0.5  # of the treatment
    alpha: float = 0.05
    power: float = 0.8
    looks: int = 7
    decide_by: Literal["end", "daily"] = "end"
    metrics: tuple[MetricPlan, ...] = DEFAULT_METRICS

    @property
    def primary(self) -> MetricPlan:
        return next(metric for metric in self.metrics if metric.role == "primary")

    @property
    def ends(self) -> float:
        """UTC epoch seconds before which the fixed test stays closed."""
        return self.started + self.days * DAY

    @property
    def others(self) -> int:
        """How many metrics share the correction: all but the primary."""
        return len(self.metrics) - 1

    def expected_n(self, metric: MetricPlan) -> int:
        return metric.expected_n or 2 * self.documents_per_arm


def declare(plan: Experiment, started: float, share: float, expected: dict[str, int]) -> Declaration:
    """What the plan's `[stages.experiment]` declares, as of `started`; a look a day.

    `expected`: documents of both arms by metric at the end, from the traffic before the start ("" for every metric not
    named); it tunes the sequences and decides nothing. Extraction by frequency takes a millisecond, so the ratio of
    processing times can be judged only when the plan says what else it takes to load a document (`load_time`); else
    people judge it.
    """

    def with_expected(metric: MetricPlan) -> MetricPlan:
        n = max(2 * plan.documents, expected.get(metric.name, expected.get("", 0)))
        metric = replace(metric, expected_n=n)
        if metric.role == "primary":
            return replace(metric, worthwhile=plan.uplift)
        if metric.max_ratio is not None:
            return replace(metric, decides=plan.load_time_s > 0.0, base=1000.0 * plan.load_time_s)
        return metric

    days = plan.duration_s / DAY
    looks = max(1, min(100, round(days)))
    metrics = tuple(with_expected(metric) for metric in DEFAULT_METRICS)
    return Declaration(
        started=started,
        days=days,
        documents_per_arm=plan.documents,
        share=share,
        alpha=plan.alpha,
        power=plan.power,
        looks=looks,
        decide_by=plan.decide_by,
        metrics=metrics,
    )


class ArmStats(Struct, frozen=True):
    """One arm so far: documents assigned, and each metric's sufficient statistics by name (absent: not measured)."""

    documents: int
    measures: dict[str, Measure]
