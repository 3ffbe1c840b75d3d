"""Every condition on samples has a minimum and reports how many are missing."""

from __future__ import annotations

import pytest

from engine.gate.conditions import FEWEST, GateFacts, judge
from engine.plan.model import Condition
from engine.triggers.measurement import Ok


@pytest.mark.parametrize(
    ("metric", "op", "value", "sample"),
    [
        ("satisfaction", ">", 0.8, Ok(1.0, 1, 1)),
        ("cache_hit_rate", ">", 0.2, Ok(1.0, 2, 2)),
        ("latency_mean", "<", 2000.0, Ok(900.0, 3, None, 10.0)),
        ("search_improvement", ">=", 0.1, Ok(0.5, 2)),
    ],
)
@pytest.mark.parametrize("confidence", [0.5, 0.95])
def test_a_few_samples_meet_no_condition(metric: str, op: str, value: float, sample: Ok, confidence: float) -> None:
    condition = Condition(id="c", text="It is good", metric=metric, op=op, value=value, confidence=confidence)  # type: ignore[arg-type]
    verdict = judge(condition, GateFacts({metric: sample}))
    assert not verdict.met
    assert verdict.met is False or f"n = {sample.n} of {FEWEST}" in verdict.missing


def test_a_count_is_judged_at_once() -> None:
    condition = Condition(id="c", text="No incident", metric="critical_incidents", op="<=", value=0, confidence=0.5)
    assert judge(condition, GateFacts({"critical_incidents": Ok(0.0, 0)})).met is True


def test_a_condition_that_judges_the_figure_itself_states_that_it_has_no_bound() -> None:
    condition = Condition(id="c", text="Users are content", metric="satisfaction", op=">", value=0.8, confidence=0.5)
    assert (
        judge(condition, GateFacts({"satisfaction": Ok(0.825, 40, 33)})).sentence
        == "33/40 are 4 or 5: 82.5 %, no bound"
    )
    missed = judge(condition, GateFacts({"satisfaction": Ok(0.5, 40, 20)}))
    assert "20/40 are 4 or 5: 50 %, no bound" in missed.missing
    sure = Condition(id="c", text="Users are content", metric="satisfaction", op=">", value=0.8)
    assert "at least" in judge(sure, GateFacts({"satisfaction": Ok(0.825, 40, 33)})).sentence
