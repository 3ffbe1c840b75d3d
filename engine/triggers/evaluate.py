"""All triggers against the evidence of one moment. Pure and total: the same rules judge live, in a backtest and in a simulation.

Timers count only time that was watched: the interval between two evaluations counts when both were in breach and no longer
than a lease apart (a longer gap means that routers had gone to 0 % by themselves). What cannot be judged holds a timer: it
neither advances nor resets it. A change of percentage (another epoch) starts all of them afresh.
"""

from __future__ import annotations

import math
from typing import Literal

from msgspec import Struct, structs

from engine.plan.durations import clock
from engine.plan.model import Action, Severity, Trigger, TriggerSettings
from engine.triggers import words
from engine.triggers.actions import STRENGTH, Result, resulting
from engine.triggers.evidence import Evidence, Moment, Timer, Timers
from engine.triggers.judge import WINDOWED, Finding, find
from engine.triggers.sample import Stale

Verdict = Literal["ok", "breach", "insufficient", "blind", "muted", "locked", "disabled"]
BLIND = "blind"  # the id under which blindness itself steps down


class Reading(Struct, frozen=True):
    """One rule, ready to show. `fires_in_s` is 0 while it fires, None when nobody can say."""

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


class Proposal(Struct, frozen=True):
    """What is to be done: at most one a moment. It never raises the percentage."""

    id: str
    action: Action
    stage: int
    percent_bp: int
    held: bool
    rule: str
    sentence: str


class Decision(Struct, frozen=True):
    """`firing`: every rule whose time has run out; `fired`: those of them that had not before (log, notify)."""

    readings: tuple[Reading, ...]
    timers: Timers
    firing: tuple[str, ...] = ()
    fired: tuple[str, ...] = ()
    winner: Proposal | None = None
    blind: str = ""  # the sentence; promotion is held while it is not empty


class _Judged(Struct, frozen=True):
    rule: Trigger
    found: Finding
    timer: Timer
    acted: str  # "" or the detector whose time has run out
    blind: bool


def evaluate(
    rules: tuple[Trigger, ...], settings: TriggerSettings, timers: Timers, evidence: Evidence, moment: Moment
) -> Decision:
    """One evaluation. Give it the last one's `timers` (after a restart `timers.restored()`)."""
    dt = _watched(timers, moment, settings.lease_s)
    if timers.epoch != moment.epoch:
        timers, dt = Timers(moment.monotonic, moment.epoch), 0.0
    blind_s = _blind_time(timers, evidence, moment, dt)
    blind = bool(blind_s) and blind_s >= settings.blind_after_s
    judged = [_judge(rule, settings, timers.rules.get(rule.id, Timer()), evidence, dt, blind) for rule in rules]
    firing = [each for each in judged if each.acted]
    critical = any(each.rule.severity is Severity.critical for each in firing)
    locked = moment.locked if moment.percent_bp <= 0 else ""
    readings = tuple(_reading(each, settings, critical, locked) for each in judged)
    fired = tuple(each.rule.id for each in firing if _news(each))
    step_down = blind and moment.percent_bp > 0 and blind_s >= settings.blind_step_down_s
    sentence = _blind_sentence(evidence, blind_s, settings) if blind else ""
    proposals = [_proposal(each, reading, moment) for each, reading in zip(judged, readings, strict=True) if each.acted]
    if step_down:
        proposals.append(_step_down(sentence, moment))
    kept = {each.rule.id: _latched(each) for each in judged}
    return Decision(
        readings,
        Timers(moment.monotonic, moment.epoch, kept, blind_s, step_down),
        (*(each.rule.id for each in firing), *((BLIND,) if step_down else ())),
        (*fired, *((BLIND,) if step_down and not timers.blind_fired else ())),
        _winner(proposals, moment, rules, fired),
        sentence,
    )


# -- time --------------------------------------------------------------------------------------------------------------


def _watched(timers: Timers, moment: Moment, lease_s: float) -> float:
    """Seconds since the last evaluation; 0 after a restart, a downtime or a clock that jumped."""
    if timers.at is None:
        return 0.0
    dt = moment.monotonic - timers.at
    return dt if 0 < dt <= lease_s else 0.0


