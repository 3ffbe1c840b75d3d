"""The A/B test's three readings and its verdict, from two arms' sufficient statistics. Pure; cost does not grow with
documents.

- Any time: always-valid confidence sequences (`difference`, `uplift`, `p` of each metric).
- At declared looks, once each: O'Brien-Fleming bounds.
- At the declared end, once: Welch's t-test and chi-square.

What may be read only once stays read: pass the stored report back as `previous`. The primary metric, declared in
advance, is tested at the full alpha; all others share alpha by Holm's correction (at the looks, by Bonferroni's). For
guardrails see `engine.experiment.guardrail`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec.structs import replace

from engine.experiment import effects, fixed, group_sequential, guardrail, power, sequence
from engine.experiment.declaration import DAY, ArmStats, Declaration, MetricPlan
from engine.experiment.formatting import number, span
from engine.experiment.moments import Counts, Measure, Moments, Ratio
from engine.experiment.multiplicity import holm
from engine.experiment.report import (
    FixedReading,
    FixedTestLock,
    GuardrailReading,
    Look,
    LookMetric,
    MetricReport,
    Side,
    Signal,
    TrialReport,
)
from engine.experiment.srm import SampleRatio, sample_ratio
from engine.experiment.verdict import decide
from engine.plan.durations import format_duration


def analyse(
    declaration: Declaration,
    control: ArmStats,
    treatment: ArmStats,
    now: float,
    previous: TrialReport | None = None,
    *,
    read: bool = True,
    pending: int = 0,
) -> TrialReport:
    """`now` is UTC epoch seconds; `previous` the report before this one, or None at the first; `pending` how many LLM
    documents are unfinished.

    With `read` False, nothing that may be read only once is read: for a report that is shown and not stored.

    Looks and fixed tests in `previous` are kept, a final report is returned unchanged, and a sample-ratio mismatch is
    final: it takes a new test.
    """
    if previous is not None and previous.final:
        return previous
    lock = _lock(declaration, control, treatment, now)
    if lock.open and not read and not (previous is not None and previous.lock.open):
        lock = FixedTestLock(
            False, lock.opens_at, 0.0, 0, "The declared end is reached; the engine has not read the test yet"
        )
    ratio = _ratio(declaration, control, treatment, lock, previous, pending)
    looks = previous.looks if previous is not None else ()
    if read:
        looks = _looks(declaration, control, treatment, now, lock, looks)
    before = {metric.name: metric for metric in previous.metrics} if previous is not None else {}
    reports = []
    for plan in declaration.metrics:
        without, with_llm = _measures(plan, control, treatment)
        reports.append(_metric(declaration, plan, without, with_llm, now, lock, before.get(plan.name)))
    metrics = _correct(declaration, reports)
    verdict = decide(declaration, lock, ratio, metrics, looks)
    final = (lock.open or _has_crossed(declaration, looks)) and verdict.word not in ("not yet", "void")
    following = _next_look(declaration, looks, now)
    return TrialReport(
        at=now,
        verdict=verdict,
        final=final,
        lock=lock,
        ratio=ratio,
        metrics=metrics,
        looks=looks,
        next_look=following,
        correction=_correction(declaration),
    )


def _ratio(
    declaration: Declaration,
    control: ArmStats,
    treatment: ArmStats,
    lock: FixedTestLock,
    previous: TrialReport | None,
    pending: int,
) -> SampleRatio:
    """A mismatch that was seen once stays."""
    share = declaration.share
    ratio = sample_ratio(control.documents, treatment.documents, share, final=lock.open, pending=pending)
    if previous is not None and previous.ratio.mismatch:
        return replace(ratio, mismatch=True, sentence=previous.ratio.sentence)
    return ratio


def _has_crossed(declaration: Declaration, looks: Sequence[Look]) -> bool:
    """Whether a daily look decided the primary metric."""
    name = declaration.primary.name
    return declaration.decide_by == "daily" and any(
        look.metrics[name].signal in ("better", "worse") for look in looks if name in look.metrics
    )


def _next_look(declaration: Declaration, looks: Sequence[Look], now: float) -> float | None:
    """When the next planned look is due; None after the last."""
    taken = {look.number for look in looks}
    length = declaration.days * DAY
    for place in range(1, declaration.looks + 1):
        at = declaration.started + length * place / declaration.looks
        if place not in taken and at > now:
            return at
    return None


def _correction(declaration: Declaration) -> str:
    others = declaration.others
    return (
        f"{declaration.primary.label} is tested at {declaration.alpha:g} alone, as declared; the other "
        f"{others} share {declaration.alpha:g} by Holm's correction (at the daily bounds by Bonferroni's). "
        f"Each guardrail must hold at {declaration.alpha:g}, one-sided; to be called broken it must pass "
        f"{declaration.alpha:g}/{max(1, others)}."
    )


def _lock(declaration: Declaration, control: ArmStats, treatment: ArmStats, now: float) -> FixedTestLock:
    seconds = max(0.0, declaration.ends - now)
    missing = sum(max(0, declaration.documents_per_arm - arm.documents) for arm in (control, treatment))
    if seconds == 0.0 and missing == 0:
        return FixedTestLock(True, declaration.ends, 0.0, 0, "The declared end is reached: the test is read.")
    waits = [format_duration(max(1.0, seconds))] if seconds > 0.0 else []
    if missing:
        waits.append(f"{missing} document{'' if missing == 1 else 's'}")
    return FixedTestLock(False, declaration.ends, seconds, missing, f"{' and '.join(waits)} to go")


def _measures(plan: MetricPlan, control: ArmStats, treatment: ArmStats) -> tuple[Measure, Measure]:
    """An arm that did not measure a metric gets an empty sample of the other arm's kind."""
    first = _based(control.measures.get(plan.name), plan.base)
    second = _based(treatment.measures.get(plan.name), plan.base)
    empty = type(first or second or Moments())()
    return first or empty, second or empty


