"""A stage's gate: judges each condition by its confidence bound, and states exactly what is missing and how long it
takes.

"Error rate < 1 %" is met when the *upper bound* of the rate is below 1 %: with few documents a low rate proves nothing.
Rates are bounded by Clopper-Pearson (exact), means by the one-sided t interval. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from engine import bounds
from engine.gate.stability import Stability
from engine.plan.durations import format_duration
from engine.plan.model import Condition, Stage
from engine.plan.vocabulary import METRICS
from engine.triggers.measurement import Error, NoData, Ok, Sample, Stale
from engine.view.model import ConditionView, ItemView

MEASURED = frozenset({
    "error_rate", "latency_mean", "latency_p95", "latency_ratio", "cache_hit_rate", "grounded_rate", "documents",
})  # fmt: skip
SAMPLED = frozenset({"rate", "ms", "change", "ratio"})
MOST_AHEAD = 1 << 24  # samples: no gate waits for more, so no forecast goes further
MARGIN = 0.5  # at or below this confidence the figure itself is judged


class GateFacts(Struct, frozen=True):
    """What was measured: a sample for each metric, and LLM documents a minute for the ETAs."""

    samples: Mapping[str, Sample] = {}
    per_min: float = 0.0
    stability: Stability | None = None  # of the last stage, whose bake counts clean days
    forecast: bool = True  # whether to work out how many documents are missing: not for a moment in the past
    sentences: Mapping[str, str] = {}  # a metric's figure in words, where a number is not enough


class GateReport(Struct, frozen=True):
    """`missing`: what an override skips; `blocked`: what nothing skips; `others`: `missing` without conditions and
    items.
    """

    conditions: tuple[ConditionView, ...]
    missing: tuple[str, ...]
    blocked: tuple[str, ...]
    met: int
    total: int
    others: tuple[str, ...] = ()

    @property
    def open(self) -> bool:
        return not self.missing and not self.blocked


def assess(
    stage: Stage | None,
    facts: GateFacts,
    items: Sequence[ItemView],
    baked_s: float,
    approvals: int,
    blocked: tuple[str, ...],
    other_needs: tuple[str, ...] = (),
) -> GateReport:
    """`stage` is None once stable: there is no gate. `other_needs`: what else is missing."""
    if stage is None:
        return GateReport((), (), blocked, 0, 0)
    conditions = tuple(judge(condition, facts) for condition in stage.success)
    missing = [view.missing for view in conditions if view.missing]
    undone = [item for item in items if item.state != "done" and item.required]
    if undone:
        more = f" (and {len(undone) - 1} more)" if len(undone) > 1 else ""
        missing.append(f"{len(undone)} of {len(items)} checklist items open: {undone[0].text}{_lapse(undone[0])}{more}")
    others = []
    if (done := bake_done(stage, facts, baked_s)) < stage.bake_s:
        left = f"{format_duration(stage.bake_s - done)} left of {format_duration(stage.bake_s)}"
        stable = facts.stability
        others.append(f"stable within targets: {left}, {stable.sentence}" if stable else f"bake: {left}")
    # Whoever promotes must be one of the approvers; if one approval is enough, the promotion itself is that approval.
    if stage.approvals > 1 and approvals < stage.approvals:
        others.append(f"approvals: {approvals} of {stage.approvals}, {stage.approvals - approvals} to go")
    others += other_needs
    missing += others
    total = len(other_needs) + len(conditions) + (1 if items else 0) + 1 + (1 if stage.approvals > 1 else 0)
    return GateReport(conditions, tuple(missing), blocked, max(0, total - len(missing)), total, tuple(others))


def _lapse(item: ItemView) -> str:
    return f", {item.note}" if item.lapsed else ""


def bake_done(stage: Stage, facts: GateFacts, baked_s: float) -> float:
    """Seconds of the stage's bake that are done: watched time; in the last stage, clean watched time."""
    return baked_s if facts.stability is None else min(baked_s, facts.stability.clean_s)


def _too_few(condition: Condition, sample: Ok, fewest: int, facts: GateFacts) -> ConditionView:
    left, eta = _more("to go", fewest - sample.n, facts if condition.metric in MEASURED else GateFacts())
    missing = f"{condition.text}: n = {sample.n} of {fewest}{left}" if condition.required else ""
    return ConditionView(
        id=condition.id,
        text=condition.text,
        value=sample.value,
        n=sample.n,
        sentence=figure(condition, sample, None, facts),
        missing=missing,
        eta_s=eta,
        metric=condition.metric,
    )


