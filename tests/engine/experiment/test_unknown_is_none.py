"""Total functions: whatever the sums are, no exception, no NaN and no infinity comes out."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.experiment import effects, fixed, power, sequence, srm
from engine.experiment.analysis import analyse
from engine.experiment.declaration import DEFAULT_METRICS, ArmStats, Declaration
from engine.experiment.moments import Counts, Measure, Moments, Ratio
from engine.experiment.pairs import analyse_pairs
from engine.experiment.report import TrialReport

sums = st.floats() | st.floats(-1e6, 1e6) | st.just(0.0)
moments = st.builds(Moments, st.integers(-1, 10**9) | st.integers(0, 60), sums, sums) | st.lists(
    st.floats(-1e9, 1e9) | st.just(3.0), max_size=80
).map(Moments.of)
counts = st.builds(Counts, st.integers(0, 10**9) | st.integers(0, 60), st.integers(0, 60)) | st.integers(0, 10**6).map(
    lambda n: Counts(n, n)
)
whole = st.integers(0, 60) | st.integers(0, 10**6)
answers = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=60).map(
    lambda pairs: sum((Ratio.one(min(pair), max(pair)) for pair in pairs), Ratio())
)
ratios = answers | st.builds(Ratio, whole, whole, whole, whole, whole, whole, sums, sums, sums)
measures = moments | counts | ratios


def finite(value: Any) -> None:
    """No NaN, no infinity, anywhere in the value."""

    def refuse(constant: str) -> float:
        raise AssertionError(f"{constant} in {value}")

    text = msgspec.json.encode(value)
    json.loads(text, parse_constant=refuse)

    def walk(part: Any) -> None:
        if isinstance(part, float):
            assert math.isfinite(part), value
        elif isinstance(part, dict):
            for inner in part.values():
                walk(inner)
        elif isinstance(part, list | tuple):
            for inner in part:
                walk(inner)

    walk(msgspec.to_builtins(value))


@settings(max_examples=250, deadline=None)
@given(measures, measures)
def test_effects_tests_and_power_are_finite_or_none(control: Measure, treatment: Measure) -> None:
    difference, uplift = effects.difference(control, treatment), effects.uplift(control, treatment)
    finite([difference, uplift, effects.ratio(control, treatment), effects.standardised(control, treatment)])
    for result in (difference, uplift, effects.single(treatment)):
        finite([sequence.sequence(result, 0.05, 1400), sequence.bounds(result, 0.05, 1400)])
        if result is not None:
            finite([effects.fixed_interval(result), result.z])
    finite(fixed.test_for(control, treatment))
    if isinstance(control, Moments) and isinstance(treatment, Moments):
        finite(fixed.student(control, treatment))
    if isinstance(control, Counts):
        finite(
            [effects.wilson(control), effects.exact_bounds(control, 0.05), sequence.rate_bounds(control, 0.05, 0.01)]
        )
    finite([power.needed_per_arm(control, 0.15), power.power_now(control, treatment, 0.15)])


arms = st.builds(
    ArmStats,
    st.integers(0, 2000),
    st.dictionaries(st.sampled_from([metric.name for metric in DEFAULT_METRICS]), measures, max_size=8),
)


@settings(max_examples=150, deadline=None)
@given(arms, arms, st.floats(0.0, 2e6))
def test_the_whole_report_is_json_without_nan_and_comes_back(
    control: ArmStats, treatment: ArmStats, after: float
) -> None:
    declaration = Declaration(started=1_800_000_000.0, documents_per_arm=50)
    report = analyse(declaration, control, treatment, declaration.started + after)
    finite(report)
    assert msgspec.json.decode(msgspec.json.encode(report), type=TrialReport) == report
    again = analyse(declaration, treatment, control, declaration.started + 2 * after, report)
    finite(again)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from(["keywords", "overlap", "ms"]), moments))
def test_paired_analysis_is_finite_or_none(differences: dict[str, Moments]) -> None:
    finite(analyse_pairs(differences, expected_n=200))


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.floats(0.001, 0.999), st.booleans())
def test_the_split_s_figures_are_finite_or_none(control: int, treatment: int, share: float, final: bool) -> None:
    finite(srm.sample_ratio(control, treatment, share, final=final))


@given(st.lists(st.floats(-1e6, 1e6), max_size=60), st.integers(0, 60))
def test_merged_moments_are_the_moments_of_all(values: list[float], cut: int) -> None:
    whole, parts = Moments.of(values), Moments.of(values[:cut]) + Moments.of(values[cut:])
    assert parts.n == whole.n
    assert math.isclose(parts.sum, whole.sum, rel_tol=1e-9, abs_tol=1e-6)
    assert math.isclose(parts.sum_sq, whole.sum_sq, rel_tol=1e-9, abs_tol=1e-6)


def test_equal_values_have_no_variation_however_they_round() -> None:
    assert Moments.of([0.1] * 1000).variance == 0.0
    assert Moments(3, 0.1 + 0.1 + 0.1, 0.1**2 * 3).variance == 0.0
    assert effects.difference(Moments.of([0.1] * 10), Moments.of([0.1] * 10)) is None


def test_measures_survive_json() -> None:
    stats = ArmStats(3, {"ms": Moments(2, 3.0, 5.0), "errors": Counts(3, 1)})
    assert msgspec.json.decode(msgspec.json.encode(stats), type=ArmStats) == stats
