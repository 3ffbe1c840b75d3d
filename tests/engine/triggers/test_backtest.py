"""A backtest is the live rules on stored attempts: quiet on a healthy week, and it finds what is injected."""

from __future__ import annotations

import math

import pytest

from engine.plan.load import default_plan_text, parse_plan
from engine.triggers.backtest import Attempt, Inject, backtest, parse_inject

PLAN = parse_plan(default_plan_text())


def healthy(hours: float, per_min: float = 10.0) -> list[Attempt]:
    count = int(hours * 60 * per_min)
    return [Attempt(1000.0 + n * 60 / per_min, 1, True, True, 900.0, True, n % 3 == 0) for n in range(count)]


def test_a_healthy_day_fires_nothing() -> None:
    assert backtest(PLAN.triggers, PLAN.trigger_settings, healthy(12)) == []


def test_an_injected_fault_is_found_and_the_delay_told() -> None:
    found = backtest(PLAN.triggers, PLAN.trigger_settings, healthy(3), (Inject(3600.0, math.inf, 0.3),))
    first = next(f for f in found if f.trigger == "error_critical")
    assert first.delay_s is not None
    assert first.delay_s <= 15 * 60


def test_the_same_seed_gives_the_same_answer() -> None:
    given = PLAN.triggers, PLAN.trigger_settings, healthy(2), (Inject(1800.0, math.inf, 0.1),)
    assert backtest(*given) == backtest(*given)


def test_a_fault_is_written_as_the_help_says() -> None:
    assert parse_inject("error=10%@t+30m") == Inject(1800.0, math.inf, 0.1)
    with pytest.raises(ValueError, match="error=10%@t"):
        parse_inject("errors everywhere")
