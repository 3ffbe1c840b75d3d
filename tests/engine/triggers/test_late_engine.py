"""An engine that is late judges nothing by its own clock, and never calls that healthy: it pauses, is blind, steps down."""

from __future__ import annotations

import pytest

from tests.engine.triggers.attempt_timeline import Scene


@pytest.mark.parametrize("failing", [0.1, 0.4, 0.9])
def test_failures_that_a_late_engine_saw_leave_the_error_rate_unjudged_then_blind_then_one_stage_down(
    failing: float,
) -> None:
    scene = Scene().run(600).run(300, failing=failing, late=True)
    assert scene.verdict("error_critical") == "blind"
    assert scene.last is not None
    assert "LLM documents failed and are not judged" in scene.last.blind
    scene.run(1700, failing=failing, late=True)
    assert [winner for _, winner in scene.winners][:1] == ["blind"]


def test_answers_that_a_late_engine_timed_leave_the_latency_unjudged_then_blind() -> None:
    scene = Scene().run(600).run(1000, late=True)
    assert scene.verdict("latency_high") == "blind"
    assert scene.last is not None
    assert "latencies are not judged" in scene.last.blind
    assert scene.verdict("error_critical") == "blind"


def test_one_short_pause_of_the_engine_blinds_nothing_and_is_over_with_the_window() -> None:
    scene = Scene().run(600).run(10, per_min=180, failing=1.0, late=True)
    seen = set()
    for _ in range(40):
        scene.run(10)
        assert scene.last is not None
        assert not scene.last.blind
        seen.add(scene.verdict("error_critical"))
    assert seen == {"insufficient", "ok"}
    assert scene.verdict("error_critical") == "ok"
    assert not scene.winners


def test_a_few_unjudged_failures_that_change_no_answer_leave_the_rule_judged() -> None:
    scene = Scene().run(600).run(600, failing=0.01, late=True)
    assert scene.verdict("error_critical") == "ok"


def test_a_breach_by_what_is_judged_acts_though_the_engine_is_late() -> None:
    scene = Scene().run(600)
    for _ in range(60):
        scene.run(10, failing=0.5, late=True)
        for _ in range(10):
            scene.recent.add(scene.t, False)  # refused by the service itself: that is no matter of clocks
    assert scene.first("error_critical") < 600 + 400
