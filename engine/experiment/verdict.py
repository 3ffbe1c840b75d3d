"""The verdict in one word, with its reason. Protection comes first: a wrong split, then harm, then time, then the question."""

from __future__ import annotations

from msgspec.structs import replace

from engine.experiment.declaration import Declaration, MetricPlan
from engine.experiment.report import FixedTestLock, Look, MetricReport, Signal, Verdict
from engine.experiment.srm import SampleRatio
from engine.experiment.words import number, percent, span, times


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
    verdict = _word(declaration, lock, ratio, metrics, looks)
    lost = [(metric, plan) for metric, plan in _pairs(declaration, metrics) if _got_worse(metric)]
    worse = tuple(_worse(metric, plan) for metric, plan in lost)
    harmful = tuple(_worse(metric, plan) for metric, plan in lost if _is_harm(metric, plan))
    verdict = replace(verdict, worse=worse, harmful=harmful)
    if not worse or verdict.word in ("void", "worse"):
        return verdict
    named = f"Worse without deciding: {'; '.join(worse)}."
    return replace(verdict, sentence=f"{verdict.sentence} {named}")


def _word(
    declaration: Declaration,
    lock: FixedTestLock,
    ratio: SampleRatio,
    metrics: tuple[MetricReport, ...],
    looks: tuple[Look, ...],
) -> Verdict:
    if ratio.mismatch:
        return Verdict("void", f"{ratio.sentence} Find the cause, then start a new test; don't use these results.")
    harm = _harm(declaration, metrics, looks)
    if harm:
        return Verdict("worse", harm[0], harm[1:])
    primary = next(metric for metric in metrics if metric.role == "primary")
    early = next((look for look in looks if _at(look, primary.name) == "better"), None)
    by_looks = declaration.decide_by == "daily"
    if not lock.open and not (by_looks and early):
        return Verdict("not yet", _waiting(lock, primary, early))
    better = early is not None if by_looks else primary.signal == "better"
    if primary.signal == "unknown" and not better:
        return Verdict("not yet", f"The test is over, but {primary.label} could not be compared: {_absent(primary)}")
    change = primary.change
    if not better:
        return Verdict("no difference", _no_difference(declaration, primary))
    if change is None:
        return Verdict(
            "not yet", f"{primary.sentence} Its relative size is unknown: the control's mean is too close to 0."
        )
    target = declaration.primary.worthwhile
    if change.estimate < target:
        sentence = f"{primary.label} is better by {span(change)}, less than the {percent(target, signed=True)} the plan asks for."
        return Verdict("short of target", _capital(sentence))
    uncertain = [
        metric.guardrail.sentence
        for metric, plan in zip(metrics, declaration.metrics, strict=True)
        if metric.guardrail is not None and plan.decides and plan.required and metric.guardrail.state != "held"
    ]
    if uncertain:
        sentence = (
            f"{primary.label} is better by {span(change)}, but {len(uncertain)} of the limits are not certain to hold."
        )
        return Verdict("not yet", _capital(sentence), tuple(uncertain))
    kept = tuple(metric.guardrail.sentence for metric in metrics if metric.guardrail is not None)
    how = "a declared daily bound was passed" if by_looks and primary.fixed is None else _p(primary)
    others = [metric for metric in metrics if metric.role != "primary"]
    unknown = [metric.label for metric in others if _unknown(metric)]
    clean = not any(_got_worse(metric) for metric in others)
    rest = " and no metric that could be compared got worse" if clean else ""
    missing = f" Not compared, for want of data: {', '.join(unknown)}." if unknown else ""
    return Verdict("ship", _capital(f"{primary.label} is better by {span(change)} ({how}){rest}.{missing}"), kept)


def _pairs(declaration: Declaration, metrics: tuple[MetricReport, ...]) -> list[tuple[MetricReport, MetricPlan]]:
    return list(zip(metrics, declaration.metrics, strict=True))


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
    found = metric.guardrail
    if found is not None and plan.max_ratio is not None and found.value is not None:
        figures = f"{times(found.value)} the control's, limit {found.limit:g}"
    else:
        arms = f"{number(metric.treatment.mean, metric.unit)} against {number(metric.control.mean, metric.unit)}"
        figures = f"{arms}, {span(metric.change)}" if metric.change is not None else arms
    within = found is not None and found.state == "held"
    how = ", within its limit" if within else " (people judge it)" if not plan.decides else ""
    return f"{metric.label} {figures}{how}"


def _at(look: Look, name: str) -> Signal:
    reading = look.metrics.get(name)
    return "unknown" if reading is None else reading.signal


def _harm(declaration: Declaration, metrics: tuple[MetricReport, ...], looks: tuple[Look, ...]) -> tuple[str, ...]:
    """A broken guardrail, or the primary or a secondary metric worse. A guardrail's own difference is no harm: its limit
    allows it. The primary is judged by one reading, the declared one, so that no reading adds its errors to another's.
    """
    found = [
        metric.guardrail.sentence
        for metric, plan in zip(metrics, declaration.metrics, strict=True)
        if metric.guardrail is not None and plan.decides and metric.guardrail.state == "broken"
    ]
    for metric in metrics:
        if metric.role == "primary" and declaration.decide_by == "daily":
            look = next((look for look in looks if _at(look, metric.name) == "worse"), None)
            if look is not None:
                found.append(f"{_capital(metric.label)} was worse at declared look {look.number}, beyond its bound.")
        elif metric.role != "guardrail" and metric.signal == "worse":
            found.append(metric.sentence)
    return tuple(found)


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
