"""A limit that must hold while something else gets better: one-sided, in three states.

"Held" and "broken" are different claims with different errors. All guardrails must hold to ship, so each is tested at
the full alpha (an intersection-union test needs no correction). Any single broken one means "worse", so that claim
shares alpha among the metrics (Bonferroni).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

from engine.bounds import t_quantile
from engine.experiment import sequence
from engine.experiment.declaration import MetricPlan
from engine.experiment.effects import Contrast, Interval, contrast, difference, exact_bounds, ratio, single
from engine.experiment.formatting import number
from engine.experiment.moments import Counts, Measure, Moments
from engine.experiment.report import GuardrailReading

Bounds = Callable[[Contrast | None, float], Interval | None]  # (contrast, one-sided error)


def any_time_bounds(expected_n: float) -> Bounds:
    """Bounds that hold at every look."""
    return lambda of, alpha: sequence.bounds(of, alpha, expected_n)


def fixed_bounds(of: Contrast | None, alpha: float) -> Interval | None:
    """Bounds for the one look at the declared end."""
    if of is None:
        return None
    width = t_quantile(1.0 - alpha, of.dof) * of.se
    return Interval(of.estimate, of.estimate - width, of.estimate + width)


def judge(
    plan: MetricPlan, control: Measure, treatment: Measure, alpha: float, among: int, bounds: Bounds
) -> GuardrailReading:
    """`among`: how many metrics share the claim "broken"."""
    if plan.max_rate is not None:
        return _rate(plan, plan.max_rate, treatment, alpha, alpha / among, bounds)
    if plan.max_ratio is not None:
        return _ratio(plan, plan.max_ratio, control, treatment, alpha, alpha / among, bounds)
    return _margin(plan, plan.margin or 0.0, control, treatment, alpha, alpha / among, bounds)


class _Found(NamedTuple):
    state: Literal["held", "broken", "open", "unknown"]
    value: float | None = None
    bound: float | None = None


def _state(held: Interval | None, below: float, broken: Interval | None, above: float) -> _Found:
    """When both claims are true (a real loss inside the margin), broken wins."""
    if held is None or broken is None or held.high is None or broken.low is None:
        return _Found("unknown")
    if broken.low > above:
        return _Found("broken", held.estimate, held.high)
    return _Found("held" if held.high < below else "open", held.estimate, held.high)


def _rate(
    plan: MetricPlan, limit: float, treatment: Measure, alpha: float, harm: float, bounds: Bounds
) -> GuardrailReading:
    """One arm, exact: a normal interval around 0 of 20 errors would call 0 % certain."""
    if not isinstance(treatment, Counts):
        alone = single(treatment)
        outcome = _state(bounds(alone, alpha), limit, bounds(alone, harm), limit)
    elif bounds is fixed_bounds:
        outcome = _state(exact_bounds(treatment, alpha), limit, exact_bounds(treatment, harm), limit)
    else:
        live = [sequence.rate_bounds(treatment, error, limit) for error in (alpha, harm)]
        outcome = _state(live[0], limit, live[1], limit)
    return _say(plan, outcome, limit, f"limit {number(limit, plan.unit)}")


def _ratio(
    plan: MetricPlan, limit: float, control: Measure, treatment: Measure, alpha: float, harm: float, bounds: Bounds
) -> GuardrailReading:
    """treatment - limit * control against 0 needs no division; inverting that test gives the bound of the ratio."""
    at_limit = contrast(control, treatment, weight=limit)
    outcome = _state(bounds(at_limit, alpha), 0.0, bounds(at_limit, harm), 0.0)
    value, bound = ratio(control, treatment), None
    if value is not None and outcome.state != "unknown":
        low, high = value, 1000.0 * max(value, limit)
        for _ in range(60):
            middle = (low + high) / 2.0
            upper = bounds(contrast(control, treatment, weight=middle), alpha)
            if upper is None or upper.high is None or upper.high >= 0.0:
                low = middle
            else:
                bound = high = middle
    return _say(plan, _Found(outcome.state, value, bound), limit, f"limit {limit:g} times the control's")


def _margin(
    plan: MetricPlan, margin: float, control: Measure, treatment: Measure, alpha: float, harm: float, bounds: Bounds
) -> GuardrailReading:
    """Loss against the control: held when surely below the margin, broken when surely above 0."""
    if isinstance(control, Moments) or isinstance(treatment, Moments):
        enough = True
    else:
        enough = sequence.normal_enough(control, treatment)
    arms = (treatment, control) if plan.better == "higher" else (control, treatment)
    loss = difference(*arms) if enough else None
    outcome = _state(bounds(loss, alpha), margin, bounds(loss, harm), 0.0)
    return _say(plan, outcome, margin, f"up to {number(margin, plan.unit)} lost counts as unchanged")


def _say(plan: MetricPlan, outcome: _Found, limit: float, rule: str) -> GuardrailReading:
    def shown(amount: float | None) -> str:
        if plan.max_ratio is None:
            return number(amount, plan.unit)
        return "–" if amount is None else f"{amount:.2f} times"

    what = {
        "held": "holds",
        "broken": "is broken",
        "open": "is not certain yet",
        "unknown": "is unknown: too few documents, or all alike",
    }[outcome.state]
    loss = "loss " if plan.margin is not None else ""
    seen = "" if outcome.value is None else f": {loss}{shown(outcome.value)}, at most {shown(outcome.bound)}"
    left = "" if plan.decides else " It is extraction alone, so it decides nothing here: people judge it at the gate."
    sentence = f"{plan.label[0].upper()}{plan.label[1:]} {what}{seen} ({rule}).{left}"
    return GuardrailReading(outcome.state, limit, outcome.value, outcome.bound, sentence)
