"""One test per rule of the trigger table, named after it; boundaries exactly at the threshold; pairs that fire together."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from engine.plan.model import Action
from engine.triggers.evaluate import evaluate
from engine.triggers.evidence import Evidence, Moment, Probes, Timers
from engine.triggers.finding import beyond
from engine.triggers.measurement import NoData, Ok, Sample
from engine.triggers.windows import RecentAttempts
from tests.engine.triggers.attempt_timeline import PERCENTS, PLAN, Scene


def test_error_critical_above_five_percent_for_five_minutes_goes_to_zero() -> None:
    scene = Scene().run(900, failing=0.08)
    at, rule = next(w for w in scene.winners if w[1] == "error_critical")
    assert rule == "error_critical"
    assert at <= 700


def test_error_critical_at_exactly_five_percent_does_not_fire() -> None:
    scene = Scene().run(1200, per_min=60, failing=0.05)
    assert "error_critical" not in [rule for _, rule in scene.winners]


def test_error_high_includes_exactly_three_percent() -> None:
    rule = next(t for t in PLAN.triggers if t.id == "error_high")
    assert (rule.above, rule.inclusive, rule.action) == (0.03, True, Action.previous_stage)
    scene = Scene(mode="literal")
    for n in range(300):  # ten a minute, of each hundred in a row exactly three fail
        scene.recent.add(6.0 * n + 3, n % 100 not in (10, 40, 70))
    scene.t = 1800
    scene.evaluate()
    reading = scene.reading("error_high")
    assert (reading.value, reading.verdict, reading.headline) == (0.03, "breach", "errors 3 % at exactly 3 %")


def test_just_below_three_percent_is_well() -> None:
    scene = Scene(mode="literal").run(3600, per_min=20, failing=0.025)
    assert scene.winners == []


def test_error_high_between_three_and_five_percent_for_ten_minutes_goes_back_one_stage() -> None:
    scene = Scene().run(2400, failing=0.04)
    assert {rule for _, rule in scene.winners} <= {"error_high", "error_creep"}
    assert 600 < scene.first("error_high") <= 1500
    winner = next(one for one in [scene.last.winner] if one)  # type: ignore[union-attr]
    assert (winner.id, winner.percent_bp) == ("error_high", 2500)


def test_latency_between_two_and_three_seconds_for_half_an_hour_halves() -> None:
    scene = Scene().run(2400, ms=2500.0)
    assert scene.winners[0][1] == "latency_medium"
    assert scene.last is not None
    assert scene.last.winner is not None
    assert (scene.last.winner.action, scene.last.winner.percent_bp) == (Action.halve, 2500)


def test_latency_at_exactly_two_seconds_counts() -> None:
    scene = Scene().run(1500, ms=2000.0)
    assert scene.verdict("latency_medium") == "breach"


def test_cache_hits_below_ten_percent_for_six_hours_ask_for_a_look_once_and_change_nothing() -> None:
    scene = Scene().run(6 * 3600 + 1800, per_min=2, hits=0.0)
    assert scene.winners == [(scene.first("cache_low"), "cache_low")]
    assert 6 * 3600 <= scene.first("cache_low") <= 6.4 * 3600


def test_cache_hits_at_exactly_ten_percent_are_well() -> None:
    rule = next(t for t in PLAN.triggers if t.id == "cache_low")
    assert not beyond(rule, 0.10)
    assert beyond(rule, 0.0999)


def test_error_creep_holds_promotion_before_any_window_fills() -> None:
    scene = Scene(stage=2).run(4 * 3600, per_min=1, failing=0.0)
    began = scene.t
    scene.run(3600, per_min=6, failing=0.06)
    assert began < scene.first("error_creep") < began + 3000
    assert scene.first("error_creep") < scene.first("error_critical")


def test_documents_turned_away_by_an_open_breaker_count_as_failures() -> None:
    """They have no time of their own, so they must not make the service look fast either."""
    scene = Scene().run(600, ms=1500.0)
    for n in range(60):
        scene.recent.add(scene.t + n, ok=False, ms=None, fresh=False)
    scene.t += 60
    scene.evaluate()
    assert scene.reading("error_critical").k == 60
    assert scene.reading("latency_high").value == 1500.0


def test_five_failed_calls_in_a_row_need_fifteen_seconds() -> None:
    scene = Scene().run(120)
    for n in range(30):
        scene.recent.add(scene.t + n * 0.4, False)
    scene.t += 12
    scene.evaluate()
    assert scene.verdict("llm_unavailable") == "ok"
    scene.recent.add(scene.t + 4, False)
    scene.t += 5
    scene.evaluate()
    assert scene.verdict("llm_unavailable") == "breach"
    scene.recent.add(scene.t, True)
    scene.evaluate()
    assert scene.verdict("llm_unavailable") == "ok"


def test_a_healthy_service_never_fires() -> None:
    assert Scene().run(3600, failing=0.0).winners == []


def test_latency_above_three_seconds_for_ten_minutes_goes_back_one_stage() -> None:
    scene = Scene().run(1500, ms=3500.0)
    assert "latency_high" in [rule for _, rule in scene.winners]


def test_latency_at_exactly_three_seconds_is_of_the_lower_band() -> None:
    scene = Scene().run(1500, ms=3000.0)
    assert "latency_high" not in [rule for _, rule in scene.winners]
    assert scene.verdict("latency_medium") == "breach"


def test_latency_below_two_seconds_is_well() -> None:
    assert Scene().run(1500, ms=1999.0).verdict("latency_medium") == "ok"


def test_an_unavailable_service_goes_to_zero_within_a_minute_or_so() -> None:
    scene = Scene().run(120, per_min=10)
    scene.failed_probes = 3
    began = scene.t
    scene.run(120, per_min=0)
    at = next(t for t, rule in scene.winners if rule == "llm_unavailable")
    assert at - began <= 90


@pytest.mark.parametrize(("count", "rule"), [(5, None), (6, "complaints"), (10, "complaints"), (11, "complaints_many")])
def test_complaints_pause_above_five_and_roll_back_above_ten(count: int, rule: str | None) -> None:
    scene = Scene().run(60)
    scene.samples = {"complaints": Ok(float(count), count)}
    decision = scene.evaluate()
    assert (decision.winner.id if decision.winner else None) == rule


def test_several_together_take_the_lowest_percentage_and_critical_mutes_lower() -> None:
    scene = Scene().run(900, failing=0.3, ms=4000.0)
    scene.samples = {"complaints": Ok(7.0, 7)}
    decision = scene.evaluate()
    assert decision.winner is not None
    assert decision.winner.percent_bp == 0
    assert scene.verdict("latency_high") == "muted"


def test_too_few_documents_are_insufficient_with_the_time_it_takes() -> None:
    scene = Scene().run(60, per_min=5, failing=0.2)
    reading = next(r for r in scene.last.readings if r.id == "error_critical")  # type: ignore[union-attr]
    assert reading.verdict == "insufficient"
    assert "of 20" in reading.sentence


def test_no_data_holds_the_timer_and_neither_heals_nor_fires() -> None:
    scene = Scene().run(240, failing=0.3)
    held = scene.held("error_critical")
    assert held > 0
    before = len(scene.winners)
    scene.recent.reset(scene.t)
    scene.run(600, per_min=0)
    assert scene.held("error_critical") == held
    assert len(scene.winners) == before


def test_downtime_neither_fires_nor_forgets_a_timer() -> None:
    scene = Scene().run(200, failing=0.3, per_min=30)
    held = scene.held("error_critical")
    scene.t += 3600
    scene.timers = scene.timers.restored()
    scene.recent.add(scene.t, False)
    scene.evaluate()
    assert scene.held("error_critical") <= held


def test_a_change_of_percentage_starts_every_timer_afresh() -> None:
    scene = Scene().run(200, failing=0.3)
    assert scene.held("error_critical") > 0
    evidence = Evidence(scene.recent.at(scene.t))
    fresh = evaluate(
        PLAN.triggers, PLAN.trigger_settings, scene.timers, evidence, Moment(scene.t + 1, 2, 4, 5000, PERCENTS)
    )
    assert all(reading.held_s == 0 for reading in fresh.readings)


samples = st.one_of(st.just(NoData()), st.builds(Ok, st.floats(-1e9, 1e9), st.integers(0, 10_000)))


@given(
    st.lists(st.tuples(st.floats(0, 100), st.booleans(), st.floats(0, 1e5)), max_size=60),
    st.integers(0, 5), st.integers(0, 10_000), st.integers(0, 9), samples,
)  # fmt: skip
def test_evaluate_is_total_and_never_raises_the_percentage(
    attempts: list[tuple[float, bool, float]], stage: int, percent_bp: int, probes: int, complaints: Sample
) -> None:
    recent = RecentAttempts(PLAN.triggers, PLAN.trigger_settings, 0.0)
    t = 0.0
    timers = Timers()
    for gap, ok, ms in attempts:
        t += gap
        recent.add(t, ok, ms)
        evidence = Evidence(recent.at(t), Probes(probes, 1), {"complaints": complaints})
        decision = evaluate(
            PLAN.triggers, PLAN.trigger_settings, timers, evidence, Moment(t, 1, stage, percent_bp, PERCENTS)
        )
        timers = decision.timers
        if decision.winner is not None:
            assert decision.winner.percent_bp <= percent_bp
