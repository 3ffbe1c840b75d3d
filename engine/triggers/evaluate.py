"""Judges all triggers on the evidence of one moment. Pure and total: live, in a backtest and in a simulation alike.

Timers count only watched time: the interval between two evaluations counts when both were in breach and at most one
lease apart (after a longer gap the lease had expired and routers ran at 0 %). What cannot be judged pauses a timer: it
neither advances nor resets. A lower percentage (a new epoch) resets all timers; a higher one pauses them, see
`Timers.changed`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from engine.plan.durations import clock, format_duration
from engine.plan.model import Action, Severity, Trigger, TriggerSettings
from engine.rollout.actions import LOWERING, STRENGTH, resulting
from engine.triggers.decision import BLIND, Evaluation, ProposedAction
from engine.triggers.evidence import Evidence, Moment, Timer, Timers
from engine.triggers.finding import Finding
from engine.triggers.measurement import Stale
from engine.triggers.rules import WINDOWED, find
from engine.triggers.wording import JudgedRule, read

_RANK = {severity: rank for rank, severity in enumerate(Severity)}
_FRESH = Timer()


def evaluate(
    rules: tuple[Trigger, ...], settings: TriggerSettings, timers: Timers, evidence: Evidence, moment: Moment
) -> Evaluation:
    """One evaluation. `timers` are those of the last one (after a restart: `timers.restored()`)."""
    dt = _watched(timers, moment, settings)
    if timers.epoch != moment.epoch:
        timers, dt = timers.changed(moment.monotonic, moment.epoch, moment.percent_bp), 0.0
    found = [(rule, find(rule, settings, evidence)) for rule in rules]
    sight = _sight(found, settings, timers, evidence, moment, dt)
    judged = tuple(
        _judge(rule, finding, timers.rules.get(rule.id, _FRESH), dt, sight.hides(finding), sight.quiet)
        for rule, finding in found
    )
    locked = moment.locked if moment.percent_bp <= 0 else ""
    firing = [judgement for judgement in judged if judgement.acted and not locked]
    critical = any(_mutes(judgement.rule, moment) for judgement in firing)
    fired = tuple(judgement.rule.id for judgement in firing if _news(judgement))
    proposals = [_proposal(judgement, read(judgement, critical, locked).sentence, moment) for judgement in firing]
    if sight.steps_down:
        proposals.append(_step_down(f"blind {clock(sight.blind_s)}: {sight.blind_why}", moment))
    return Evaluation(
        judged=judged,
        timers=Timers(
            moment.monotonic,
            moment.epoch,
            {judgement.rule.id: _latched(judgement) for judgement in judged},
            sight.blind_s,
            sight.steps_down,
            moment.percent_bp,
        ),
        firing=(*(judgement.rule.id for judgement in firing), *((BLIND,) if sight.steps_down else ())),
        fired=(*fired, *((BLIND,) if sight.steps_down and not timers.blind_fired else ())),
        winner=_winner(proposals, moment, judged, fired) if proposals else None,
        blind_why=sight.blind_why,
        blind_step_in_s=settings.blind_step_down_s - sight.blind_s,
        locked=locked,
        critical=critical,
        idle=moment.percent_bp <= 0,
        unjudged=sight.unjudged if moment.percent_bp > 0 else "",
        quiet_detail=_quiet_detail(evidence) if sight.quiet else "",
    )


# -- what is seen ------------------------------------------------------------------------------------------------------


class _Sight(NamedTuple):
    """What of the evidence is missing. `silent`: why nothing is seen; `unjudged`: why something seen is not judged."""

    silent: str
    unjudged: str
    blind_s: float
    blind: bool
    steps_down: bool  # it has lasted long enough
    quiet: bool  # no traffic

    @property
    def blind_why(self) -> str:
        return (self.silent or self.unjudged) if self.blind else ""

    def hides(self, finding: Finding) -> bool:
        """A breach whatever the calls were that could not be judged counts on while the engine is late."""
        return self.blind and (bool(self.silent) or not (finding.breach or finding.early))


def _sight(
    found: Sequence[tuple[Trigger, Finding]],
    settings: TriggerSettings,
    timers: Timers,
    evidence: Evidence,
    moment: Moment,
    dt: float,
) -> _Sight:
    silent = _unseen(evidence)
    unjudged = next((finding.unjudged for rule, finding in found if finding.unjudged and rule.enabled), "")
    blind_s = _blind_time(timers, evidence, moment, dt) if silent or unjudged else 0.0
    blind = bool(blind_s) and blind_s >= settings.blind_after_s
    return _Sight(
        silent=silent,
        unjudged=unjudged,
        blind_s=blind_s,
        blind=blind,
        steps_down=blind and blind_s >= settings.blind_step_down_s,
        quiet=evidence.idle and evidence.unseen_s >= settings.blind_after_s,
    )


def _unseen(evidence: Evidence) -> str:
    """Why nothing is seen though documents arrive; "" while something is."""
    if evidence.unseen and not evidence.idle:
        return evidence.unseen
    if isinstance(evidence.attempts, Stale):
        return f"the latest figure is {format_duration(evidence.attempts.age_s)} old"
    return ""


def _quiet_detail(evidence: Evidence) -> str:
    return f"{evidence.unseen}, the LLM service answers; promotion waits, bake and timers pause, nothing steps down"


# -- time --------------------------------------------------------------------------------------------------------------


def _watched(timers: Timers, moment: Moment, settings: TriggerSettings) -> float:
    """Seconds since the last evaluation; 0 after a restart, downtime or a clock jump. In a time lapse hours pass
    between two: no more of them counts than a timer runs without documents."""
    if timers.at is None:
        return 0.0
    dt = moment.monotonic - timers.at
    return min(dt, settings.blind_after_s) if 0 < dt <= settings.lease_s else 0.0


def _blind_time(timers: Timers, evidence: Evidence, moment: Moment, dt: float) -> float:
    if moment.percent_bp <= 0:
        return 0.0
    return max(timers.blind_s + dt, evidence.unseen_s, 1e-9)


def _judge(rule: Trigger, finding: Finding, timer: Timer, dt: float, blind: bool, quiet: bool) -> JudgedRule:
    blind, quiet = blind and rule.metric in WINDOWED, quiet and rule.metric in WINDOWED
    if not rule.enabled:
        return JudgedRule(rule, finding, _FRESH, "", False)
    if blind or quiet:
        return JudgedRule(rule, finding, timer, "", blind, quiet)
    held, breach = _advance(timer.held_s, timer.breach, finding.breach, dt)
    early_s, early = _advance(timer.early_s, timer.early, finding.early, dt)
    timer = Timer(held, breach, early_s, early, timer.fired, timer.fired_value)
    acted = ""
    if early and early_s >= finding.early_for_s and finding.early_fresh:
        acted = finding.early_rule
    if breach and held >= rule.for_s + finding.wait_s and finding.convinced:
        acted = finding.rule
    return JudgedRule(rule, finding, timer, acted, False)


def _advance(held_s: float, was: bool, now: bool | None, dt: float) -> tuple[float, bool]:
    """Advance a timer. None pauses it: the time so far is kept, and the interval until the next breach does not
    count."""
    if now is None:
        return held_s, False
    if not now:
        return 0.0, False
    return (held_s + dt if was else held_s), True


def _news(judgement: JudgedRule) -> bool:
    """Fires now and did not before, or its count grew since (one more complaint)."""
    if not judgement.timer.fired:
        return True
    before, value = judgement.timer.fired_value, judgement.finding.value
    return judgement.rule.metric == "complaints" and value is not None and before is not None and value > before


def _mutes(rule: Trigger, moment: Moment) -> bool:
    """A critical rule acts for the lower ones, unless it has nothing left to lower."""
    return rule.severity is Severity.critical and (moment.percent_bp > 0 or rule.action not in LOWERING)


def _latched(judgement: JudgedRule) -> Timer:
    """A rule that fired does not act again until its breach ends: the same breach cannot overrule a person's resume."""
    t = judgement.timer
    if judgement.acted:
        return Timer(t.held_s, t.breach, t.early_s, t.early, True, judgement.finding.value)
    unseen = judgement.blind or judgement.quiet
    over = t.fired and judgement.finding.breach is False and not t.early and not unseen
    return Timer(t.held_s, t.breach, t.early_s, t.early) if over else t