def least(condition: Condition) -> int:
    """The fewest samples that decide a condition, see `bounds.within`."""
    return condition.min_n or (bounds.FEWEST if METRICS[condition.metric].unit in SAMPLED else 0)


def judge(condition: Condition, facts: GateFacts) -> ConditionView:
    """Judge one condition: value, n, bound and, if it is not met, exactly what is missing."""
    sample = facts.samples.get(condition.metric, NoData())
    if not isinstance(sample, Ok):
        return _without(condition, sample, facts)
    if sample.n < condition.min_n:
        return _too_few(condition, sample, condition.min_n, facts)
    bound, name = bound_of(condition, sample)
    judged = sample.value if bound is None else bound
    met = bounds.within(judged, condition.op, condition.value, sample.n, sample.k, least(condition))
    if met is None:
        return _too_few(condition, sample, least(condition), facts)
    shown = figure(condition, sample, bound, facts)
    missing, eta, inside = "", None, False
    if not met:
        left, eta = _to_go(condition, sample, facts) if facts.forecast else ("", None)
        missing = f"{condition.text}: {shown}{left}"
        inside = bound is not None and bounds.compare(sample.value, condition.op, condition.value)
    return ConditionView(
        id=condition.id,
        text=condition.text,
        met=met,
        value=sample.value,
        n=sample.n,
        bound=bound,
        bound_name=name,
        sentence=shown,
        missing=missing,
        eta_s=eta,
        metric=condition.metric,
        unproven=inside,
    )


def bound_of(condition: Condition, sample: Ok) -> tuple[float | None, str]:
    """The confidence bound that has to meet the condition, and its name; (None, "") if the figure itself is judged."""
    if condition.confidence <= MARGIN:
        return None, ""
    upper = condition.op in ("<", "<=")
    if sample.k is not None and 0 <= sample.k <= sample.n:
        rate = bounds.rate_upper if upper else bounds.rate_lower
        return rate(sample.k, sample.n, condition.confidence), "Clopper-Pearson"
    if sample.variance is not None and sample.n >= 2:
        mean = bounds.mean_upper if upper else bounds.mean_lower
        return mean(sample.value, sample.variance, sample.n, condition.confidence), "t"
    return None, ""


COUNTS = {
    "error_rate": " errors",
    "cache_hit_rate": " hits",
    "satisfaction": " are 4 or 5",
    "quality_score": " are good",
}


OF = {"search_improvement": " queries on the same documents", "ab_improvement": " scored documents of the A/B test"}


def figure(condition: Condition, sample: Ok, bound: float | None, facts: GateFacts) -> str:
    """ "0/180 errors: at most 1.65 %"; "33/40 are 4 or 5: 82.5 %, no bound" where the figure itself is judged."""
    unit = METRICS[condition.metric].unit
    if condition.metric in facts.sentences:
        return facts.sentences[condition.metric]
    side = "at most" if condition.op in ("<", "<=") else "at least"
    if sample.k is not None:
        head = f"{sample.k:,}/{sample.n:,}{COUNTS.get(condition.metric, '')}"
    elif unit == "flag":
        head = "yes" if sample.value else "no"
    elif unit == "count" and not sample.value:
        head = "none"
    elif sample.n:
        head = f"{amount(sample.value, unit)} (n {sample.n:,}{OF.get(condition.metric, '')})"
    else:
        head = amount(sample.value, unit)
    if bound is not None:
        return f"{head}: {side} {amount(bound, unit)}"
    if unit not in SAMPLED or not sample.n:
        return head
    return f"{head}{'' if sample.k is None else f': {amount(sample.value, unit)}'}, no bound"


def amount(value: float, unit: str) -> str:
    if unit == "rate":
        return f"{value * 100:.3g} %"
    if unit == "change":
        return f"{value * 100:+.3g} %"
    if unit == "ms":
        return f"{value / 1000:.2f} s" if value >= 1000 else f"{value:.0f} ms"
    return f"{value:g}"