def _blind_time(timers: Timers, evidence: Evidence, moment: Moment, dt: float) -> float:
    unseen = evidence.unseen or isinstance(evidence.attempts, Stale)
    if not unseen or moment.percent_bp <= 0:
        return 0.0
    return timers.blind_s + dt if timers.blind_s else max(dt, 1e-9)


def _judge(
    rule: Trigger, settings: TriggerSettings, timer: Timer, evidence: Evidence, dt: float, blind: bool
) -> _Judged:
    found = find(rule, settings, evidence)
    blind = blind and rule.metric in WINDOWED
    if not rule.enabled:
        return _Judged(rule, found, Timer(), "", False)
    if blind:
        return _Judged(rule, found, timer, "", True)
    held, breach = _advance(timer.held_s, timer.breach, found.breach, dt)
    early_s, early = _advance(timer.early_s, timer.early, found.early, dt)
    timer = structs.replace(timer, held_s=held, breach=breach, early_s=early_s, early=early)
    acted = ""
    if early and early_s >= found.early_for_s and found.early_fresh:
        acted = found.early_rule
    if breach and held >= rule.for_s + found.wait_s and found.convinced:
        acted = found.rule
    return _Judged(rule, found, timer, acted, False)


def _advance(held_s: float, was: bool, now: bool | None, dt: float) -> tuple[float, bool]:
    """None holds: the time so far stays, and the interval up to the next breach does not count."""
    if now is None:
        return held_s, False
    if not now:
        return 0.0, False
    return (held_s + dt if was else held_s), True


def _news(each: _Judged) -> bool:
    """Fires now and did not before, or a count grew since (one more complaint)."""
    if not each.timer.fired:
        return True
    before, value = each.timer.fired_value, each.found.value
    return each.rule.metric == "complaints" and value is not None and before is not None and value > before


def _latched(each: _Judged) -> Timer:
    """A rule that fired has acted until its breach ends: a person who resumes is not overruled by the same breach."""
    timer = each.timer
    if each.acted:
        return structs.replace(timer, fired=True, fired_value=each.found.value)
    over = each.found.breach is False and not timer.early and not each.blind
    return structs.replace(timer, fired=False, fired_value=None) if over and timer.fired else timer


# -- which one acts ----------------------------------------------------------------------------------------------------


def _proposal(each: _Judged, reading: Reading, moment: Moment) -> Proposal:
    result = resulting(each.rule.action, moment.stage, moment.percent_bp, moment.stages, moment.held)
    return Proposal(
        each.rule.id, each.rule.action, result.stage, result.percent_bp, result.held, each.acted, reading.sentence
    )


def _step_down(sentence: str, moment: Moment) -> Proposal:
    result: Result = resulting(Action.previous_stage, moment.stage, moment.percent_bp, moment.stages, moment.held)
    return Proposal(BLIND, Action.previous_stage, result.stage, result.percent_bp, result.held, BLIND, sentence)


def _winner(
    proposals: list[Proposal], moment: Moment, rules: tuple[Trigger, ...], fired: tuple[str, ...]
) -> Proposal | None:
    """The lowest resulting percentage, also from a rule that is muted: muting is for people, not for protection."""
    severity = {rule.id: list(Severity).index(rule.severity) for rule in rules}

    def changes(each: Proposal) -> bool:
        if each.percent_bp < moment.percent_bp:
            return True
        if each.action is Action.pause:
            return not moment.held and each.id in fired
        return each.action is Action.investigate and each.id in fired

    return min(
        (each for each in proposals if changes(each)),
        key=lambda each: (each.percent_bp, STRENGTH[each.action], severity.get(each.id, 0)),
        default=None,
    )


# -- in words ----------------------------------------------------------------------------------------------------------


