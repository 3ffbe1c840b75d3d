"""A gate's "no negative impacts" counts and names what the A/B test found worse, not incidents only."""

from __future__ import annotations

from engine.gate.conditions import GateFacts, judge
from engine.gate.impacts import impacts
from engine.plan.model import Condition
from engine.triggers.measurement import Ok

SLOW = "processing time 129 times the control's, limit 2 (people judge it)"
ERRORS = "error rate 4 % against 0 %"
NONE = Condition(id="i", text="No negative impacts", metric="negative_impacts", op="<=", value=0, confidence=0.5)


def judged(incidents: int, worse: tuple[str, ...], harmful: tuple[str, ...]) -> tuple[bool | None, str]:
    count, sentence = impacts(incidents, worse, harmful)
    verdict = judge(
        NONE, GateFacts({"negative_impacts": Ok(float(count), count)}, sentences={"negative_impacts": sentence})
    )
    return verdict.met, verdict.sentence


def test_without_incidents_and_losses_there_are_none() -> None:
    assert judged(0, (), ()) == (True, "none")


def test_what_people_judge_is_named_and_not_counted() -> None:
    assert judged(0, (SLOW,), ()) == (True, f"none. Worse, not counted: {SLOW}")


def test_a_metric_worse_than_declared_is_an_impact_beside_incidents() -> None:
    assert judged(2, (SLOW, ERRORS), (ERRORS,)) == (
        False,
        f"2 critical triggers and rollbacks; {ERRORS}. Worse, not counted: {SLOW}",
    )
