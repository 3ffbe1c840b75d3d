"""Judges one rule on the evidence of one moment: in breach, fine, or insufficient. Pure; timers come later.

In guarded mode an error rate is judged four ways, and the screen names the one that acted:

- *literal*: the plan's window, if it holds 20 documents; a critical rule also needs the 1 -> 6 % CUSUM to agree;
- *fallback-100*: otherwise the last 100 documents (at least 20, 3 failures);
- *cusum-few*: also otherwise, the documents since the 1 -> 6 % CUSUM left zero, once it is above its threshold;
- *cusum*: always, the 3 -> 8 % CUSUM.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from engine.plan.durations import format_duration
from engine.plan.model import Mode, Trigger, TriggerSettings
from engine.plan.vocabulary import METRICS
from engine.text import counted, rate_percent
from engine.triggers import words
from engine.triggers.cusum import Detectors, Level, detectors, early_threshold, proof_threshold, target_threshold
from engine.triggers.evidence import Evidence
from engine.triggers.measurement import Error, NoData, Ok, Stale
from engine.triggers.windows import FRESH_S, HEALED_DOCUMENTS, Attempts, WindowTotals

FEWEST_FAILURES = 3  # one failed document of 19 is over 5 % and proves nothing
# Level of the 1 -> 6 % CUSUM. At ten documents a minute the literal error_critical fires falsely 0.19 times a week,
# often with the CUSUM between 5 and 6.2. This level halves that, and delays 1.8 % of the runs at a true 6 % and 0.5 %
# at 10 % (tests/bench/bench_triggers.py).
CONVINCING = 6.2
EARLY_S = 120.0  # an early detector must be in breach this long,
FRESH_DOCUMENTS = 5  # with a failure in the last minute or within this many documents; otherwise the fault is over
BURST = 4  # this many failures in a row are an outage, not a rate
EARLY_MEAN = 0.2  # of `for`: 2 minutes of 10


Text = str | Callable[[], str]  # composed on demand: most findings are never read


def composed(text: Text) -> str:
    return text if isinstance(text, str) else text()


class Finding(NamedTuple):
    """What one rule sees. `breach` None: insufficient. `text`: the figures; `why`: why it is not judged."""

    breach: bool | None
    rule: str = ""
    value: float | None = None
    threshold: float | None = None
    n: int = 0
    k: int | None = None
    text: Text = ""
    why: Text = ""
    resets: Text = ""
    wait_s: float = 0.0  # added to the rule's duration while the fault may be over
    convinced: bool = True  # False: the rule does not act, however long it is in breach
    early: bool | None = None  # breach of the early detector
    early_rule: str = ""
    early_for_s: float = EARLY_S
    early_text: Text = ""
    early_fresh: bool = True
    unjudged: str = ""  # why it cannot be judged though calls end: the engine is late


def find(rule: Trigger, settings: TriggerSettings, evidence: Evidence) -> Finding:
    """Total: there is a finding for any evidence."""
    mode = rule.mode or settings.mode
    if rule.metric == "llm_available":
        return _available(settings, evidence)
    if rule.metric in WINDOWED:
        attempts = evidence.attempts
        if not isinstance(attempts, Attempts):
            return _nothing(rule, attempts)
        return WINDOWED[rule.metric](rule, settings, mode, attempts)
    sample = evidence.samples.get(rule.metric, NoData())
    if not isinstance(sample, Ok):
        return _nothing(rule, sample)
    return _plain(rule, settings, mode, sample)


def beyond(rule: Trigger, value: float) -> bool:
    """`above` and `below` are strict; the exact value counts only if `inclusive`."""
    if rule.above is not None:
        return value > rule.above or (rule.inclusive and value == rule.above)
    if rule.below is not None:
        return value < rule.below or (rule.inclusive and value == rule.below)
    return False


def limit(rule: Trigger) -> float | None:
    return rule.above if rule.above is not None else rule.below


def _nothing(rule: Trigger, sample: NoData | Stale | Error) -> Finding:
    match sample:
        case Stale():
            why = f"the latest figure is {format_duration(sample.age_s)} old"
        case Error():
            why = sample.sentence or "it cannot be measured"
        case _:
            why = "no data"
    return Finding(None, threshold=limit(rule), why=why)


# -- error rate --------------------------------------------------------------------------------------------------------


def _errors(rule: Trigger, settings: TriggerSettings, mode: Mode, attempts: Attempts) -> Finding:
    window = attempts.windows.get(rule.for_s) or attempts.last
    if mode == "literal" or rule.above is None:
        fewest = 1 if mode == "literal" else settings.min_n
        if window.n < fewest:
            finding = _too_few(rule, window.n, fewest, attempts.per_min)
        else:
            finding = _rate(rule, window, "literal", partial(_span, window))
        return _certain(finding, rule, window, fewest, attempts)
    early = _early(rule, detectors(rule), mode, attempts, window.n < settings.min_n)
    finding = _confirmed(_windowed_errors(rule, settings, attempts, window), detectors(rule), mode, attempts)
    known = window if window.n + window.unjudged >= settings.min_n else attempts.last
    finding = _certain(finding, rule, known, settings.min_n, attempts)
    healed = _healed(rule, attempts, window) if finding.breach or early.breach else ""
    if healed:
        finding = finding._replace(convinced=False, why=healed)
    return finding._replace(
        early=early.breach,
        early_rule=early.rule,
        early_text=early.text,
        early_fresh=_fresh(attempts) and not healed,
        early_for_s=EARLY_S / 2 if mode == "early" else EARLY_S,
    )


def _certain(finding: Finding, rule: Trigger, window: WindowTotals, fewest: int, attempts: Attempts) -> Finding:
    """Failures that an engine which was late saw may be its own, so they do not count. Where they would make a breach
    the rule cannot be judged: without them the rate looks better than anyone knows."""
    worst = window.n + window.unjudged
    if finding.breach or not window.unjudged or worst < fewest:
        return finding
    if not beyond(rule, (window.k + window.unjudged) / worst):
        return finding
    why = f"engine late: {window.unjudged} of {worst} LLM documents failed and are not judged"
    return _unjudged(rule, window.n, why, attempts)


def _unjudged(rule: Trigger, n: int, why: str, attempts: Attempts) -> Finding:
    lasts = attempts.unjudged_s <= FRESH_S
    return Finding(None, threshold=limit(rule), n=n, why=why, unjudged=why if lasts else "")


def _confirmed(finding: Finding, listens: Detectors, mode: Mode, attempts: Attempts) -> Finding:
    """A breach convinces only if the rule's CUSUM agrees with the window."""
    if finding.breach and listens.proof:
        finding = _proven(finding, attempts.levels.get(listens.proof), proof_threshold(attempts.per_min))
    if finding.breach and finding.rule == "literal" and listens.few and mode == "guarded":
        least = min(CONVINCING, target_threshold(attempts.per_min))
        finding = _proven(finding, attempts.levels.get(listens.few), least)
    return finding