def _reading(each: _Judged, settings: TriggerSettings, critical: bool, locked: str) -> Reading:
    rule, found, timer = each.rule, each.found, each.timer
    verdict = _verdict(each, critical, locked)
    fires_in = _fires_in(each) if verdict in ("breach", "muted") else None
    by_early = each.acted and each.acted == found.early_rule
    held, for_s = (timer.early_s, found.early_for_s) if by_early else (timer.held_s, rule.for_s)
    name = each.acted or (found.rule if found.breach is not False or not timer.early else found.early_rule)
    return Reading(
        rule.id, verdict, found.value, found.threshold, found.n, found.k, held, for_s, name,
        _sentence(each, verdict, settings, locked), found.resets if verdict in ("breach", "muted") else "", fires_in,
    )  # fmt: skip


def _verdict(each: _Judged, critical: bool, locked: str) -> Verdict:
    if not each.rule.enabled:
        return "disabled"
    if locked:
        return "locked"
    if each.blind:
        return "blind"
    if each.found.breach or each.timer.early:
        return "muted" if critical and each.rule.severity is not Severity.critical else "breach"
    return "insufficient" if each.found.breach is None else "ok"


def _fires_in(each: _Judged) -> float | None:
    if each.acted:
        return 0.0
    found, timer = each.found, each.timer
    ends = []
    if timer.breach and found.convinced:
        ends.append(each.rule.for_s + found.wait_s - timer.held_s)
    if timer.early and found.early_fresh:
        ends.append(found.early_for_s - timer.early_s)
    return max(0.0, min(ends)) if ends else None


def _sentence(each: _Judged, verdict: Verdict, settings: TriggerSettings, locked: str) -> str:
    rule, found, timer = each.rule, each.found, each.timer
    if verdict == "disabled":
        return "disabled: it never acts"
    if verdict == "locked":
        return f"locked: {locked}"
    if verdict == "blind":
        return f"blind: the timer stands at {clock(timer.held_s)} of {clock(rule.for_s)}"
    if verdict == "insufficient":
        frozen = f", the timer stands at {clock(timer.held_s)} of {clock(rule.for_s)}" if timer.held_s else ""
        return f"insufficient: {found.says}{frozen}"
    if verdict == "ok":
        return _figures(rule, found, "")
    if (each.acted and each.acted == found.early_rule) or not found.breach:
        head = f"{words.NAMES[rule.metric]} is rising" if rule.metric != "latency_mean" else "time is rising"
        return f"{head}: {found.early_text}, for {clock(timer.early_s)} of {clock(found.early_for_s)}"
    held = f" for {clock(timer.held_s)} of {clock(rule.for_s)}" if rule.for_s else ""
    tail = ""
    if not each.acted and timer.held_s >= rule.for_s:
        tail = (
            f"; {found.says}" if not found.convinced else "; waits a minute for a fresh failure" if found.wait_s else ""
        )
    return _figures(rule, found, held) + tail


def _figures(rule: Trigger, found: Finding, held: str) -> str:
    """ "error rate 5.6 % over 5 % for 3:12 of 5:00 (17 of 304 in 5 min)"."""
    name = words.NAMES[rule.metric]
    if rule.metric == "llm_available":
        return f"LLM service {'unavailable' if found.breach else 'answers'}{held} ({found.text})"
    if rule.metric == "error_creep":
        return f"error rate {'creeps up' if found.breach else 'steady'}{held} ({found.text})"
    if found.value is None or found.threshold is None or not math.isfinite(found.value):
        return f"{name}{held} ({found.text})"
    value, threshold = words.beside(rule.metric, found.value, found.threshold)
    relation = "at exactly" if found.value == found.threshold else "over" if found.value > found.threshold else "under"
    return f"{name} {value} {relation} {threshold}{held} ({found.text})"


def _blind_sentence(evidence: Evidence, blind_s: float, settings: TriggerSettings) -> str:
    if evidence.unseen:
        why = evidence.unseen
    elif isinstance(evidence.attempts, Stale):
        why = f"the last figure is {words.duration(evidence.attempts.age_s)} old"
    else:
        why = "no figures"
    left = settings.blind_step_down_s - blind_s
    then = f"one stage down in {clock(left)}" if left > 0 else "one stage down"
    return f"blind for {clock(blind_s)}: {why}; promotion is held, timers are frozen, {then}"
