"""Puts a judged rule into words: value, threshold, n and timer in one sentence, what resets it, when it fires. Pure."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, get_args

from msgspec import Struct

from engine.plan.durations import clock
from engine.plan.model import Severity, Trigger
from engine.plan.units import value_and_threshold
from engine.plan.vocabulary import METRICS
from engine.rollout.actions import LOWERING
from engine.text import counted
from engine.triggers.evidence import Timer
from engine.triggers.finding import Finding, composed
from engine.triggers.rules import WINDOWED

Verdict = Literal["ok", "breach", "insufficient", "blind", "muted", "locked", "disabled"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)


class Reading(Struct, frozen=True):
    """One rule, ready to show. `fires_in_s` is 0 while it fires, None if unknown or if it has nothing to lower.

    There is one clock, that of the detector that acts first (`acts_by`): `held_s` of `for_s` has passed, `fires_in_s`
    is left.
    """

    id: str
    verdict: Verdict
    value: float | None = None
    threshold: float | None = None
    n: int = 0
    k: int | None = None
    held_s: float = 0.0
    for_s: float = 0.0
    rule: str = ""
    sentence: str = ""
    resets_when: str = ""
    fires_in_s: float | None = None
    headline: str = ""  # "errors 12.2 % over 5 %"; "" unless it is in breach
    evidence: str = ""  # "17 of 304 in 5 min": the figures behind the headline
    acts_by: str = ""  # "early rule", "last documents"; "" for the plan's own window


class JudgedRule(Struct, frozen=True):
    """One rule judged: its finding, its timer, and the detector whose duration has passed ("" for none)."""

    rule: Trigger
    finding: Finding
    timer: Timer
    acted: str
    blind: bool
    quiet: bool = False  # no traffic, so nothing is judged


def read(judged: JudgedRule, critical: bool = False, locked: str = "", idle: bool = False) -> Reading:
    """A judged rule in words. `locked`: why promotion is locked, "" if it is not. `idle`: the LLM gets no document."""
    rule, finding = judged.rule, judged.finding
    verdict = _verdict(judged, critical, locked)
    live = verdict in ("breach", "muted")
    nothing_to_lower = idle and rule.action in LOWERING
    first = _first(judged)
    name = judged.acted or (first.rule if live else finding.rule)
    return Reading(
        id=rule.id,
        verdict=verdict,
        value=finding.value,
        threshold=finding.threshold,
        n=finding.n,
        k=finding.k,
        held_s=first.held_s,
        for_s=first.for_s,
        rule=name,
        sentence=_sentence(judged, verdict, locked, idle),
        resets_when=composed(finding.resets) if live else "",
        fires_in_s=first.left_s if live and not nothing_to_lower else None,
        headline=_headline(judged) if live else "",
        evidence=_evidence(judged) if live else "",
        acts_by=first.name if live else "",
    )


class Detector(NamedTuple):
    """One of a rule's two timers. `left_s` is None if it does not act by time alone."""

    rule: str
    held_s: float
    for_s: float
    left_s: float | None
    early: bool

    @property
    def name(self) -> str:
        return "early rule" if self.early else NAMES.get(self.rule.partition("-")[0], "")


NAMES = {"fallback": "last documents", "calls": "failed calls", "probes": "failed probes"}


def _first(judged: JudgedRule) -> Detector:
    """The detector that acts first: every countdown, bar and sentence is about it."""
    rule, finding, timer = judged.rule, judged.finding, judged.timer
    wait = rule.for_s + finding.wait_s
    plain_left = max(0.0, wait - timer.held_s) if timer.breach and finding.convinced else None
    early_left = max(0.0, finding.early_for_s - timer.early_s) if timer.early and finding.early_fresh else None
    plain = Detector(finding.rule, timer.held_s, wait if timer.breach else rule.for_s, plain_left, False)
    early = Detector(finding.early_rule, timer.early_s, finding.early_for_s, early_left, True)
    if judged.acted:
        chosen = early if judged.acted == finding.early_rule else plain
        return chosen._replace(left_s=0.0)
    if early_left is not None and (plain_left is None or early_left < plain_left):
        return early
    return early if timer.early and not finding.breach else plain


def _verdict(judged: JudgedRule, critical: bool, locked: str) -> Verdict:
    if not judged.rule.enabled:
        return "disabled"
    if locked:
        return "locked"
    if judged.blind:
        return "blind"
    if judged.quiet:
        return "insufficient"
    if judged.finding.breach or judged.timer.early:
        return "muted" if critical and judged.rule.severity is not Severity.critical else "breach"
    return "insufficient" if judged.finding.breach is None else "ok"


