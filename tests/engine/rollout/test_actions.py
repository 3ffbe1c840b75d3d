"""Where each action lands, from every stage, and that none raises the percentage."""

from __future__ import annotations

import pytest

from engine.plan.model import Action
from engine.rollout.actions import ActionResult, resulting

STAGES = (0, 0, 1000, 2500, 5000, 10_000)


@pytest.mark.parametrize(
    ("action", "stage", "percent_bp", "expected"),
    [
        (Action.to_zero, 4, 5000, (1, 0)),
        (Action.to_zero, 6, 10_000, (1, 0)),
        (Action.to_zero, 1, 0, (1, 0)),
        (Action.to_zero, 0, 0, (0, 0)),
        (Action.previous_stage, 4, 5000, (3, 2500)),
        (Action.previous_stage, 4, 2500, (2, 1000)),
        (Action.previous_stage, 4, 2501, (3, 2500)),
        (Action.previous_stage, 2, 1000, (1, 0)),
        (Action.previous_stage, 6, 10_000, (4, 5000)),
        (Action.previous_stage, 1, 0, (1, 0)),
        (Action.previous_stage, 0, 0, (0, 0)),
        (Action.previous_stage, 0, 500, (0, 500)),
        (Action.halve, 4, 5000, (4, 2500)),
        (Action.halve, 2, 5, (2, 2)),
        (Action.halve, 2, 0, (2, 0)),
        (Action.pause, 4, 5000, (4, 5000)),
        (Action.investigate, 4, 5000, (4, 5000)),
        (Action.pause, 9, 5000, (6, 5000)),
        (Action.pause, -1, -5, (0, 0)),
    ],
)
def test_where_an_action_lands(action: Action, stage: int, percent_bp: int, expected: tuple[int, int]) -> None:
    for held in (False, True):
        result = resulting(action, stage, percent_bp, STAGES, held)
        assert (result.stage, result.percent_bp) == expected
        assert result.held is (held or action is Action.pause)
    assert resulting(action, stage, percent_bp, STAGES) == ActionResult(*expected, action is Action.pause)


@pytest.mark.parametrize(
    ("stages", "expected"), [((1000, 5000), (0, 0)), ((1000, 0, 5000), (1, 0)), ((0, 1000, 0), (0, 0))]
)
def test_zero_is_the_highest_stage_below_that_runs_at_it(stages: tuple[int, ...], expected: tuple[int, int]) -> None:
    result = resulting(Action.to_zero, 1, 5000, stages)
    assert (result.stage, result.percent_bp) == expected


def test_without_a_lower_stage_a_step_down_is_zero() -> None:
    assert resulting(Action.previous_stage, 1, 500, (1000, 5000)) == ActionResult(1, 0, False)


def test_below_the_first_stage_there_is_none_not_even_the_last() -> None:
    assert resulting(Action.previous_stage, 0, 500, (1000, 100)) == ActionResult(0, 500, False)
