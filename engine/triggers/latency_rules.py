"""Judges the mean latency of LLM calls."""

from __future__ import annotations

from engine.plan.model import Mode, Trigger, TriggerSettings
from engine.plan.units import measure
from engine.triggers.finding import Finding, Text, beyond, limit, span, too_few, unjudged
from engine.triggers.windows import FRESH_S, HEALED_DOCUMENTS, Attempts, WindowTotals

EARLY_MEAN = 0.2  # of `for`: 2 minutes of 10


def latency(rule: Trigger, settings: TriggerSettings, mode: Mode, attempts: Attempts) -> Finding:
    finding = _windowed_mean(rule, settings, mode, attempts)
    if finding.breach is None or mode == "literal" or rule.above is None or attempts.slow.fresh < settings.min_n:
        return finding
    finding = _early_mean(finding, rule, rule.above, mode, attempts.slow)
    fast_again = _fast_again(rule, attempts.latest) if finding.breach or finding.early else ""
    if fast_again:
        return finding._replace(convinced=False, why=fast_again, early_fresh=False)
    return finding


def _windowed_mean(rule: Trigger, settings: TriggerSettings, mode: Mode, attempts: Attempts) -> Finding:
    slow = attempts.slow
    window = attempts.windows.get(rule.for_s) or slow
    fewest = 1 if mode == "literal" else settings.min_n
    if window.fresh >= fewest:
        return _mean(rule, window, "literal", lambda: f"n = {window.fresh} in {span(window)}")
    if window.fresh + window.untimed >= fewest:
        timed = f"engine late: {window.untimed} of {window.fresh + window.untimed} latencies are not judged"
        return unjudged(rule, window.fresh, timed, attempts)
    if mode == "literal" or slow.fresh < fewest:
        return too_few(rule, slow.fresh, fewest, attempts.per_min, "fresh calls")
    name = f"fallback-{settings.latency_fallback_n}"
    return _mean(rule, slow, name, lambda: f"the last {slow.fresh} fresh calls, in {span(slow)}")


def _early_mean(finding: Finding, rule: Trigger, above: float, mode: Mode, slow: WindowTotals) -> Finding:
    """The early detector of a mean: whether the mean of the last calls is above the threshold by two standard
    errors."""
    mean, error = _mean_and_error(slow)
    surely = mean - 2 * error

    def text() -> str:
        less = f"{measure(rule.metric, mean)} less 2 SE is {measure(rule.metric, surely)}"
        return f"mean {less}, last {slow.fresh} fresh calls"

    return finding._replace(
        early=surely > above,
        early_rule="mean-2se",
        early_text=text,
        early_for_s=rule.for_s * EARLY_MEAN * (0.5 if mode == "early" else 1.0),
    )


def _fast_again(rule: Trigger, latest: WindowTotals) -> str:
    """Why a breach may be over although the window still shows it: the latest calls are surely fast.

    Two minutes of very slow calls stay in a ten-minute window for ten minutes more. Another slow spell counts. "" if
    the breach counts.
    """
    if latest.fresh < HEALED_DOCUMENTS or latest.span_s < FRESH_S:
        return ""
    mean, error = _mean_and_error(latest)
    if beyond(rule, mean + 2 * error):
        return ""
    shown = measure(rule.metric, mean)
    return f"mean {shown} over the latest {latest.fresh} fresh calls, {span(latest)}: waits for another slow spell"


def _mean_and_error(calls: WindowTotals) -> tuple[float, float]:
    """The mean and its standard error."""
    mean = calls.ms / calls.fresh
    spread = max(0.0, calls.ms_squares - calls.ms * mean) / (calls.fresh - 1) if calls.fresh > 1 else 0.0
    return mean, (spread / calls.fresh) ** 0.5


def _mean(rule: Trigger, window: WindowTotals, name: str, which: Text) -> Finding:
    value = window.ms / window.fresh
    return Finding(
        beyond(rule, value),
        name,
        value,
        limit(rule),
        window.fresh,
        None,
        which,
        resets=lambda: f"the mean is {measure(rule.metric, limit(rule) or 0.0)} or less",
    )