def _windowed_errors(rule: Trigger, settings: TriggerSettings, attempts: Attempts, window: WindowTotals) -> Finding:
    last = attempts.last
    if window.n >= settings.min_n:
        return _rate(rule, window, "literal", partial(_span, window))
    if last.n < settings.min_n:
        return _too_few(rule, last.n, settings.min_n, attempts.per_min)
    finding = _rate(
        rule,
        last,
        f"fallback-{settings.fallback_n}",
        lambda: f"the last {last.n} documents, {format_duration(last.span_s)}",
    )
    return finding._replace(breach=bool(finding.breach) and last.k >= FEWEST_FAILURES)


def _rate(rule: Trigger, window: WindowTotals, name: str, where: Text) -> Finding:
    value = window.k / window.n
    threshold = limit(rule) or 0.0

    def resets() -> str:
        clean = int(window.k / threshold - window.n) + 1 if threshold > 0 else 0
        return f"{clean} clean document{'s' if clean > 1 else ''}, or failures leave the window" if clean > 0 else ""

    def text() -> str:
        unsent = f", {window.unsent} never sent" if window.unsent else ""
        return f"{window.k} of {window.n} in {composed(where)}{unsent}"

    return Finding(beyond(rule, value), name, value, limit(rule), window.n, window.k, text, resets=resets)