def _sentence(judged: JudgedRule, verdict: Verdict, locked: str, idle: bool) -> str:
    rule, finding, timer = judged.rule, judged.finding, judged.timer
    at = f" at {clock(timer.held_s)} of {clock(rule.for_s)}" if rule.for_s else ""
    if verdict == "disabled":
        return "disabled: it never acts"
    if verdict == "locked":
        return f"locked: {locked}"
    if verdict == "blind":
        return f"blind: timer paused{at}"
    if judged.quiet and verdict == "insufficient":
        return f"no traffic: timer paused{at}"
    if verdict == "insufficient" and idle and rule.metric in WINDOWED:
        return "no LLM documents at 0 %: nothing to judge"
    if verdict == "insufficient":
        paused = f", timer paused{at}" if timer.held_s else ""
        return f"insufficient: {composed(finding.why)}{paused}"
    if verdict == "ok":
        return _figures(rule, finding, "")
    first = _first(judged)
    by = ", early rule" if first.early else ""  # of the others the figures say which they are
    held = f" for {clock(first.held_s)} of {clock(first.for_s)}{by}" if first.for_s else ""
    if (judged.acted and judged.acted == finding.early_rule) or not finding.breach:
        head = f"{METRICS[rule.metric].name} is rising" if rule.metric != "latency_mean" else "latency is rising"
        return f"{head}: {composed(finding.early_text)},{held}"
    return _figures(rule, finding, held) + _waits(judged)


def _waits(judged: JudgedRule) -> str:
    """Why a rule whose time is up does not act yet."""
    if judged.acted or judged.timer.held_s < judged.rule.for_s:
        return ""
    if not judged.finding.convinced:
        return f"; {composed(judged.finding.why)}"
    return "; waits a minute for a fresh failure" if judged.finding.wait_s else ""


def in_shadow(rule: Trigger, finding: Finding) -> str:
    """What a rule would see if shadow answers were served; "" for a rule that does not watch them."""
    if rule.metric not in WINDOWED:
        return ""
    if finding.breach is None:
        return f"shadow: {composed(finding.why)}"
    return f"shadow: {_figures(rule, finding, '')}"


def _headline(judged: JudgedRule) -> str:
    rule, finding = judged.rule, judged.finding
    short = {"error_rate": "errors", "latency_mean": "latency", "cache_hit_rate": "cache hits"}
    name = short.get(rule.metric, METRICS[rule.metric].name)
    if rule.metric == "llm_available":
        return "LLM unavailable"
    if rule.metric == "error_creep":
        return f"errors creep up, {finding.k} of {finding.n}"
    if not finding.breach:
        return f"{name} rising"
    if finding.value is None or finding.threshold is None or not math.isfinite(finding.value):
        return name
    return _compared(rule, finding.value, finding.threshold, name)


def _evidence(judged: JudgedRule) -> str:
    finding = judged.finding
    return composed(finding.text if finding.breach else finding.early_text)


def _compared(rule: Trigger, value: float, threshold: float, name: str) -> str:
    """ "error rate 6 % over 5 %", "6 complaints, over 5"."""
    shown, limit = value_and_threshold(rule.metric, value, threshold)
    head = f"{counted(round(value), 'complaint')}," if rule.metric == "complaints" else f"{name} {shown}"
    return f"{head} {_relation(value, threshold)} {limit}"


def _relation(value: float, threshold: float) -> str:
    return "at exactly" if value == threshold else "over" if value > threshold else "under"


def _figures(rule: Trigger, finding: Finding, held: str) -> str:
    """ "error rate 5.6 % over 5 % for 3:12 of 5:00 (17 of 304 in 5 min)"."""
    name = METRICS[rule.metric].name
    if rule.metric == "complaints" and finding.value is not None and finding.threshold is not None:
        limit = "over" if finding.breach else "acts over"
        return (
            f"{counted(int(finding.value), 'complaint')} {composed(finding.text)}, {limit} {finding.threshold:g}{held}"
        )
    if rule.metric == "llm_available":
        how = "unavailable" if finding.breach else "not yet judged unavailable" if finding.k else "answers"
        return f"LLM service {how}{held} ({composed(finding.text)})"
    if rule.metric == "error_creep":
        return f"error rate {'creeps up' if finding.breach else 'steady'}{held} ({composed(finding.text)})"
    if finding.value is None or finding.threshold is None or not math.isfinite(finding.value):
        return f"{name}{held} ({composed(finding.text)})"
    compared = _compared(rule, finding.value, finding.threshold, name)
    return f"{compared}{held} ({composed(finding.text)})"
