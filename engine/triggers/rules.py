"""Judges one rule on the evidence of one moment: in breach, fine, or insufficient. Pure; timers come later."""

from __future__ import annotations

from collections.abc import Callable

from engine.plan.durations import format_duration
from engine.plan.model import Mode, Trigger, TriggerSettings
from engine.plan.units import measure
from engine.plan.vocabulary import METRICS
from engine.text import counted
from engine.triggers.cache_rules import cache_hits
from engine.triggers.error_rules import creep, errors
from engine.triggers.evidence import Evidence
from engine.triggers.finding import Finding, beyond, limit, nothing
from engine.triggers.latency_rules import latency
from engine.triggers.measurement import NoData, Ok
from engine.triggers.windows import Attempts

WINDOWED: dict[str, Callable[[Trigger, TriggerSettings, Mode, Attempts], Finding]] = {
    "error_rate": errors,
    "error_creep": creep,
    "latency_mean": latency,
    "cache_hit_rate": cache_hits,
}
# metrics whose evidence is the triggers' own; any other is judged on the figure that a gate has
OWN_EVIDENCE = frozenset({*WINDOWED, "complaints", "llm_available"})


def find(rule: Trigger, settings: TriggerSettings, evidence: Evidence) -> Finding:
    """Total: there is a finding for any evidence."""
    mode = rule.mode or settings.mode
    if rule.metric == "llm_available":
        return _available(settings, evidence)
    if rule.metric in WINDOWED:
        attempts = evidence.attempts
        if not isinstance(attempts, Attempts):
            return nothing(rule, attempts)
        return WINDOWED[rule.metric](rule, settings, mode, attempts)
    sample = evidence.samples.get(rule.metric, NoData())
    if not isinstance(sample, Ok):
        return nothing(rule, sample)
    return _plain(rule, settings, mode, sample)


def _available(settings: TriggerSettings, evidence: Evidence) -> Finding:
    attempts, probes = evidence.attempts, evidence.probes
    known = attempts if isinstance(attempts, Attempts) and attempts.n else None
    calls, span = (known.failures_in_row, known.failures_span_s) if known else (0, 0.0)
    text = f"{calls} failed calls in a row over {format_duration(span)}" if calls > 1 else "calls succeed"
    if calls == 1:
        text = "1 failed call"
    if calls >= settings.unavailable_calls and span >= settings.unavailable_span_s:
        return Finding(True, "calls", 0.0, None, calls, calls, text, resets="one call succeeds")
    if probes.failed_in_row >= settings.unavailable_probes:
        every = format_duration(settings.probe_every_s)
        text = f"{probes.failed_in_row} failed probes in a row, one each {every}"
        return Finding(
            True, "probes", 0.0, None, probes.failed_in_row, probes.failed_in_row, text, resets="one probe succeeds"
        )
    if known is None and not probes.n:
        return Finding(None, why="neither called nor probed yet")
    failed = calls or probes.failed_in_row
    unjudged = known.unjudged_in_row if known and not failed else 0
    if unjudged:
        late = f"{counted(unjudged, 'failed call')} not judged, as the engine was late"
        if not probes.n:
            return Finding(None, n=known.n if known else 0, why=late)
        text = f"probes succeed; {late}"
    elif not calls and failed:
        text = f"{counted(failed, 'failed probe')}{' in a row' if failed > 1 else ''}"
    elif known is None:
        text = "probes succeed"
    return Finding(False, "calls", 1.0, None, known.n if known else probes.n, failed or None, text)


def _plain(rule: Trigger, settings: TriggerSettings, mode: Mode, sample: Ok) -> Finding:
    """A figure that brings its own window: a count, or one measured by people or by other parts."""
    if sample.value != sample.value:
        return Finding(None, threshold=limit(rule), why="it is not a number")
    counts = METRICS[rule.metric].unit == "count"
    if mode != "literal" and sample.n and not counts and sample.n < settings.min_n:
        return Finding(None, threshold=limit(rule), n=sample.n, k=sample.k, why=f"n = {sample.n} of {settings.min_n}")
    text = f"{sample.k} of {sample.n}" if sample.k is not None else "in this stage" if counts else f"n = {sample.n}"

    def resets() -> str:
        return f"it is {measure(rule.metric, limit(rule) or 0.0)} or {'less' if rule.above is not None else 'more'}"

    return Finding(
        beyond(rule, sample.value), "literal", sample.value, limit(rule), sample.n, sample.k, text, resets=resets
    )
