"""Every condition on samples has a minimum and reports how many are missing."""

from __future__ import annotations

import pytest

from engine.bounds import FEWEST
from engine.gate.conditions import GateFacts, judge
from engine.measures.bucket import Bucket
from engine.metrics import figures
from engine.plan.model import Condition
from engine.triggers.measurement import Ok
from engine.view import gauge


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


@pytest.mark.parametrize(("hits", "lookups"), [(0, 2), (2, 2), (1, 19), (0, 19), (0, 20), (12, 20)])
def test_the_gate_the_gauge_and_the_report_agree_on_what_is_too_few_to_judge(hits: int, lookups: int) -> None:
    """0 of 2 cache hits is not unmet, and 2 of 2 is not met."""
    condition = Condition(id="c", text="It hits", metric="cache_hit_rate", op=">", value=0.2)
    seen = Bucket(lookups=lookups, hits=hits, attempts=lookups, errors=0)
    judged = (
        judge(condition, GateFacts({"cache_hit_rate": Ok(hits / lookups, lookups, hits)})).met,
        gauge.gauges(seen, {"cache_hit_rate": 0.2}, 300.0)[2].ok,
        figures.cache(seen, (">", 0.2)).good,
    )
    known = {(0, 19): False, (0, 20): False, (12, 20): True}  # 0 of 19 cannot be 20 %, 1 of 19 can
    assert set(judged) == {known.get((hits, lookups))}
    assert figures.error_rate(seen, ("<", 0.01)).good is (None if lookups < FEWEST else True)


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