def _span(window: WindowTotals) -> str:
    return format_duration(window.span_s)


def _early(rule: Trigger, listens: Detectors, mode: Mode, attempts: Attempts, few: bool) -> Finding:
    """The first of the rule's CUSUMs that is above its threshold."""
    ease = 1.0 if mode == "early" else 0.0
    level = attempts.levels.get(listens.early) if listens.early else None
    least = early_threshold(attempts.per_min) - ease
    if level and level.value > least:
        return Finding(True, "cusum", text=_evidence(level, least))
    level = attempts.levels.get(listens.few) if listens.few else None
    least = target_threshold(attempts.per_min) - ease
    if level and (few or mode == "early") and level.value > least and beyond(rule, level.k / level.n):
        return Finding(True, "cusum-few", text=_evidence(level, least))
    level = attempts.levels.get(listens.proof) if listens.proof and mode == "early" else None
    if level and level.value > proof_threshold(attempts.per_min) and beyond(rule, level.k / level.n):
        return Finding(True, "cusum", text=_evidence(level, proof_threshold(attempts.per_min)))
    return Finding(False)


def _evidence(level: Level, least: float) -> str:
    return f"{level.k} of {level.n} in {format_duration(level.span_s)}, CUSUM {level.value:.1f} over {least:.1f}"


def _proven(finding: Finding, level: Level | None, least: float) -> Finding:
    if level is None or level.value > least:
        return finding
    return finding._replace(
        convinced=False, why=f"this few failures may be chance, CUSUM {level.value:.1f} of {least:.1f}"
    )


def _fresh(attempts: Attempts) -> bool:
    return attempts.clean_s <= FRESH_S or attempts.clean_in_row < FRESH_DOCUMENTS


def _healed(rule: Trigger, attempts: Attempts, window: WindowTotals) -> str:
    """Why a breach may be over although the window still shows it: it was one run of failures, and that has ended.

    A one-minute outage stays in a five-minute window for four more minutes. A second run, or a rate that is bad without
    the first, counts. "" if the breach counts.
    """
    burst, ended = attempts.burst, attempts.burst_ago_s
    seen = window if window.n >= attempts.last.n else attempts.last
    rest = seen.n - burst
    if burst < BURST or rest < HEALED_DOCUMENTS or not FRESH_S < ended <= seen.span_s:
        return ""
    others = max(0, seen.k - burst)
    if beyond(rule, others / rest):
        return ""
    return (
        f"{burst} failures in a row ended {format_duration(ended)} ago, otherwise {others} of {rest}: waits for another"
    )


def _too_few(rule: Trigger, n: int, need: int, per_min: float, what: str = "LLM documents") -> Finding:
    left = need - n
    if per_min > 0:
        why = f"n = {n} of {need}, about {format_duration(left / per_min * 60)} to go at {per_min:.1f} {what}/min"
    else:
        why = f"n = {n} of {need}"
    return Finding(None, threshold=limit(rule), n=n, why=why)


def _creep(rule: Trigger, settings: TriggerSettings, mode: Mode, attempts: Attempts) -> Finding:
    design = detectors(rule).early
    level = attempts.levels.get(design) if design else None
    if level is None or not attempts.n:
        return Finding(None, why="no LLM documents yet")
    least = target_threshold(attempts.per_min)

    def text() -> str:
        of = f", {level.k} of {level.n} in {format_duration(level.span_s)}" if level.n else ""
        return f"CUSUM {level.value:.1f} of {least:.1f}{of}"

    return Finding(
        level.value > least,
        "cusum",
        level.value,
        least,
        level.n,
        level.k,
        text,
        resets="successes bring the CUSUM below its threshold",
        wait_s=0.0 if _fresh(attempts) else FRESH_S,
    )


