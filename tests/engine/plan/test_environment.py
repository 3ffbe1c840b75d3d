"""The plan's three environment variables."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.plan.environment import Ceiling, ceiling, environment
from engine.plan.load import default_plan_text, parse_plan

PLAN = parse_plan(default_plan_text())
P, AB, M = (f"XZE_KEYWORD_EXTRACTION_{name}" for name in ("ROLLOUT_PERCENTAGE", "AB_TEST", "METRICS"))


@pytest.mark.parametrize(
    ("stage", "percent", "ab_test"),
    [
        (0, "0", "false"),
        (1, "0", "false"),
        (2, "10", "false"),
        (3, "25", "false"),
        (4, "50", "true"),
        (5, "100", "false"),
    ],
)
def test_each_stage_prints_the_plans_three_lines(stage: int, percent: str, ab_test: str) -> None:
    assert environment(PLAN, stage, PLAN.stage(stage).percent_bp) == [
        f"export XZE_KEYWORD_EXTRACTION_ROLLOUT_PERCENTAGE={percent}",
        f"export XZE_KEYWORD_EXTRACTION_AB_TEST={ab_test}",
        "export XZE_KEYWORD_EXTRACTION_METRICS=true",
    ]


def test_a_halved_percentage_is_printed_as_it_is() -> None:
    assert environment(PLAN, 3, 1250)[0].endswith("=12.5")
    assert environment(PLAN, 5, 333)[0].endswith("=3.33")


def test_stable_prints_full_rollout_without_an_ab_test() -> None:
    assert environment(PLAN, PLAN.stable, 10_000)[:2] == [f"export {P}=100", f"export {AB}=false"]


@given(st.integers(0, 10_000))
def test_what_is_printed_is_read_back(percent_bp: int) -> None:
    lines = dict(line.removeprefix("export ").split("=") for line in environment(PLAN, 4, percent_bp))
    assert ceiling(lines) == Ceiling(percent_bp, True, True)


def test_no_variable_means_no_ceiling() -> None:
    assert ceiling({"PATH": "/bin"}) == Ceiling(None, None, None)


@pytest.mark.parametrize(("text", "bp"), [("0", 0), ("10", 1000), ("12.5", 1250), (" 100 ", 10_000), ("0.01", 1)])
def test_a_percentage_is_read(text: str, bp: int) -> None:
    assert ceiling({P: text}).percent_bp == bp


@pytest.mark.parametrize(
    "text", ["", "10%", "101", "100.01", "-1", "+5", "ten", "1e1", "nan", "inf", "12.345", "٥", "0x10", "\x1b[2J"]
)
def test_a_bad_percentage_is_refused_with_what_to_set(text: str) -> None:
    with pytest.raises(ValueError, match="is not a percentage; set a number from 0 to 100") as refused:
        ceiling({P: text})
    assert P in str(refused.value)
    assert "\x1b" not in str(refused.value)


def test_a_bad_switch_is_refused_and_all_are_named_at_once() -> None:
    with pytest.raises(ValueError, match="neither true nor false") as refused:
        ceiling({P: "200", AB: "maybe", M: ""})
    assert [name in line for name, line in zip((P, AB, M), str(refused.value).splitlines(), strict=True)] == [True] * 3


def test_switches_are_read_in_the_ways_shells_write_them() -> None:
    assert ceiling({AB: "FALSE", M: "1"}) == Ceiling(None, False, True)
