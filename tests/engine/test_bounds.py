"""Exact bounds, against scipy as the oracle."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import bounds

scipy = pytest.importorskip("scipy")  # `stats` is loaded when it is first used, and not while tests are collected: 2 s

COUNTS = [(0, 1), (1, 1), (0, 180), (0, 299), (1, 20), (17, 304), (94, 304), (5, 1_000), (800, 100_000)]


@pytest.mark.parametrize(("k", "n"), COUNTS)
@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.999])
def test_clopper_pearson_agrees_with_the_oracle(k: int, n: int, confidence: float) -> None:
    upper = 1.0 if k == n else scipy.stats.beta.ppf(confidence, k + 1, n - k)
    lower = 0.0 if k == 0 else scipy.stats.beta.ppf(1 - confidence, k, n - k + 1)
    assert bounds.rate_upper(k, n, confidence) == pytest.approx(upper, rel=1e-9)
    assert bounds.rate_lower(k, n, confidence) == pytest.approx(lower, rel=1e-9)


def test_clopper_pearson_agrees_with_the_oracle_on_random_counts() -> None:
    draw = random.Random(7)
    for _ in range(200):
        n = int(10 ** draw.uniform(0, 6))
        k = draw.randint(0, n - 1)
        expected = scipy.stats.beta.ppf(0.95, k + 1, n - k)
        assert bounds.rate_upper(k, n) == pytest.approx(expected, rel=1e-9), (k, n)


@pytest.mark.parametrize(("k", "n"), COUNTS)
def test_wilson_agrees_with_the_oracle(k: int, n: int) -> None:
    interval = scipy.stats.binomtest(k, n).proportion_ci(0.9, method="wilson")
    assert bounds.wilson_upper(k, n) == pytest.approx(interval.high, abs=1e-9)
    assert bounds.wilson_lower(k, n) == pytest.approx(interval.low, abs=1e-9)


@pytest.mark.parametrize("degrees", [1, 2, 4, 19, 49, 1_000, 1_000_000])
@pytest.mark.parametrize("p", [0.05, 0.5, 0.9, 0.95, 0.999])
def test_students_t_agrees_with_the_oracle(degrees: int, p: float) -> None:
    assert bounds.t_quantile(p, degrees) == pytest.approx(scipy.stats.t.ppf(p, degrees), rel=1e-9, abs=1e-12)


def test_a_mean_is_bounded_by_students_t() -> None:
    sample = [1200.0, 900.0, 1900.0, 1400.0, 1100.0]
    mean, variance = sum(sample) / 5, scipy.stats.tvar(sample)
    low, high = scipy.stats.t.interval(0.9, 4, loc=mean, scale=math.sqrt(variance / 5))
    assert bounds.mean_upper(mean, variance, 5) == pytest.approx(high, rel=1e-9)
    assert bounds.mean_lower(mean, variance, 5) == pytest.approx(low, rel=1e-9)
    assert bounds.mean_upper(mean, variance, 1) == math.inf


def test_no_documents_bound_nothing() -> None:
    assert (bounds.rate_lower(0, 0), bounds.rate_upper(0, 0)) == (0.0, 1.0)
    assert (bounds.wilson_lower(0, 0), bounds.wilson_upper(0, 0)) == (0.0, 1.0)
    assert bounds.difference(0, 0, 3, 10) == (-1.0, 1.0)


def test_one_percent_is_certain_after_299_clean_documents() -> None:
    assert bounds.documents_for_rate_below(0, 0.01) == 299
    assert bounds.rate_upper(0, 298) > 0.01 > bounds.rate_upper(0, 299)
    assert bounds.rate_upper(0, 180) == pytest.approx(0.0165, abs=5e-5)


@pytest.mark.parametrize(("k", "n"), [(1, 473), (2, 628)])
def test_every_failure_costs_more_clean_documents(k: int, n: int) -> None:
    assert bounds.documents_for_rate_below(k, 0.01) == n
    assert bounds.rate_upper(k, n - 1) >= 0.01 > bounds.rate_upper(k, n)


def test_the_difference_of_two_rates_agrees_with_the_published_example() -> None:
    # Newcombe 1998, table II, (a) 56/70 - 48/80, method 10
    low, high = bounds.difference(56, 70, 48, 80)
    assert (round(low, 4), round(high, 4)) == (0.0524, 0.3339)


@given(st.integers(0, 400), st.integers(1, 400))
def test_bounds_enclose_the_figure_and_tighten_with_documents(k: int, extra: int) -> None:
    n = k + extra
    assert bounds.rate_lower(k, n) <= k / n <= bounds.rate_upper(k, n)
    assert bounds.rate_upper(k, n + 50) < bounds.rate_upper(k, n)
    assert bounds.rate_upper(k, n, 0.99) >= bounds.rate_upper(k, n, 0.95)


@pytest.mark.parametrize(("k", "n", "confidence"), [(-1, 3, 0.95), (4, 3, 0.95), (1, 3, 1.0)])
def test_an_invalid_rate_is_refused(k: int, n: int, confidence: float) -> None:
    with pytest.raises(ValueError, match="is not a rate"):
        bounds.rate_upper(k, n, confidence)