# -- which one acts ----------------------------------------------------------------------------------------------------


def _proposal(judgement: JudgedRule, sentence: str, moment: Moment) -> ProposedAction:
    result = resulting(judgement.rule.action, moment.stage, moment.percent_bp, moment.stages, moment.held)
    return ProposedAction(
        judgement.rule.id,
        judgement.rule.action,
        result.stage,
        result.percent_bp,
        result.held,
        judgement.acted,
        sentence,
    )


def _step_down(sentence: str, moment: Moment) -> ProposedAction:
    result = resulting(Action.previous_stage, moment.stage, moment.percent_bp, moment.stages, moment.held)
    return ProposedAction(BLIND, Action.previous_stage, result.stage, result.percent_bp, result.held, BLIND, sentence)


def _winner(
    proposals: list[ProposedAction], moment: Moment, judged: tuple[JudgedRule, ...], fired: tuple[str, ...]
) -> ProposedAction | None:
    """The proposal with the lowest resulting percentage. Muted rules count too: muting only hides them from people."""
    severity = {judgement.rule.id: _RANK[judgement.rule.severity] for judgement in judged}

    def changes(judgement: ProposedAction) -> bool:
        if judgement.percent_bp < moment.percent_bp:
            return True
        if judgement.action is Action.pause:
            return not moment.held and judgement.id in fired
        return judgement.action is Action.investigate and judgement.id in fired

    return min(
        (judgement for judgement in proposals if changes(judgement)),
        key=lambda judgement: (judgement.percent_bp, STRENGTH[judgement.action], severity.get(judgement.id, 0)),
        default=None,
    )
