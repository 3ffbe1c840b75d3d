"""A judged rule in words: value, threshold, n and timer in one sentence, what resets it, when it would fire. Pure."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

from msgspec import Struct

from engine.plan.durations import clock
from engine.plan.model import Severity, Trigger
from engine.triggers import words
from engine.triggers.evidence import Timer
from engine.triggers.rules import WINDOWED, Finding, told

Verdict = Literal["ok", "breach", "insufficient", "blind", "muted", "locked", "disabled"]


class Reading(Struct, frozen=True):
    """One rule, ready to show. `fires_in_s` is 0 while it fires, None when it cannot be known.

    One clock: `held_s` of `for_s` is the timer of the detector that acts first, `acts_by` names it, and what is left of it is
    `fires_in_s`.
    """

    id: str
    verdict: Verdict
    value: float | None
    threshold: float | None
    n: int
    k: int | None
    held_s: float
    for_s: float
    rule: str
    sentence: str
    resets_when: str
    fires_in_s: float | None
    headline: str = ""  # "errors 12.2 % over 5 %"; empty while it is not in breach
    evidence: str = ""  # "17 of 304 in 5 min": what the headline rests on
    acts_by: str = ""  # "early rule", "last 100 documents"; empty for the plan's own window


class Judged(Struct, frozen=True):
    """One rule judged: what it saw, its timer after that, and which detector's time has run out ("" for none)."""

    rule: Trigger
    found: Finding
    timer: Timer
    acted: str
    blind: bool
    quiet: bool = False  # no document comes, so nothing is judged


def read(each: Judged, critical: bool = False, locked: str = "", idle: bool = False) -> Reading:
    rule, found = each.rule, each.found
    verdict = _verdict(each, critical, locked)
    live = verdict in ("breach", "muted")
    first = _first(each)
    name = each.acted or (first.rule if live else found.rule)
    return Reading(
        rule.id, verdict, found.value, found.threshold, found.n, found.k, first.held_s, first.for_s, name,
        _sentence(each, verdict, locked, idle), told(found.resets) if live else "", first.left_s if live else None,
        _headline(each) if live else "", _evidence(each) if live else "", first.name if live else "",
    )  # fmt: skip


class Detector(NamedTuple):
    """One of the two timers of a rule. `left_s` is None when time alone does not make it act."""

    rule: str
    held_s: float
    for_s: float
    left_s: float | None
    early: bool

    @property
    def name(self) -> str:
        return "early rule" if self.early else NAMES.get(self.rule.partition("-")[0], "")


NAMES = {"fallback": "last documents", "calls": "failed calls", "probes": "failed probes"}


def _first(each: Judged) -> Detector:
    """The detector that acts first: what every countdown, bar and sentence is about."""
    rule, found, timer = each.rule, each.found, each.timer
    wait = rule.for_s + found.wait_s
    plain_left = max(0.0, wait - timer.held_s) if timer.breach and found.convinced else None
    early_left = max(0.0, found.early_for_s - timer.early_s) if timer.early and found.early_fresh else None
    plain = Detector(found.rule, timer.held_s, wait if timer.breach else rule.for_s, plain_left, False)
    early = Detector(found.early_rule, timer.early_s, found.early_for_s, early_left, True)
    if each.acted:
        chosen = early if each.acted == found.early_rule else plain
        return chosen._replace(left_s=0.0)
    if early_left is not None and (plain_left is None or early_left < plain_left):
        return early
    return early if timer.early and not found.breach else plain


def _verdict(each: Judged, critical: bool, locked: str) -> Verdict:
    if not each.rule.enabled:
        return "disabled"
    if locked:
        return "locked"
    if each.blind:
        return "blind"
    if each.quiet:
        return "insufficient"
    if each.found.breach or each.timer.early:
        return "muted" if critical and each.rule.severity is not Severity.critical else "breach"
    return "insufficient" if each.found.breach is None else "ok"


def _sentence(each: Judged, verdict: Verdict, locked: str, idle: bool) -> str:
    rule, found, timer = each.rule, each.found, each.timer
    if verdict == "disabled":
        return "disabled: it never acts"
    if verdict == "locked":
        return f"locked: {locked}"
    if verdict == "blind":
        return f"blind: timer frozen at {clock(timer.held_s)} of {clock(rule.for_s)}"
    if each.quiet and verdict == "insufficient":
        return f"no traffic: timer paused at {clock(timer.held_s)} of {clock(rule.for_s)}"
    if verdict == "insufficient" and idle and rule.metric in WINDOWED:
        return "no LLM documents at 0 %: nothing to judge"
    if verdict == "insufficient":
        frozen = f", timer frozen at {clock(timer.held_s)} of {clock(rule.for_s)}" if timer.held_s else ""
        return f"insufficient: {told(found.says)}{frozen}"
    if verdict == "ok":
        return _figures(rule, found, "")
    first = _first(each)
    by = f", {first.name}" if first.name else ""
    held = f" for {clock(first.held_s)} of {clock(first.for_s)}{by}" if first.for_s else ""
    if (each.acted and each.acted == found.early_rule) or not found.breach:
        head = f"{words.NAMES[rule.metric]} is rising" if rule.metric != "latency_mean" else "latency is rising"
        return f"{head}: {told(found.early_text)},{held}"
    tail = ""
    if not each.acted and timer.held_s >= rule.for_s:
        tail = (
            f"; {told(found.says)}"
            if not found.convinced
            else "; waits a minute for a fresh failure"
            if found.wait_s
            else ""
        )
    return _figures(rule, found, held) + tail


def in_shadow(rule: Trigger, found: Finding) -> str:
    """What a rule would see if the shadow answers were served; "" for a rule that does not watch them."""
    if rule.metric not in WINDOWED:
        return ""
    if found.breach is None:
        return f"shadow: {told(found.says)}"
    return f"shadow: {_figures(rule, found, '')}"


def _headline(each: Judged) -> str:
    rule, found = each.rule, each.found
    short = {"error_rate": "errors", "latency_mean": "time", "cache_hit_rate": "cache hits"}
    name = short.get(rule.metric, words.NAMES[rule.metric])
    if rule.metric == "llm_available":
        return "LLM unavailable"
    if rule.metric == "error_creep":
        return f"errors creep up, {found.k} of {found.n}"
    if not found.breach:
        return f"{name} rising"
    if found.value is None or found.threshold is None or not math.isfinite(found.value):
        return name
    value, threshold = words.beside(rule.metric, found.value, found.threshold)
    return f"{name} {value} {_relation(found.value, found.threshold)} {threshold}"


def _evidence(each: Judged) -> str:
    found = each.found
    return told(found.text if found.breach else found.early_text)


def _relation(value: float, threshold: float) -> str:
    return "at exactly" if value == threshold else "over" if value > threshold else "under"


def _figures(rule: Trigger, found: Finding, held: str) -> str:
    """ "error rate 5.6 % over 5 % for 3:12 of 5:00 (17 of 304 in 5 min)"."""
    name = words.NAMES[rule.metric]
    if rule.metric == "llm_available":
        return f"LLM service {'unavailable' if found.breach else 'answers'}{held} ({told(found.text)})"
    if rule.metric == "error_creep":
        return f"error rate {'creeps up' if found.breach else 'steady'}{held} ({told(found.text)})"
    if found.value is None or found.threshold is None or not math.isfinite(found.value):
        return f"{name}{held} ({told(found.text)})"
    value, threshold = words.beside(rule.metric, found.value, found.threshold)
    return f"{name} {value} {_relation(found.value, found.threshold)} {threshold}{held} ({told(found.text)})"
