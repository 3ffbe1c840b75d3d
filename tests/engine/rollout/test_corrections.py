"""What a corrected clock does to the state: the direction of the step, dates in the future, how long a lock lasts."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from engine.plan.load import default_plan_text, parse_plan
from engine.rollout.corrections import clock_step, in_the_future
from engine.rollout.state import ENGINE, Ask, Decision, State, Undo

PLAN = parse_plan(default_plan_text())
LONGEST = PLAN.trigger_settings.cooldown_s
NOW = 50_000.0
ASK = Ask(ENGINE, NOW, "r")
CALM = State(stage=2, percent_bp=1000, epoch=3, rev=9, entered_at=NOW - 500, changed_at=NOW - 100)
LOCKED = replace(CALM, locked="error_high fired", undo=Undo(3, 2500, NOW + 60))


@pytest.mark.parametrize(
    ("by", "words"),
    [(3600.0, "set forward by 1h;"), (0.5, "forward by 500ms"), (0.0, "back by 0s"), (-90.0, "set back by 1m 30s;")],
)
def test_a_step_of_the_clock_names_its_direction_and_length(by: float, words: str) -> None:
    made = clock_step(CALM, ASK, by)
    assert words in made.sentence
    assert (made.clock_step_s, made.right_time) == (by, NOW)


def corrected(state: State, records: int = 0) -> Decision:
    made = in_the_future(PLAN, state, ASK, records)
    assert made is not None
    return made


def test_nothing_dated_later_than_now_needs_no_correction() -> None:
    assert in_the_future(PLAN, CALM, ASK, 0) is None
    assert in_the_future(PLAN, replace(CALM, changed_at=NOW), ASK, 0) is None
    assert in_the_future(PLAN, replace(LOCKED, cooldown_until=NOW + LONGEST), ASK, 0) is None
    assert in_the_future(PLAN, replace(LOCKED, cooldown_until=None), ASK, 0) is None
    unlocked = replace(CALM, cooldown_until=NOW + LONGEST + 1)
    assert in_the_future(PLAN, unlocked, ASK, 0) is None


@pytest.mark.parametrize(
    ("changes", "records", "parts"),
    [
        ({"entered_at": NOW + 0.5}, 0, "the state by 500ms in"),
        ({"changed_at": NOW + 7200}, 0, "the state by 2h in"),
        ({}, 1, ": 1 records in"),
        ({"changed_at": NOW}, 3, ": 3 records in"),
        ({"locked": "x", "cooldown_until": NOW + LONGEST + 1}, 0, ": the cool-down's end in"),
        ({"changed_at": NOW + 60, "locked": "x", "cooldown_until": NOW + 2 * LONGEST}, 2, "the state by 1m, the cool-down's end, 2 records in"),
    ],
)  # fmt: skip
def test_the_sentence_lists_what_was_dated_in_the_future(changes: dict[str, float], records: int, parts: str) -> None:
    made = corrected(replace(CALM, **changes), records)
    assert parts in made.sentence
    assert made.evidence == {"records": records}
    assert made.right_time == NOW


@pytest.mark.parametrize(
    ("until", "ahead", "expected"),
    [
        (NOW + 100, 40.0, NOW + 60),  # as long as it had left when it was written
        (NOW + 100, 0.0, NOW + 100),
        (NOW + 100, -30.0, NOW + 100),  # a state of the past moves nothing
        (NOW + LONGEST + 900, 0.0, NOW + LONGEST),
    ],
)
def test_a_cool_down_keeps_its_length_and_never_exceeds_the_plans(until: float, ahead: float, expected: float) -> None:
    made = corrected(replace(LOCKED, changed_at=NOW + ahead, cooldown_until=until), records=1)
    assert made.cooldown_until == expected
    assert made.locked == LOCKED.locked
    assert made.undo == LOCKED.undo


@pytest.mark.parametrize("state", [replace(LOCKED, cooldown_until=None), replace(CALM, cooldown_until=NOW + 100)])
def test_without_a_lock_or_its_end_none_is_written(state: State) -> None:
    made = corrected(state, records=1)
    assert (made.locked, made.cooldown_until) == (None, None)