def _based(measure: Measure | None, base: float) -> Measure | None:
    return measure.shifted(base) if base and isinstance(measure, Moments) else measure


def _side(measure: Measure) -> Side:
    if isinstance(measure, Counts):
        return Side(measure.n, measure.mean, None, measure.k)
    if isinstance(measure, Ratio):
        return Side(measure.n, measure.mean, None, measure.yes, measure.asked)
    spread = measure.variance
    return Side(measure.n, measure.mean, None if spread is None else math.sqrt(spread))


def _metric(
    declaration: Declaration,
    plan: MetricPlan,
    control: Measure,
    treatment: Measure,
    now: float,
    lock: FixedTestLock,
    before: MetricReport | None,
) -> MetricReport:
    """Everything but what needs the other metrics: adjusted p, signal and sentence."""
    alpha, expected = declaration.alpha, declaration.expected_n(plan)
    comparable = _comparable(control, treatment)
    live = sequence.sequence(effects.difference(control, treatment), alpha, expected) if comparable else None
    relative = sequence.sequence(effects.uplift(control, treatment), alpha, expected) if comparable else None
    size = effects.standardised(control, treatment)
    target = power.needed_per_arm(control, plan.worthwhile, alpha, declaration.power, treatment=treatment)
    needed = None if target is None else sum(max(0, target - arm.n) for arm in (control, treatment))
    read = before.fixed if before is not None else None
    if read is None and lock.open:
        read = _read(control, treatment, alpha, now)
    return MetricReport(
        name=plan.name,
        label=plan.label,
        unit=plan.unit,
        role=plan.role,
        better=plan.better,
        control=_side(control),
        treatment=_side(treatment),
        difference=None if live is None else effects.Interval(live.estimate, live.low, live.high),
        uplift=None if relative is None else effects.Interval(relative.estimate, relative.low, relative.high),
        p=None if live is None else live.p,
        adjusted_p=None,
        signal="unknown",
        effect=None if size is None else size.estimate,
        power=power.power_now(control, treatment, plan.worthwhile, alpha),
        needed=needed,
        fixed=read,
        fixed_adjusted_p=None,
        guardrail=_guardrail(declaration, plan, control, treatment, lock, before),
        sentence="",
    )


def _comparable(control: Measure, treatment: Measure) -> bool:
    if type(control) is not type(treatment):
        return False
    return isinstance(control, Moments) or sequence.normal_enough(control, treatment)  # type: ignore[arg-type]


def _read(control: Measure, treatment: Measure, alpha: float, now: float) -> FixedReading | None:
    tested = fixed.test_for(control, treatment)
    if tested is None:
        return None
    absolute, relative = effects.difference(control, treatment), effects.uplift(control, treatment)
    confidence = 1.0 - alpha
    return FixedReading(
        at=now,
        test=tested.name,
        statistic=tested.statistic,
        p=tested.p,
        plan_p=fixed.plan_p(control, treatment),
        exact_p=tested.exact_p,
        warning=tested.warning,
        difference=None if absolute is None else effects.fixed_interval(absolute, confidence),
        uplift=None if relative is None else effects.fixed_interval(relative, confidence),
        effect=effects.standardised(control, treatment, confidence),
    )


