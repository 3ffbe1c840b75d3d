"""A backtest is the live rules on stored attempts: quiet on a healthy week, and it finds what is injected."""

from __future__ import annotations

import math
import sqlite3

import pytest
from msgspec.structs import replace

from engine.plan.load import default_plan_text, parse_plan
from engine.store.rollup import insert_and_fold
from engine.triggers import attempts
from engine.triggers.backtest import Attempt, Complaints, Inject, backtest, parse_inject, rules_digest
from tests.engine.metrics.samples import T0, cached, failed, plain, record

PLAN = parse_plan(default_plan_text())


def healthy(hours: float, per_min: float = 10.0) -> list[Attempt]:
    count = int(hours * 60 * per_min)
    return [Attempt(1000.0 + n * 60 / per_min, 1, True, True, 900.0, True, n % 3 == 0) for n in range(count)]


def test_a_healthy_day_fires_nothing() -> None:
    assert backtest(PLAN.triggers, PLAN.trigger_settings, healthy(12)) == []


def test_an_injected_fault_is_found_and_the_delay_reported() -> None:
    result = backtest(PLAN.triggers, PLAN.trigger_settings, healthy(3), (Inject(3600.0, math.inf, 0.3),))
    first = next(f for f in result if f.trigger == "error_critical")
    assert first.delay_s is not None
    assert first.delay_s <= 15 * 60


def test_the_same_seed_gives_the_same_answer() -> None:
    given = PLAN.triggers, PLAN.trigger_settings, healthy(2), (Inject(1800.0, math.inf, 0.1),)
    assert backtest(*given) == backtest(*given)


def test_a_fault_is_written_as_in_the_help() -> None:
    assert parse_inject("error=10%@t+30m") == Inject(1800.0, math.inf, 0.1)
    with pytest.raises(ValueError, match="error=10%@t"):
        parse_inject("errors everywhere")


def test_a_fault_may_end_and_may_be_slow_answers() -> None:
    assert parse_inject("error=100%@t+30m..t+31m") == Inject(1800.0, 1860.0, 1.0)
    assert parse_inject("latency=4s@t+1h") == Inject(3600.0, math.inf, ms=4000.0)
    for wrong in ("error=10@t+1m", "latency=4%@t+1m", "error=0%@t+1m", "error=10%@t+30m..t+20m", "error=101%@t+1m"):
        with pytest.raises(ValueError, match="is not a fault"):
            parse_inject(wrong)


def test_slow_answers_are_found() -> None:
    result = backtest(PLAN.triggers, PLAN.trigger_settings, healthy(3), (Inject(3600.0, math.inf, ms=4000.0),))
    first = next(f for f in result if f.trigger == "latency_high")
    assert first.delay_s is not None
    assert first.delay_s < 15 * 60


def test_complaints_are_replayed() -> None:
    came = [Complaints(2000.0 + n, n + 1) for n in range(11)]
    result = backtest(PLAN.triggers, PLAN.trigger_settings, healthy(1), complaints=came)
    assert [f.trigger for f in result if f.trigger.startswith("complaints")] == ["complaints_many", "complaints"]


def test_a_change_of_percentage_starts_afresh() -> None:
    """Half an hour of errors in two epochs of five minutes each never lasts long enough for ten."""
    attempts = [
        Attempt(1000.0 + n * 6, 1 + n // 40, True, n % 25 != 0, 900.0, True) for n in range(400)
    ]  # 4 % errors, another epoch every four minutes
    assert [f for f in backtest(PLAN.triggers, PLAN.trigger_settings, attempts) if f.trigger == "error_high"] == []


def test_the_digest_is_of_what_triggers_do_and_not_of_their_words() -> None:
    rules, settings = PLAN.triggers, PLAN.trigger_settings
    same = (replace(rules[0], text="other words"), *rules[1:])
    other = (replace(rules[0], above=0.06), *rules[1:])
    assert rules_digest(same, settings) == rules_digest(rules, settings)
    assert rules_digest(other, settings) != rules_digest(rules, settings)
    assert rules_digest(rules, replace(settings, min_n=30)) != rules_digest(rules, settings)


def test_changed_rules_ask_for_a_backtest_until_one_is_kept(conn: sqlite3.Connection) -> None:
    attempts.rules_in_force(conn, 1.0, "first")
    assert not attempts.changed_and_not_replayed(conn, "first")
    attempts.rules_in_force(conn, 2.0, "second")
    assert not attempts.changed_and_not_replayed(conn, "second")  # nothing to replay yet
    insert_and_fold(conn, [record()])
    assert attempts.changed_and_not_replayed(conn, "second")
    attempts.replayed(conn, 3.0, "second", {"documents": 10})
    assert not attempts.changed_and_not_replayed(conn, "second")
    assert attempts.changed_and_not_replayed(conn, "third")
    assert not attempts.changed_and_not_replayed(conn, "first")


def test_the_store_gives_attempts_page_by_page_and_none_twice(conn: sqlite3.Connection) -> None:
    same_second = [record(at=T0 + n // 7, ms=float(n)) for n in range(50)]
    insert_and_fold(conn, [*same_second, plain(at=T0), failed("timeout", at=T0 + 9, ms=8000.0), cached(at=T0 + 10)])
    result, after = [], (T0, 0)
    while after is not None:
        page = attempts.page(conn, after, limit=8)
        result += page.attempts
        after = page.after
    assert [a.ms for a in result[:50]] == [float(n) for n in range(50)]
    assert len(result) == 52
    assert (result[-2].ok, result[-2].ms, result[-1].hit, result[-1].attempted) == (False, 8000.0, True, False)
