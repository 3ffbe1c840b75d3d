"""The exact second and the exact percentage at which an evaluation changes its mind."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from engine.plan.model import Action, Severity, Trigger
from engine.rollout.actions import STRENGTH
from engine.triggers.cusum import CREEP, Level, detectors
from engine.triggers.decision import BLIND, Evaluation
from engine.triggers.evaluate import evaluate
from engine.triggers.evidence import Evidence, Moment, Timer, Timers
from engine.triggers.measurement import NoData, Ok, Stale
from engine.triggers.windows import WindowTotals
from tests.engine.triggers.attempt_timeline import PERCENTS, PLAN, seen

SETTINGS = PLAN.trigger_settings
BLIND_AFTER, STEP_DOWN = SETTINGS.blind_after_s, SETTINGS.blind_step_down_s
RULE = Trigger("grounded", "Grounded", "grounded_rate", Action.previous_stage, Severity.high, for_s=60.0, below=0.9)
BAD, GOOD = Ok(0.5, 100, 50), Ok(1.0, 100, 100)
CACHE = next(rule for rule in PLAN.triggers if rule.metric == "cache_hit_rate")


def judge(
    evidence: Evidence, timers: Timers | None = None, *rules: Trigger, at: float = 100.0, **changes: Any
) -> Evaluation:
    """`timers` are by default those of a second ago."""
    moment = replace(Moment(at, 1, 3, 2500, PERCENTS), **changes)
    return evaluate(rules or (RULE,), SETTINGS, timers or Timers(at - 1, 1), evidence, moment)


def after(timer: Timer, **changes: Any) -> Timers:
    return replace(Timers(99.0, 1, {RULE.id: timer}), **changes)


def of(sample: Any, **changes: Any) -> Evidence:
    return Evidence(seen(), samples={"grounded_rate": sample}, **changes)


@pytest.mark.parametrize("seconds", [0.5, SETTINGS.lease_s])
def test_any_interval_up_to_a_lease_counts(seconds: float) -> None:
    before = after(Timer(10.0, True), at=100.0 - seconds)
    assert judge(of(BAD), before).timers.rules[RULE.id].held_s == 10.0 + seconds


def test_an_interval_of_a_time_lapse_counts_as_long_as_a_timer_runs_without_documents() -> None:
    moment, hours = Moment(36_100.0, 1, 3, 2500, PERCENTS), replace(SETTINGS, lease_s=86_400.0)
    result = evaluate((RULE,), hours, after(Timer(10.0, True), at=100.0), of(BAD), moment)
    assert result.timers.rules[RULE.id].held_s == 10.0 + BLIND_AFTER


@pytest.mark.parametrize("at", [100.0, 101.0, 100.0 - SETTINGS.lease_s - 0.01])
def test_no_time_at_all_or_more_than_a_lease_does_not(at: float) -> None:
    assert judge(of(BAD), after(Timer(10.0, True), at=at)).timers.rules[RULE.id].held_s == 10.0


@pytest.mark.parametrize(("held", "wait", "fires"), [(59.0, 0.0, True), (58.9, 0.0, False)])
def test_a_rule_fires_at_its_duration(held: float, wait: float, fires: bool) -> None:
    result = judge(of(BAD), after(Timer(held, True)))
    assert result.firing == ((RULE.id,) if fires else ())
    assert result.fired == result.firing


def test_a_fault_that_may_be_over_adds_to_the_duration() -> None:
    creep = next(rule for rule in PLAN.triggers if rule.metric == "error_creep")
    old = seen(levels={CREEP: Level(50.0, 100, 20, 300.0)}, clean_s=61.0, clean_in_row=5)
    for held, fires in ((creep.for_s + 58.9, False), (creep.for_s + 59.0, True)):
        before = Timers(99.0, 1, {creep.id: Timer(held, True)})
        assert bool(judge(Evidence(old), before, creep).firing) is fires


@pytest.mark.parametrize(("early_s", "fires"), [(119.0, True), (118.9, False)])
def test_an_early_detector_acts_at_its_own_duration(early_s: float, fires: bool) -> None:
    critical = next(rule for rule in PLAN.triggers if rule.id == "error_critical")
    design = detectors(critical).early
    assert design is not None
    loud = seen(levels={design: Level(50.0, 100, 20, 300.0)})
    before = Timers(99.0, 1, {critical.id: Timer(0.0, False, early_s, True)})
    assert bool(judge(Evidence(loud), before, critical).firing) is fires


def test_a_disabled_rule_is_neither_blind_nor_timed() -> None:
    result = judge(of(BAD), after(Timer(500.0, True)), replace(RULE, enabled=False))
    assert not result.judged[0].blind
    assert result.timers.rules[RULE.id] == Timer()


# -- blind and quiet ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unseen", "percent_bp", "blind_s"), [("", 2500, 0.0), ("no LLM documents", 0, 0.0), ("no LLM documents", 1, 21.0)]
)
def test_blind_time_counts_while_documents_are_expected_and_unseen(
    unseen: str, percent_bp: int, blind_s: float
) -> None:
    result = judge(of(GOOD, unseen=unseen), Timers(99.0, 1, blind_s=20.0), percent_bp=percent_bp)
    assert result.timers.blind_s == blind_s


def test_blindness_begins_with_no_time_at_all() -> None:
    assert 0 < judge(of(GOOD, unseen="no LLM documents"), Timers()).timers.blind_s < 0.1
    changed = judge(of(GOOD, unseen="no LLM documents"), Timers(99.0, 0, blind_s=500.0))  # another epoch
    assert 0 < changed.timers.blind_s < 0.1


@pytest.mark.parametrize(("before", "steps"), [(STEP_DOWN - 1, True), (STEP_DOWN - 1.1, False)])
def test_blind_long_enough_goes_one_stage_back(before: float, steps: bool) -> None:
    result = judge(of(GOOD, unseen="no LLM documents"), Timers(99.0, 1, blind_s=before))
    assert result.firing == result.fired == ((BLIND,) if steps else ())
    assert ("one stage back in 0:00" in result.blind_detail) is not steps
    assert "one stage back" in result.blind_detail


def test_how_long_until_the_step_back() -> None:
    detail = judge(of(GOOD, unseen="no LLM documents"), Timers(99.0, 1, blind_s=STEP_DOWN - 61)).blind_detail
    assert detail == "no LLM documents; one stage back in 1:00"
    last = judge(of(GOOD, unseen="no LLM documents"), Timers(99.0, 1, blind_s=STEP_DOWN - 1.5)).blind_detail
    assert "one stage back in 0:00" in last


def test_a_step_back_is_news_once() -> None:
    result = judge(of(GOOD, unseen="no LLM documents"), Timers(99.0, 1, blind_s=STEP_DOWN, blind_fired=True))
    assert result.firing == (BLIND,)
    assert result.fired == ()


@pytest.mark.parametrize(
    ("idle", "unseen_s", "quiet"),
    [(True, BLIND_AFTER, True), (True, BLIND_AFTER - 0.1, False), (False, BLIND_AFTER, False)],
)
def test_no_traffic_is_idle_for_as_long_as_blindness(idle: bool, unseen_s: float, quiet: bool) -> None:
    result = judge(of(GOOD, unseen="no LLM documents", unseen_s=unseen_s, idle=idle))
    assert bool(result.quiet) is quiet


@pytest.mark.parametrize("idle", [True, False])
def test_only_rules_with_a_window_are_blind_or_quiet(idle: bool) -> None:
    result = judge(of(GOOD, unseen="no LLM documents", unseen_s=BLIND_AFTER, idle=idle), None, RULE, CACHE)
    grounded, cache = result.judged
    assert (grounded.blind, grounded.quiet) == (False, False)
    assert (cache.blind, cache.quiet) == (not idle, idle)


# -- a rule that fired -------------------------------------------------------------------------------------------------

FIRED = Timer(90.0, True, 0.0, False, True, 0.5)


def test_a_breach_that_ends_is_forgotten_and_one_that_pauses_is_not() -> None:
    assert not judge(of(GOOD), after(FIRED)).timers.rules[RULE.id].fired
    assert judge(of(NoData()), after(FIRED)).timers.rules[RULE.id].fired
    assert judge(of(BAD), after(FIRED)).timers.rules[RULE.id].fired
    assert not judge(of(GOOD), after(Timer())).timers.rules[RULE.id].fired


@pytest.mark.parametrize("idle", [True, False])
def test_what_cannot_be_seen_does_not_end_a_breach(idle: bool) -> None:
    healthy = seen(windows={CACHE.for_s: WindowTotals(CACHE.for_s, 0, 0, lookups=100, hits=90)})
    before = Timers(99.0, 1, {CACHE.id: FIRED})
    assert not judge(Evidence(healthy), before, CACHE).timers.rules[CACHE.id].fired
    unseen = Evidence(healthy, unseen="no LLM documents", unseen_s=BLIND_AFTER, idle=idle)
    assert judge(unseen, before, CACHE).timers.rules[CACHE.id].fired


def test_a_breach_that_the_early_detector_still_sees_is_kept() -> None:
    critical = next(rule for rule in PLAN.triggers if rule.id == "error_critical")
    design = detectors(critical).early
    assert design is not None
    few = seen(last=WindowTotals(300.0, 100, 1), levels={design: Level(50.0, 100, 20, 300.0)})
    before = Timers(99.0, 1, {critical.id: FIRED})
    result = judge(Evidence(few), before, critical)
    assert result.judged[0].finding.breach is False
    assert result.timers.rules[critical.id].fired


# -- the lock, the winner ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("percent_bp", "locked", "idle"), [(0, "x fired", True), (1, "", False)])
def test_a_lock_and_idleness_are_of_zero_percent(percent_bp: int, locked: str, idle: bool) -> None:
    result = judge(of(BAD), after(Timer(90.0, True)), percent_bp=percent_bp, locked="x fired")
    assert (result.locked, result.idle) == (locked, idle)
    assert bool(result.firing) is not bool(locked)


def test_a_pause_changes_nothing_while_held() -> None:
    pause = replace(RULE, action=Action.pause)
    assert judge(of(BAD), after(Timer(90.0, True)), pause).winner is not None
    assert judge(of(BAD), after(Timer(90.0, True)), pause, held=True).winner is None
    assert judge(of(BAD), after(FIRED), pause).winner is None


def test_of_two_equal_steps_blindness_counts_as_critical() -> None:
    result = judge(of(BAD, unseen="no LLM documents"), replace(after(Timer(90.0, True)), blind_s=STEP_DOWN))
    assert set(result.firing) == {RULE.id, BLIND}
    assert result.winner is not None
    assert result.winner.id == BLIND
    assert STRENGTH[RULE.action] == STRENGTH[Action.previous_stage]


def test_old_figures_are_blindness_and_name_their_age() -> None:
    stale = Evidence(Stale(95.0))
    assert "the latest figure is 1m 35s old" in judge(stale, Timers(99.0, 1, blind_s=BLIND_AFTER)).blind_detail


@pytest.mark.parametrize(
    ("before_bp", "sample", "held"),
    [(1000, BAD, 50.0), (1000, NoData(), 50.0), (1000, GOOD, 0.0), (5000, BAD, 0.0), (0, BAD, 0.0)],
)
def test_a_raise_does_not_restart_the_countdown_of_a_breach(before_bp: int, sample: Any, held: float) -> None:
    """Promoting during an alert would otherwise postpone its rollback. A lower percentage is judged afresh."""
    result = judge(of(sample), after(Timer(50.0, True), epoch=0, percent_bp=before_bp))
    assert result.timers.rules[RULE.id].held_s == held
    assert result.timers.percent_bp == 2500
