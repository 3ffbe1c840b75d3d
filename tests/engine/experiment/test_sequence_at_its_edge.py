"""The confidence sequences where they begin, where they end, and at figures that cannot be."""

from __future__ import annotations

import math

import pytest

from engine.experiment import sequence
from engine.experiment.effects import Contrast
from engine.experiment.moments import Counts
from engine.experiment.sequence import START


def contrast(n: float) -> Contrast:
    return Contrast(0.1, 0.02, n, n - 1)


@pytest.mark.parametrize("read", [sequence.sequence, sequence.bounds])
@pytest.mark.parametrize(("n", "known"), [(49, False), (50, True), (51, True)])
def test_a_mean_is_taken_for_normal_from_fifty_documents_on(read, n: int, known: bool) -> None:  # type: ignore[no-untyped-def]
    assert START == 50
    assert (read(contrast(n), 0.05, 1000.0) is not None) is known
    assert read(None, 0.05, 1000.0) is None


@pytest.mark.parametrize("read", [sequence.sequence, sequence.bounds])
def test_an_interval_lies_around_its_estimate(read) -> None:  # type: ignore[no-untyped-def]
    of = contrast(200)
    interval = read(of, 0.05, 1000.0)
    assert interval.estimate == of.estimate
    assert interval.low < of.estimate < interval.high
    assert of.estimate - interval.low == pytest.approx(interval.high - of.estimate)


def test_the_two_sided_interval_has_eq_9s_width_and_the_bounds_eq_134s() -> None:
    of = contrast(200)
    two, one = sequence.sequence(of, 0.05, 1000.0), sequence.bounds(of, 0.05, 1000.0)
    assert two is not None
    assert one is not None
    assert two.high - of.estimate == pytest.approx(
        sequence.half_width(of.variance, of.n, 0.05, sequence.rho(0.05, 1000.0))
    )
    assert one.high - of.estimate == pytest.approx(
        sequence.half_width_one_sided(of.variance, of.n, 0.05, sequence.rho(0.1, 1000.0))
    )
    assert two.p == sequence.p_value(of.estimate, of.variance, of.n, sequence.rho(0.05, 1000.0))


@pytest.mark.parametrize(
    ("arms", "enough"),
    [
        ((Counts(100, 2), Counts(100, 3)), True),
        ((Counts(100, 2), Counts(100, 2)), False),
        ((Counts(100, 98), Counts(100, 97)), True),
        ((Counts(100, 98), Counts(100, 98)), False),
        ((Counts(10, 5),), True),
        ((Counts(9, 5),), False),
        ((Counts(0, 0),), False),
    ],
)
def test_rates_are_compared_from_five_of_the_rarer_outcome_on(arms: tuple[Counts, ...], enough: bool) -> None:
    assert sequence.normal_enough(*arms) is enough


@pytest.mark.parametrize("counts", [Counts(0, 0), Counts(5, 6), Counts(5, -1)])
def test_impossible_counts_are_not_evidence(counts: Counts) -> None:
    assert sequence.rate_log_e(counts, 0.5, 1.0, 1.0) == 0.0


def test_all_and_none_are_evidence() -> None:
    assert sequence.rate_log_e(Counts(1, 0), 0.25, 1.0, 1.0) == pytest.approx(math.log(0.5 / 0.75))
    assert sequence.rate_log_e(Counts(10, 0), 0.5, 1.0, 1.0) == pytest.approx(math.log(1 / 11) + 10 * math.log(2))
    assert sequence.rate_log_e(Counts(10, 10), 0.5, 1.0, 1.0) == pytest.approx(math.log(1 / 11) + 10 * math.log(2))


def test_the_bounds_of_a_rate_are_where_the_e_value_passes_one_in_alpha() -> None:
    counts, around = Counts(400, 12), 0.01
    interval = sequence.rate_bounds(counts, 0.05, around)
    assert interval is not None
    assert interval.estimate == 0.03
    for edge in (interval.low, interval.high):
        assert sequence.rate_log_e(counts, edge, 1.0, 1 / around - 1) == pytest.approx(math.log(20.0), abs=1e-6)
    assert 0.0 < interval.low < 0.03 < interval.high < 1.0


def test_none_of_n_has_no_lower_bound_and_all_of_n_no_upper() -> None:
    none, every = sequence.rate_bounds(Counts(50, 0), 0.05, 0.01), sequence.rate_bounds(Counts(50, 50), 0.05, 0.5)
    assert none is not None
    assert every is not None
    assert none.low == 0.0
    assert 0.0 < none.high < 1.0
    assert every.high == 1.0
    assert 0.0 < every.low < 1.0
    assert sequence.rate_bounds(Counts(0, 0), 0.05, 0.01) is None


def test_a_sequence_may_be_tuned_for_less_than_a_document() -> None:
    assert sequence.rho(0.05, 0.5) == pytest.approx(sequence.rho(0.05, 50.0) * 10)


def test_nothing_seen_has_a_p_value_of_one() -> None:
    assert sequence.p_value(0.0, 1.0, 100.0, 0.1) == 1.0


@pytest.mark.parametrize("around", [0.02, 0.5, 0.9])
def test_a_rate_s_bounds_are_where_the_e_value_passes_one_in_alpha(around: float) -> None:
    counts = Counts(200, 1)
    bounds = sequence.rate_bounds(counts, 0.05, around)
    assert bounds is not None
    for edge in (bounds.low, bounds.high):
        assert edge is not None
        e_value = sequence.rate_log_e(counts, edge, 1.0, 1.0 / around - 1.0)
        assert e_value == pytest.approx(math.log(20.0))


def test_none_and_all_of_the_documents_leave_their_end_open() -> None:
    none, every = sequence.rate_bounds(Counts(50, 0), 0.05, 0.05), sequence.rate_bounds(Counts(50, 50), 0.05, 0.05)
    assert none is not None
    assert every is not None
    assert (none.low, every.high) == (0.0, 1.0)