def _guardrail(
    declaration: Declaration,
    plan: MetricPlan,
    control: Measure,
    treatment: Measure,
    lock: FixedTestLock,
    before: MetricReport | None,
) -> GuardrailReading | None:
    """Any-time bounds until the end, then the fixed bounds, once. What was certain then stays; the rest continues
    live."""
    if plan.role != "guardrail":
        return None
    kept = before.guardrail if before is not None else None
    read = kept is not None and kept.at_end
    if kept is not None and read and kept.state in ("held", "broken"):
        return kept
    bounds = (
        guardrail.fixed_bounds if lock.open and not read else guardrail.any_time_bounds(declaration.expected_n(plan))
    )
    judged = guardrail.judge(plan, control, treatment, declaration.alpha, max(1, declaration.others), bounds)
    return replace(judged, at_end=lock.open)


def _signal(better: str, estimate: float, significant: bool) -> Signal:
    if not significant or estimate == 0.0:
        return "none"
    if better == "neither":
        return "different"
    return "better" if (estimate > 0.0) == (better == "higher") else "worse"


def _correct(declaration: Declaration, metrics: list[MetricReport]) -> tuple[MetricReport, ...]:
    """Holm over all but the primary, for the live p-values and for those of the fixed tests."""
    others = [metric for metric in metrics if metric.role != "primary"]
    live = holm({metric.name: metric.p for metric in others})
    ended = holm({metric.name: metric.fixed.judged_p if metric.fixed else None for metric in others})
    corrected = []
    for metric in metrics:
        alone = metric.role == "primary"
        adjusted = metric.p if alone else live[metric.name]
        at_end = (metric.fixed.judged_p if metric.fixed else None) if alone else ended[metric.name]
        if metric.fixed is not None and metric.fixed.difference is not None and at_end is not None:
            signal = _signal(metric.better, metric.fixed.difference.estimate, at_end < declaration.alpha)
        elif metric.difference is not None and adjusted is not None:
            signal = _signal(metric.better, metric.difference.estimate, adjusted < declaration.alpha)
        else:
            signal = "unknown"
        complete = replace(metric, adjusted_p=adjusted, fixed_adjusted_p=at_end, signal=signal)
        corrected.append(replace(complete, sentence=_sentence(complete)))
    return tuple(corrected)


def _sentence(metric: MetricReport) -> str:
    arms = f"{number(metric.treatment.mean, metric.unit)} against {number(metric.control.mean, metric.unit)}"
    change = metric.change
    label = f"{metric.label[0].upper()}{metric.label[1:]}"
    if bool(metric.control.n) != bool(metric.treatment.n):
        side, other = (metric.treatment, "control") if metric.treatment.n else (metric.control, "treatment")
        return f"{label} {number(side.mean, metric.unit)}; the {other} group has none to compare with."
    how = {
        "better": "better",
        "worse": "worse",
        "different": "different",
        "none": "no difference shown" if metric.fixed is not None else "nothing shown yet",
        "unknown": "too little data to compare",
    }[metric.signal]
    shown = f", {span(change)}" if change is not None else ""
    return f"{label} {arms}{shown}: {how}."


def _looks(
    declaration: Declaration,
    control: ArmStats,
    treatment: ArmStats,
    now: float,
    lock: FixedTestLock,
    taken: tuple[Look, ...],
) -> tuple[Look, ...]:
    """Take the latest declared look that is due, once. Missed looks stay missed; that costs power only."""
    passed = math.floor((now - declaration.started) / (declaration.days * DAY) * declaration.looks + 1e-9)
    due = declaration.looks if lock.open else min(passed, declaration.looks - 1)
    if due < 1 or any(look.number >= due for look in taken):
        return taken
    alone = group_sequential.bounds(declaration.looks, declaration.alpha)[due - 1]
    shared = group_sequential.bounds(declaration.looks, declaration.alpha / max(1, declaration.others))[due - 1]
    readings = {}
    for plan in declaration.metrics:
        without, with_llm = _measures(plan, control, treatment)
        measured = effects.difference(without, with_llm) if _comparable(without, with_llm) else None
        if measured is None or measured.n < sequence.START:
            continue
        z, bound = measured.z, (alone if plan.role == "primary" else shared).z
        readings[plan.name] = LookMetric(z, bound, _signal(plan.better, z, abs(z) >= bound))
    return (*taken, Look(due, now, control.documents, treatment.documents, alone.p, readings))