def _to_go(condition: Condition, sample: Ok, facts: GateFacts) -> tuple[str, float | None]:
    """How many more documents it takes, and how long at today's traffic: ("; 120 more documents, about 2h", 7200)."""
    if sample.k is not None and condition.metric in COUNTED:
        return _rate_to_go(condition, sample.k, sample.n, facts)
    if not bounds.compare(sample.value, condition.op, condition.value):
        if METRICS[condition.metric].unit == "flag":
            return "", None  # "no" is enough
        return f", not {condition.op} {amount(condition.value, METRICS[condition.metric].unit)}", None
    if sample.k is not None and condition.op in (">", ">=") and condition.confidence > MARGIN:
        needed = _judged_needed(condition, sample.k, sample.n)
        return (f"; {needed - sample.n:,} more at this share" if needed else ""), None  # no one knows when people judge
    if sample.variance is None or sample.n < 2 or condition.metric not in ("latency_mean",):
        return "", None
    # t is kept at its current value: at sample sizes that matter here it no longer changes
    wide = bounds.t_quantile(condition.confidence, sample.n - 1) * sample.variance**0.5
    gap = abs(condition.value - sample.value)
    if wide > gap * MOST_AHEAD**0.5:  # at the target itself no number of calls is enough
        return "", None
    need = math.ceil((wide / gap) ** 2)
    return _more("more fresh calls", max(1, need - sample.n), facts)


def _rate_to_go(condition: Condition, k: int, n: int, facts: GateFacts) -> tuple[str, float | None]:
    upper, target, sure = condition.op in ("<", "<="), condition.value, condition.confidence
    inside = bounds.compare(k / n, condition.op, target) if n else False
    if upper and 0 < target < 1:
        clean = GateFacts() if k and not inside else facts  # errors have to stop first: no one knows when
        text, eta = _more("more clean documents" if k else "more documents", _short(k, n, target, sure), clean)
        if not k:
            return text, eta
        needed = _at_this_rate(lambda m: bounds.rate_upper(round(k / n * m), m, sure) < target, n) if inside else None
        tail = f" ({needed - n:,} at the current error rate)" if needed else "" if inside else ", and errors must stop"
        return text + tail, eta
    if not inside:
        return f", not {condition.op} {amount(target, 'rate')}", None
    needed = _judged_needed(condition, k, n)
    if not needed:
        return "", None
    return _more("more lookups" if condition.metric == "cache_hit_rate" else "more", needed - n, facts)


def _judged_needed(condition: Condition, k: int, n: int) -> int | None:
    """Of how many in all the bound meets the condition, if the share of good ones stays."""
    target, sure = condition.value, condition.confidence
    return _at_this_rate(lambda m: bounds.rate_lower(int(k / n * m), m, sure) > target, n)


COUNTED = frozenset({"error_rate", "cache_hit_rate", "grounded_rate"})


def _short(k: int, n: int, rate: float, confidence: float) -> int:
    return max(1, bounds.documents_for_rate_below(k, rate, confidence) - n)


def _at_this_rate(holds: Callable[[int], bool], n: int) -> int | None:
    """The n at which it holds if the rate stays the same; None beyond MOST_AHEAD."""
    return bounds.first_true(holds, max(1, n), MOST_AHEAD)


def _more(what: str, count: int, facts: GateFacts) -> tuple[str, float | None]:
    eta = count / facts.per_min * 60 if facts.per_min > 0 else None
    about = f", about {format_duration(eta)}" if eta is not None else ""
    return f"; {count:,} {what}{about}", eta


def _without(condition: Condition, sample: Sample, facts: GateFacts) -> ConditionView:
    why = {NoData: "nothing measured yet", Stale: "the latest figure is old", Error: "it could not be measured"}[
        type(sample)
    ]
    if isinstance(sample, Error) and sample.sentence:
        why = sample.sentence
    missing = f"{condition.text}: {why}" if condition.required else ""
    if missing and condition.metric == "error_rate" and condition.confidence > MARGIN and 0 < condition.value < 1:
        need = bounds.documents_for_rate_below(0, condition.value, condition.confidence)
        missing += "; it takes " + _more("clean documents", need, facts)[0].removeprefix("; ")
    return ConditionView(id=condition.id, text=condition.text, sentence=why, missing=missing, metric=condition.metric)
