"""Judges the error rate of LLM calls, and its creeping up.

In guarded mode an error rate is judged four ways, and the screen names the one that acted:

- *literal*: the plan's window, if it holds 20 documents; a critical rule also needs the 1 -> 6 % CUSUM to agree;
- *fallback-100*: otherwise the last 100 documents (at least 20, 3 failures);
- *cusum-few*: also otherwise, the documents since the 1 -> 6 % CUSUM left zero, once it is above its threshold;
- *cusum*: always, the 3 -> 8 % CUSUM.
"""

from __future__ import annotations

from engine.plan.durations import format_duration
from engine.plan.model import Mode, Trigger, TriggerSettings
from engine.triggers.cusum import Detectors, Level, detectors, early_threshold, proof_threshold, target_threshold
from engine.triggers.finding import EARLY_S, Finding, Text, beyond, composed, limit, span, too_few, unjudged
from engine.triggers.windows import FRESH_S, HEALED_DOCUMENTS, Attempts, WindowTotals

FEWEST_FAILURES = 3  # one failed document of 19 is over 5 % and proves nothing
# Level of the 1 -> 6 % CUSUM. At ten documents a minute the literal error_critical fires falsely 0.19 times a week,
# often with the CUSUM between 5 and 6.2. This level halves that, and delays 1.8 % of the runs at a true 6 % and 0.5 %
# at 10 % (tests/bench/bench_triggers.py).
CONVINCING = 6.2
# an early detector acts with a failure in the last minute or within this many documents; otherwise the fault is over
FRESH_DOCUMENTS = 5
BURST = 4  # this many failures in a row are an outage, not a rate


def errors(rule: Trigger, settings: TriggerSettings, mode: Mode, attempts: Attempts) -> Finding:
    window = attempts.windows.get(rule.for_s) or attempts.last
    if mode == "literal" or rule.above is None:
        fewest = 1 if mode == "literal" else settings.min_n
        if window.n < fewest:
            finding = too_few(rule, window.n, fewest, attempts.per_min)
        else:
            finding = _rate(rule, window, "literal", lambda: _share_of(window))
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
    return unjudged(rule, window.n, why, attempts)


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
        return _rate(rule, window, "literal", lambda: _share_of(window))
    if last.n < settings.min_n:
        return too_few(rule, last.n, settings.min_n, attempts.per_min)
    finding = _rate(
        rule, last, f"fallback-{settings.fallback_n}", lambda: f"the last {last.n} documents, in {span(last)}"
    )
    return finding._replace(breach=bool(finding.breach) and last.k >= FEWEST_FAILURES)


def _share_of(window: WindowTotals) -> str:
    return f"{window.n} in {span(window)}"


def _rate(rule: Trigger, window: WindowTotals, name: str, which: Text) -> Finding:
    value = window.k / window.n
    threshold = limit(rule) or 0.0

    def resets() -> str:
        clean = int(window.k / threshold - window.n) + 1 if threshold > 0 else 0
        return f"{clean} clean document{'s' if clean > 1 else ''}, or failures leave the window" if clean > 0 else ""

    def text() -> str:
        unsent = f", {window.unsent} never sent" if window.unsent else ""
        return f"{window.k} of {composed(which)}{unsent}"

    return Finding(beyond(rule, value), name, value, limit(rule), window.n, window.k, text, resets=resets)


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


def creep(rule: Trigger, settings: TriggerSettings, mode: Mode, attempts: Attempts) -> Finding:
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
