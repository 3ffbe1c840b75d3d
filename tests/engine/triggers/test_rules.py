"""One test a rule of the triggers' table, each named after it; boundaries exactly at the threshold; pairs that fire together."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from engine.plan.load import default_plan_text, parse_plan
from engine.plan.model import Action, Metric
from engine.triggers.decision import Decision
from engine.triggers.evaluate import evaluate
from engine.triggers.evidence import Evidence, Moment, Probes, Timers
from engine.triggers.recent import RecentAttempts
from engine.triggers.sample import NoData, Ok, Sample

PLAN = parse_plan(default_plan_text())
PERCENTS = tuple(stage.percent_bp for stage in PLAN.stages)
TICK = 10.0


class Scene:
    """Attempts in time, an evaluation every ten seconds."""

    def __init__(self, stage: int = 4) -> None:
        self.recent = RecentAttempts(PLAN.triggers, PLAN.trigger_settings, 0.0)
        self.timers = Timers()
        self.t = 0.0
        self.stage = stage
        self.samples: dict[Metric, Sample] = {}
        self.failed_probes = 0
        self.last: Decision | None = None
        self.winners: list[tuple[float, str]] = []

    def run(
        self, seconds: float, per_min: float = 60.0, failing: float = 0.0, ms: float = 1000.0, hits: float = 0.3
    ) -> Scene:
        """Evenly spread attempts, of which every so many fails; a winner is noted and the scene goes on."""
        end, due, failed = self.t + seconds, self.t, 0.0
        while self.t < end:
            self.t += TICK
            while per_min and due < self.t:
                due += 60.0 / per_min
                failed += failing
                bad = failed >= 1 - 1e-9
                failed -= bad
                self.recent.add(due, not bad, None if bad else ms, not bad)
                self.recent.look_up(due, hits > 0.2)
            self.evaluate()
        return self

    def evaluate(self) -> Decision:
        evidence = Evidence(self.recent.at(self.t), Probes(self.failed_probes, 2), self.samples)
        moment = Moment(self.t, 1, self.stage, PERCENTS[self.stage], PERCENTS)
        self.last = evaluate(PLAN.triggers, PLAN.trigger_settings, self.timers, evidence, moment)
        self.timers = self.last.timers
        if self.last.winner is not None:
            self.winners.append((self.t, self.last.winner.id))
        return self.last

    def verdict(self, rule: str) -> str:
        assert self.last is not None
        return next(r.verdict for r in self.last.readings if r.id == rule)

    def held(self, rule: str) -> float:
        """Seconds that the window's own timer has counted; the early detector has another."""
        return self.timers.rules[rule].held_s


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


def test_too_few_documents_are_insufficient_and_say_how_long() -> None:
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
def test_it_is_total_and_never_raises_the_percentage(
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