# -- latency, cache ----------------------------------------------------------------------------------------------------


def _latency(rule: Trigger, settings: TriggerSettings, mode: Mode, attempts: Attempts) -> Finding:
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
        return _mean(rule, window, "literal", partial(_span, window))
    if window.fresh + window.untimed >= fewest:
        timed = f"engine late: {window.untimed} of {window.fresh + window.untimed} latencies are not judged"
        return _unjudged(rule, window.fresh, timed, attempts)
    if mode == "literal" or slow.fresh < fewest:
        return _too_few(rule, slow.fresh, fewest, attempts.per_min, "fresh calls")
    name = f"fallback-{settings.latency_fallback_n}"
    return _mean(rule, slow, name, lambda: f"the last {slow.fresh} fresh calls, {format_duration(slow.span_s)}")


def _early_mean(finding: Finding, rule: Trigger, above: float, mode: Mode, slow: WindowTotals) -> Finding:
    """The early detector of a mean: whether the mean of the last calls is above the threshold by two standard
    errors."""
    mean, error = _mean_and_error(slow)
    surely = mean - 2 * error

    def text() -> str:
        less = f"{words.measure(rule.metric, mean)} less 2 SE is {words.measure(rule.metric, surely)}"
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
    shown, span = words.measure(rule.metric, mean), format_duration(latest.span_s)
    return f"mean {shown} over the latest {latest.fresh} fresh calls, {span}: waits for another slow spell"


def _mean_and_error(calls: WindowTotals) -> tuple[float, float]:
    """The mean and its standard error."""
    mean = calls.ms / calls.fresh
    spread = max(0.0, calls.ms_squares - calls.ms * mean) / (calls.fresh - 1) if calls.fresh > 1 else 0.0
    return mean, (spread / calls.fresh) ** 0.5


def _mean(rule: Trigger, window: WindowTotals, name: str, where: Text) -> Finding:
    value = window.ms / window.fresh
    return Finding(
        beyond(rule, value),
        name,
        value,
        limit(rule),
        window.fresh,
        None,
        lambda: f"n = {window.fresh} in {composed(where)}",
        resets=lambda: f"the mean is {words.measure(rule.metric, limit(rule) or 0.0)} or less",
    )


def _cache(rule: Trigger, settings: TriggerSettings, mode: Mode, attempts: Attempts) -> Finding:
    window = attempts.windows.get(rule.for_s) or WindowTotals(0.0, 0, 0)
    fewest = 1 if mode == "literal" else settings.min_n
    if window.lookups < fewest:
        return _too_few(rule, window.lookups, fewest, attempts.per_min, "lookups")
    value = window.hits / window.lookups
    return Finding(
        beyond(rule, value),
        "literal",
        value,
        limit(rule),
        window.lookups,
        window.hits,
        lambda: f"{window.hits} of {window.lookups} in {_span(window)}",
        resets=lambda: f"the rate is {rate_percent(limit(rule) or 0.0)} or more",
    )


WINDOWED: dict[str, Callable[[Trigger, TriggerSettings, Mode, Attempts], Finding]] = {
    "error_rate": _errors,
    "error_creep": _creep,
    "latency_mean": _latency,
    "cache_hit_rate": _cache,
}
# metrics whose evidence is the triggers' own; any other is judged on the figure that a gate has
OWN_EVIDENCE = frozenset({*WINDOWED, "complaints", "llm_available"})


# -- the rest ----------------------------------------------------------------------------------------------------------


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
        return (
            f"it is {words.measure(rule.metric, limit(rule) or 0.0)} or {'less' if rule.above is not None else 'more'}"
        )

    return Finding(
        beyond(rule, sample.value), "literal", sample.value, limit(rule), sample.n, sample.k, text, resets=resets
    )
