"""A gate is judged by confidence bounds and states exactly what is missing; the calendar blocks it and states until when."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from console.widgets import checklist
from engine.gate import conditions
from engine.plan.load import default_plan_text, parse_plan
from engine.plan.model import Condition
from engine.triggers.measurement import Error, NoData, Ok, Sample, rate

PLAN = parse_plan(default_plan_text())
CANARY = PLAN.stages[2]


def error_rate(confidence: float = 0.95) -> Condition:
    return Condition("error_rate", "Error rate < 1 %", "error_rate", "<", 0.01, confidence)


def judged(sample: Sample, condition: Condition | None = None, per_min: float = 1.0):  # type: ignore[no-untyped-def]
    condition = condition or error_rate()
    return conditions.judge(condition, conditions.GateFacts({condition.metric: sample}, per_min))


def test_a_clean_error_rate_needs_299_documents() -> None:
    assert judged(rate(0, 298)).met is False
    assert judged(rate(0, 299)).met is True


def test_it_shows_how_many_more_documents_and_how_long() -> None:
    view = judged(rate(0, 180))
    assert "0/180 errors: at most 1.65 %" in view.missing
    assert "119 more documents, about 1h 59m" in view.missing


def test_a_figure_within_its_target_is_unproven_and_one_beyond_it_is_missed() -> None:
    few, beyond = judged(rate(0, 180), per_min=0.0), judged(rate(9, 180))
    assert (few.met, few.unproven, few.eta_s) == (False, True, None)
    assert (beyond.met, beyond.unproven, beyond.eta_s) == (False, False, None)
    assert "errors must stop" in beyond.missing
    assert "about" not in beyond.missing  # no one knows when they stop
    assert checklist.sign(few)[0] == "○"
    assert checklist.sign(beyond)[0] == "✖"


def test_at_confidence_one_half_the_figure_itself_is_judged() -> None:
    assert judged(rate(0, 20), error_rate(0.5)).met is True


@pytest.mark.parametrize("sample", [NoData(), Error("the store is locked")])
def test_no_data_never_meets_a_condition(sample: Sample) -> None:
    view = judged(sample)
    assert view.met is None
    assert view.missing


def test_an_optional_condition_blocks_only_on_a_miss() -> None:
    condition = Condition("s", "Satisfaction > 80 %", "satisfaction", ">", 0.8, 0.5, required=False)
    assert judged(NoData(), condition).missing == ""
    assert judged(rate(5, 10), condition).missing


def test_a_mean_is_judged_by_its_upper_bound() -> None:
    condition = Condition("t", "time < 2 s", "latency_mean", "<", 2000.0)
    assert judged(Ok(1900.0, 10, None, 1e6), condition).met is False
    assert judged(Ok(1900.0, 1000, None, 1e6), condition).met is True


def test_the_gate_opens_only_when_nothing_is_missing_and_nothing_blocks() -> None:
    good: dict[str, Sample] = {
        "error_rate": rate(0, 400), "latency_mean": Ok(900.0, 400, None, 1e5), "cache_hit_rate": rate(200, 400), "quality_score": rate(20, 20),
    }  # fmt: skip
    facts = conditions.GateFacts(good, 1.0)
    assert conditions.assess(CANARY, facts, (), CANARY.bake_s, 0, ()).open
    baking = conditions.assess(CANARY, facts, (), CANARY.bake_s - 3600, 0, ())
    assert not baking.open
    assert "bake: 1h left" in baking.missing[0]
    assert not conditions.assess(CANARY, facts, (), CANARY.bake_s, 0, ("held by bo",)).open


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
