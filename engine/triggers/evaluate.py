"""All triggers against the evidence of one moment. Pure and total: the same rules judge live, in a backtest and in a simulation.

Timers count only time that was watched: the interval between two evaluations counts when both were in breach and no longer
than a lease apart (a longer gap means that routers had gone to 0 % by themselves). What cannot be judged holds a timer: it
neither advances nor resets it. A change of percentage (another epoch) starts all of them afresh.
"""

from __future__ import annotations

from engine.plan.durations import clock
from engine.plan.model import Action, Severity, Trigger, TriggerSettings
from engine.rollout.actions import STRENGTH, resulting
from engine.triggers import words
from engine.triggers.decision import BLIND, Decision, Proposal
from engine.triggers.evidence import Evidence, Moment, Timer, Timers
from engine.triggers.measurement import Stale
from engine.triggers.rules import WINDOWED, find
from engine.triggers.wording import Judged, read

_RANK = {severity: rank for rank, severity in enumerate(Severity)}
_FRESH = Timer()


def evaluate(
    rules: tuple[Trigger, ...], settings: TriggerSettings, timers: Timers, evidence: Evidence, moment: Moment
) -> Decision:
    """One evaluation. Give it the last one's `timers` (after a restart `timers.restored()`)."""
    dt = _watched(timers, moment, settings.lease_s)
    if timers.epoch != moment.epoch:
        timers, dt = Timers(moment.monotonic, moment.epoch), 0.0
    blind_s = _blind_time(timers, evidence, moment, dt)
    blind = bool(blind_s) and blind_s >= settings.blind_after_s
    before = timers.rules
    quiet = evidence.idle and evidence.unseen_s >= settings.blind_after_s
    judged = tuple(_judge(rule, settings, before.get(rule.id, _FRESH), evidence, dt, blind, quiet) for rule in rules)
    locked = moment.locked if moment.percent_bp <= 0 else ""
    firing = [each for each in judged if each.acted and not locked]
    critical = any(each.rule.severity is Severity.critical for each in firing)
    fired = tuple(each.rule.id for each in firing if _news(each))
    step_down = blind and moment.percent_bp > 0 and blind_s >= settings.blind_step_down_s
    sentence = _blind_sentence(evidence, blind_s, settings) if blind else ""
    proposals = [_proposal(each, read(each, critical, locked).sentence, moment) for each in firing]
    if step_down:
        proposals.append(_step_down(sentence, moment))
    return Decision(
        judged,
        Timers(moment.monotonic, moment.epoch, {each.rule.id: _latched(each) for each in judged}, blind_s, step_down),
        (*(each.rule.id for each in firing), *((BLIND,) if step_down else ())),
        (*fired, *((BLIND,) if step_down and not timers.blind_fired else ())),
        _winner(proposals, moment, judged, fired) if proposals else None,
        sentence,
        locked,
        critical,
        moment.percent_bp <= 0,
        _quiet_sentence(evidence) if quiet else "",
    )


# -- time --------------------------------------------------------------------------------------------------------------


def _watched(timers: Timers, moment: Moment, lease_s: float) -> float:
    """Seconds since the last evaluation; 0 after a restart, a downtime or a clock that jumped."""
    if timers.at is None:
        return 0.0
    dt = moment.monotonic - timers.at
    return dt if 0 < dt <= lease_s else 0.0


def _blind_time(timers: Timers, evidence: Evidence, moment: Moment, dt: float) -> float:
    unseen = (evidence.unseen and not evidence.idle) or isinstance(evidence.attempts, Stale)
    if not unseen or moment.percent_bp <= 0:
        return 0.0
    return max(timers.blind_s + dt, evidence.unseen_s, 1e-9)


def _judge(
    rule: Trigger, settings: TriggerSettings, timer: Timer, evidence: Evidence, dt: float, blind: bool, quiet: bool
) -> Judged:
    found = find(rule, settings, evidence)
    blind, quiet = blind and rule.metric in WINDOWED, quiet and rule.metric in WINDOWED
    if not rule.enabled:
        return Judged(rule, found, _FRESH, "", False)
    if blind or quiet:
        return Judged(rule, found, timer, "", blind, quiet)
    held, breach = _advance(timer.held_s, timer.breach, found.breach, dt)
    early_s, early = _advance(timer.early_s, timer.early, found.early, dt)
    timer = Timer(held, breach, early_s, early, timer.fired, timer.fired_value)
    acted = ""
    if early and early_s >= found.early_for_s and found.early_fresh:
        acted = found.early_rule
    if breach and held >= rule.for_s + found.wait_s and found.convinced:
        acted = found.rule
    return Judged(rule, found, timer, acted, False)


def _advance(held_s: float, was: bool, now: bool | None, dt: float) -> tuple[float, bool]:
    """None holds: the time so far stays, and the interval up to the next breach does not count."""
    if now is None:
        return held_s, False
    if not now:
        return 0.0, False
    return (held_s + dt if was else held_s), True


def _news(each: Judged) -> bool:
    """Fires now and did not before, or a count grew since (one more complaint)."""
    if not each.timer.fired:
        return True
    before, value = each.timer.fired_value, each.found.value
    return each.rule.metric == "complaints" and value is not None and before is not None and value > before


def _latched(each: Judged) -> Timer:
    """A rule that fired has acted until its breach ends: a person who resumes is not overruled by the same breach."""
    t = each.timer
    if each.acted:
        return Timer(t.held_s, t.breach, t.early_s, t.early, True, each.found.value)
    over = t.fired and each.found.breach is False and not t.early and not each.blind and not each.quiet
    return Timer(t.held_s, t.breach, t.early_s, t.early) if over else t


# -- which one acts ----------------------------------------------------------------------------------------------------


def _proposal(each: Judged, sentence: str, moment: Moment) -> Proposal:
    result = resulting(each.rule.action, moment.stage, moment.percent_bp, moment.stages, moment.held)
    return Proposal(each.rule.id, each.rule.action, result.stage, result.percent_bp, result.held, each.acted, sentence)


def _step_down(sentence: str, moment: Moment) -> Proposal:
    result = resulting(Action.previous_stage, moment.stage, moment.percent_bp, moment.stages, moment.held)
    return Proposal(BLIND, Action.previous_stage, result.stage, result.percent_bp, result.held, BLIND, sentence)


def _winner(
    proposals: list[Proposal], moment: Moment, judged: tuple[Judged, ...], fired: tuple[str, ...]
) -> Proposal | None:
    """The lowest resulting percentage, also from a rule that is muted: muting is for people, not for protection."""
    severity = {each.rule.id: _RANK[each.rule.severity] for each in judged}

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


def _blind_sentence(evidence: Evidence, blind_s: float, settings: TriggerSettings) -> str:
    if evidence.unseen:
        why = evidence.unseen
    elif isinstance(evidence.attempts, Stale):
        why = f"the last figure is {words.duration(evidence.attempts.age_s)} old"
    else:
        why = "no figures"
    left = settings.blind_step_down_s - blind_s
    then = f"one stage back in {clock(left)}" if left > 0 else "one stage back"
    return f"blind {clock(blind_s)}, {then}: {why}; promotion is held, timers are frozen"


def _quiet_sentence(evidence: Evidence) -> str:
    return f"no traffic: {evidence.unseen}, the LLM service answers; promotion waits, bake and timers pause, nothing steps down"
