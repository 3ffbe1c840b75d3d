"""The verdict in one word, with its reason. Protection comes first: a wrong split, then harm, then time, then the
question."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from msgspec.structs import replace

from engine.experiment.declaration import Declaration, MetricPlan
from engine.experiment.formatting import number, percent, span, times
from engine.experiment.report import FixedTestLock, Look, MetricReport, Signal, Verdict
from engine.experiment.srm import SampleRatio


class _Case(NamedTuple):
    """Everything the verdict is decided from."""

    declaration: Declaration
    lock: FixedTestLock
    ratio: SampleRatio
    metrics: tuple[MetricReport, ...]
    looks: tuple[Look, ...]

    @property
    def primary(self) -> MetricReport:
        return next(metric for metric in self.metrics if metric.role == "primary")

    @property
    def by_looks(self) -> bool:
        return self.declaration.decide_by == "daily"

    @property
    def early(self) -> Look | None:
        """The look at which the primary metric passed its bound."""
        return next((look for look in self.looks if _at(look, self.primary.name) == "better"), None)

    @property
    def better(self) -> bool:
        return self.early is not None if self.by_looks else self.primary.signal == "better"

    @property
    def pairs(self) -> list[tuple[MetricReport, MetricPlan]]:
        return list(zip(self.metrics, self.declaration.metrics, strict=True))


def decide(
    declaration: Declaration,
    lock: FixedTestLock,
    ratio: SampleRatio,
    metrics: tuple[MetricReport, ...],
    looks: tuple[Look, ...],
) -> Verdict:
    """ "ship" only at the end that was declared (or, if declared so, at a crossed daily bound); "worse" at any time.

    A metric that got worse and does not decide is named beside the word, whatever the word is.
    """
    case = _Case(declaration, lock, ratio, metrics, looks)
    verdict = next(reached for rule in _RULES if (reached := rule(case)) is not None)
    lost = [(metric, plan) for metric, plan in case.pairs if _got_worse(metric)]
    worse = tuple(_worse(metric, plan) for metric, plan in lost)
    harmful = tuple(_worse(metric, plan) for metric, plan in lost if _is_harm(metric, plan))
    verdict = replace(verdict, worse=worse, harmful=harmful)
    if not worse or verdict.word in ("void", "worse"):
        return verdict
    named = f"Worse without deciding: {'; '.join(worse)}."
    return replace(verdict, sentence=f"{verdict.sentence} {named}")


# -- the rules, in their order: the first that reaches a verdict has the word ------------------------------------------


def _void(case: _Case) -> Verdict | None:
    if not case.ratio.mismatch:
        return None
    return Verdict("void", f"{case.ratio.sentence} Find the cause, then start a new test; don't use these results.")


def _harmed(case: _Case) -> Verdict | None:
    harm = _harm(case)
    return Verdict("worse", harm[0], harm[1:]) if harm else None


def _not_over(case: _Case) -> Verdict | None:
    if case.lock.open or (case.by_looks and case.early):
        return None
    return Verdict("not yet", _waiting(case.lock, case.primary, case.early))


def _not_compared(case: _Case) -> Verdict | None:
    primary = case.primary
    if primary.signal != "unknown" or case.better:
        return None
    return Verdict("not yet", f"The test is over, but {primary.label} could not be compared: {_absent(primary)}")


def _not_better(case: _Case) -> Verdict | None:
    return None if case.better else Verdict("no difference", _no_difference(case.declaration, case.primary))


def _of_unknown_size(case: _Case) -> Verdict | None:
    if case.primary.change is not None:
        return None
    return Verdict(
        "not yet", f"{case.primary.sentence} Its relative size is unknown: the control's mean is too close to 0."
    )


def _short_of_target(case: _Case) -> Verdict | None:
    change, target = case.primary.change, case.declaration.primary.worthwhile
    if change is None or change.estimate >= target:
        return None
    asked = percent(target, signed=True)
    sentence = f"{case.primary.label} is better by {span(change)}, less than the {asked} the plan asks for."
    return Verdict("short of target", _capital(sentence))


def _limits_uncertain(case: _Case) -> Verdict | None:
    uncertain = tuple(
        metric.guardrail.sentence
        for metric, plan in case.pairs
        if metric.guardrail is not None and plan.decides and plan.required and metric.guardrail.state != "held"
    )
    if not uncertain:
        return None
    better = f"{case.primary.label} is better by {span(case.primary.change)}"
    return Verdict(
        "not yet", _capital(f"{better}, but {len(uncertain)} of the limits are not certain to hold."), uncertain
    )


def _ship(case: _Case) -> Verdict:
    primary = case.primary
    kept = tuple(metric.guardrail.sentence for metric in case.metrics if metric.guardrail is not None)
    how = "a declared daily bound was passed" if case.by_looks and primary.fixed is None else _p(primary)
    others = [metric for metric in case.metrics if metric.role != "primary"]
    unknown = [metric.label for metric in others if _unknown(metric)]
    clean = not any(_got_worse(metric) for metric in others)
    rest = " and no metric that could be compared got worse" if clean else ""
    missing = f" Not compared, too little data: {', '.join(unknown)}." if unknown else ""
    better = f"{primary.label} is better by {span(primary.change)} ({how}){rest}.{missing}"
    return Verdict("ship", _capital(better), kept)


_RULES: tuple[Callable[[_Case], Verdict | None], ...] = (
    _void,
    _harmed,
    _not_over,
    _not_compared,
    _not_better,
    _of_unknown_size,
    _short_of_target,
    _limits_uncertain,
    _ship,
)


# -- what the rules ask ------------------------------------------------------------------------------------------------


def _got_worse(metric: MetricReport) -> bool:
    broken = metric.guardrail is not None and metric.guardrail.state == "broken"
    return metric.signal == "worse" or broken


def _is_harm(metric: MetricReport, plan: MetricPlan) -> bool:
    """Whether a metric that got worse is beyond what was declared; people judge what does not decide."""
    return plan.decides and (metric.guardrail is None or metric.guardrail.state == "broken")


def _unknown(metric: MetricReport) -> bool:
    if metric.guardrail is not None and metric.guardrail.state != "unknown":
        return False
    return metric.signal == "unknown" and bool(metric.control.n)


def _worse(metric: MetricReport, plan: MetricPlan) -> str:
    """ "processing time 129 times the control's, limit 2 (people judge it)"."""
    guardrail = metric.guardrail
    if guardrail is not None and plan.max_ratio is not None and guardrail.value is not None:
        figures = f"{times(guardrail.value)} the control's, limit {guardrail.limit:g}"
    else:
        arms = f"{number(metric.treatment.mean, metric.unit)} against {number(metric.control.mean, metric.unit)}"
        figures = f"{arms}, {span(metric.change)}" if metric.change is not None else arms
    within = guardrail is not None and guardrail.state == "held"
    how = ", within its limit" if within else " (people judge it)" if not plan.decides else ""
    return f"{metric.label} {figures}{how}"


def _at(look: Look, name: str) -> Signal:
    reading = look.metrics.get(name)
    return "unknown" if reading is None else reading.signal


def _harm(case: _Case) -> tuple[str, ...]:
    """A broken guardrail, or the primary or a secondary metric worse. A guardrail's own difference is not harm: its
    limit allows it. The primary is judged by one reading, the declared one, so that no reading adds its errors to
    another's.
    """
    harm = [
        metric.guardrail.sentence
        for metric, plan in case.pairs
        if metric.guardrail is not None and plan.decides and metric.guardrail.state == "broken"
    ]
    for metric in case.metrics:
        if metric.role == "primary" and case.by_looks:
            look = next((look for look in case.looks if _at(look, metric.name) == "worse"), None)
            if look is not None:
                harm.append(f"{_capital(metric.label)} was worse at declared look {look.number}, beyond its bound.")
        elif metric.role != "guardrail" and metric.signal == "worse":
            harm.append(metric.sentence)
    return tuple(harm)


def _waiting(lock: FixedTestLock, primary: MetricReport, early: Look | None) -> str:
    if primary.signal == "better":
        so_far = (
            f"{primary.label} is better at any look, {span(primary.change)}; the decision is due at the declared end"
        )
    elif early is not None:
        so_far = f"{primary.label} passed its bound at look {early.number}; the decision is due at the declared end"
    elif primary.change is not None:
        so_far = f"{primary.label} so far {span(primary.change)}, which may still be chance"
    else:
        so_far = f"{primary.label} cannot be compared yet"
    return f"{_capital(lock.sentence)}. {_capital(so_far)}."


def _no_difference(declaration: Declaration, primary: MetricReport) -> str:
    change = primary.change
    target = percent(declaration.primary.worthwhile, signed=True)
    chance = (
        ""
        if primary.power is None
        else f" A true {target} would have been seen with probability {percent(primary.power)}."
    )
    return _capital(f"{primary.label} shows no difference: {span(change)} ({_p(primary)}).{chance}")


def _absent(primary: MetricReport) -> str:
    return f"{primary.control.n} values in the control arm, {primary.treatment.n} in the treatment arm."


def _p(primary: MetricReport) -> str:
    return "no fixed test" if primary.fixed is None else f"{primary.fixed.test}, p = {primary.fixed.judged_p:.2g}"


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
