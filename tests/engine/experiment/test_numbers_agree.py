"""Every number against an oracle: scipy to 1e-9, the published implementation of the sequence, the published tables."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy  # its parts are loaded when they are first used, and not while tests are collected: 2 s

from engine.experiment import effects, fixed, group_sequential, power, sequence, srm
from engine.experiment.moments import Counts, Moments, Ratio
from engine.experiment.multiplicity import holm

ARMS = [
    (np.random.default_rng(1).lognormal(7.0, 0.6, 400), np.random.default_rng(2).lognormal(7.1, 0.8, 250)),
    (np.random.default_rng(3).normal(0.5, 0.2, 30), np.random.default_rng(4).normal(0.6, 0.3, 31)),
    (np.random.default_rng(5).normal(-4.0, 1.0, 5), np.random.default_rng(6).normal(4.0, 1.0, 9)),
    (np.array([1.0, 2.0]), np.array([2.0, 4.0])),
]
RATES = [(500, 4, 500, 30), (5000, 40, 4800, 55), (120, 60, 100, 70), (10**6, 8000, 10**6, 8300)]
exactly = {"rel": 1e-9, "abs": 1e-300}


def moments(values: np.ndarray) -> Moments:
    return Moments.of(values.tolist())


@pytest.mark.parametrize(("control", "treatment"), ARMS)
def test_t_tests_from_sums_are_those_of_the_plans_script_on_the_values(control, treatment):
    plan = scipy.stats.ttest_ind(control, treatment)
    result = fixed.student(moments(control), moments(treatment))
    assert (result.statistic, result.p) == pytest.approx((plan.statistic, plan.pvalue), **exactly)
    other = scipy.stats.ttest_ind(control, treatment, equal_var=False)
    result = fixed.welch(moments(control), moments(treatment))
    assert (result.statistic, result.p, result.dof) == pytest.approx(
        (other.statistic, other.pvalue, other.df), **exactly
    )
    interval = other.confidence_interval(0.95)
    ours = effects.fixed_interval(effects.difference(moments(control), moments(treatment)))
    # scipy's is control - treatment; ours is treatment - control.
    assert (ours.low, ours.high) == pytest.approx((-interval.high, -interval.low), rel=1e-9)


@pytest.mark.parametrize(("n", "k", "m", "j"), RATES)
def test_chi_square_agrees_with_scipy(n, k, m, j):
    oracle = scipy.stats.chi2_contingency([[k, n - k], [j, m - j]], correction=False)
    result = fixed.chi_square(Counts(n, k), Counts(m, j))
    assert (result.statistic, result.p) == pytest.approx((oracle.statistic, oracle.pvalue), **exactly)
    assert result.exact_p is None
    assert result.warning == ""


def test_few_expected_counts_warn_and_are_judged_by_fishers_exact_test():
    result = fixed.chi_square(Counts(200, 1), Counts(180, 6))
    assert "under 5" in result.warning
    oracle = scipy.stats.fisher_exact([[1, 199], [6, 174]]).pvalue
    assert result.judged_p == result.exact_p == pytest.approx(oracle, rel=1e-9)
    assert result.judged_p > result.p


def test_effect_sizes_agree_with_their_definitions():
    control, treatment = ARMS[0]
    a, b = len(control), len(treatment)
    pooled = ((a - 1) * control.var(ddof=1) + (b - 1) * treatment.var(ddof=1)) / (a + b - 2)
    d = (treatment.mean() - control.mean()) / math.sqrt(pooled)
    result = effects.standardised(moments(control), moments(treatment))
    assert result.estimate == pytest.approx(d, rel=1e-9)
    # Near the exact interval, by the noncentral t, for arms of hundreds.
    t, root = d / math.sqrt(1 / a + 1 / b), math.sqrt(1 / a + 1 / b)
    from scipy.optimize import brentq

    low = brentq(lambda shift: scipy.stats.nct.sf(t, a + b - 2, shift) - 0.025, t - 6, t + 6) * root
    high = brentq(lambda shift: scipy.stats.nct.cdf(t, a + b - 2, shift) - 0.025, t - 6, t + 6) * root
    assert (result.low, result.high) == pytest.approx((low, high), abs=2e-3)
    h = effects.standardised(Counts(400, 100), Counts(400, 140))
    assert h.estimate == pytest.approx(2 * math.asin(math.sqrt(0.35)) - 2 * math.asin(math.sqrt(0.25)))


def test_uplift_interval_covers_the_truth_as_often_as_it_states():
    rng = np.random.default_rng(8)
    covered = 0
    for _ in range(1500):
        result = effects.uplift(moments(rng.exponential(2.0, 300)), moments(rng.exponential(2.0 * 1.15, 300)))
        interval = effects.fixed_interval(result)
        covered += interval.low < 0.15 < interval.high
    assert 0.935 < covered / 1500 < 0.965


@pytest.mark.parametrize(("n", "k"), [(20, 0), (20, 20), (20, 7), (5000, 40), (1, 1)])
def test_intervals_of_a_rate_agree_with_scipy(n, k):
    oracle = scipy.stats.binomtest(k, n).proportion_ci(method="wilson")
    result = effects.wilson(Counts(n, k))
    assert (result.low, result.high) == pytest.approx((oracle.low, oracle.high), abs=1e-9)
    exact = scipy.stats.binomtest(k, n).proportion_ci(confidence_level=0.9, method="exact")
    result = effects.exact_bounds(Counts(n, k), 0.05)
    assert (result.low, result.high) == pytest.approx((exact.low, exact.high), abs=1e-9)


def test_three_hundred_clean_documents_certify_one_percent_and_299_need_luck():
    assert effects.exact_bounds(Counts(300, 0), 0.05).high < 0.01
    assert effects.exact_bounds(Counts(297, 0), 0.05).high > 0.01


# Waudby-Smith et al., arXiv 2103.06476; the numbers to five decimals are those that GrowthBook's published
# implementation is tested by (relative effect, tuned for 1000 and for 5000).


def test_sequence_gives_the_numbers_of_the_published_implementation():
    control = Moments(3000, 1396.87, 52377.9767)
    treatment = Moments(3461, 2422.7, 134698.29)
    of = effects.contrast(control, treatment, weight=treatment.mean / control.mean**2, scale=1 / control.mean)
    width = sequence.half_width(of.variance, of.n, 0.05, sequence.rho(0.05, 1000))
    estimate = treatment.mean / control.mean - 1.0
    assert (estimate, of.se) == pytest.approx((0.50336, 0.33341), abs=6e-6)
    assert (estimate - width, estimate + width) == pytest.approx((-0.55844, 1.56516), abs=6e-6)
    result = sequence.sequence(effects.uplift(Counts(3000, 1396), Counts(3461, 2422)), 0.05, 5000)
    assert (result.low, result.estimate, result.high) == pytest.approx((0.40098, 0.50386, 0.60675), abs=6e-6)
    assert result.p == pytest.approx(0.0, abs=6e-6)


def test_sequence_agrees_with_the_papers_formulas_to_1e_6():
    for alpha, tuned, n, variance in [(0.05, 5000, 200, 1.7), (0.01, 700, 1400, 2e6), (0.05, 100, 10**6, 1e-4)]:
        rho = sequence.rho(alpha, tuned)
        assert rho == pytest.approx(
            math.sqrt((-2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1)) / tuned), rel=1e-12
        )
        paper = math.sqrt(variance) * math.sqrt(
            2 * (n * rho**2 + 1) / (n**2 * rho**2) * math.log(math.sqrt(n * rho**2 + 1) / alpha)
        )
        width = sequence.half_width(variance, n, alpha, rho)
        assert width == pytest.approx(paper, rel=1e-6)
        assert sequence.p_value(width, variance, n, rho) == pytest.approx(alpha, rel=1e-6)
        paper = math.sqrt(variance) * math.sqrt(
            2 * (n * rho**2 + 1) / (n**2 * rho**2) * math.log(1 + math.sqrt(n * rho**2 + 1) / (2 * alpha))
        )
        width = sequence.half_width_one_sided(variance, n, alpha, rho)
        assert width == pytest.approx(paper, rel=1e-6)


def test_one_sided_width_never_undercuts_the_exact_half_normal_mixture():
    """Eq. 134 is a closed bound on where the half-normal mixture martingale passes 1/alpha."""
    for n, tuned, alpha in [(50, 500, 0.05), (1400, 1400, 0.05), (10**5, 700, 0.01)]:
        rho = sequence.rho(2 * alpha, tuned)
        width = sequence.half_width_one_sided(1.0, n, alpha, rho)
        score = n * width

        def mixed(strength: float, score: float = score, n: int = n, rho: float = rho) -> float:
            prior = 2.0 * math.exp(-(strength**2) / (2 * rho**2)) / (rho * math.sqrt(2 * math.pi))
            return prior * math.exp(strength * score - n * strength**2 / 2.0)

        peak = score / (n + rho**-2)
        evalue = scipy.integrate.quad(mixed, 0.0, 20 * peak, points=[peak], epsabs=0, epsrel=1e-10, limit=400)[0]
        assert evalue >= 1.0 / alpha * (1 - 1e-6)
        assert evalue < 1.3 / alpha


def test_the_sequence_is_narrower_at_our_tuning_than_at_the_usual_one():
    def over_fixed(n: int, tuned: int) -> float:
        return sequence.half_width(1.0, n, 0.05, sequence.rho(0.05, tuned)) / (1.959964 / math.sqrt(n))

    assert over_fixed(200, 5000) == pytest.approx(2.60, abs=0.005)
    assert over_fixed(200, 500) == pytest.approx(1.59, abs=0.005)


def test_rate_bounds_are_where_the_mixture_passes_one_over_alpha():
    result = sequence.rate_bounds(Counts(800, 3), 0.05, 0.01)
    a, b = 1.0, 99.0
    for edge in (result.low, result.high):
        oracle = scipy.stats.betabinom(800, a, b).pmf(3) / scipy.stats.binom(800, edge).pmf(3)
        assert oracle == pytest.approx(20.0, rel=1e-6)
    assert result.low < 3 / 800 < result.high


# O'Brien-Fleming constants C_B(K, 0.05): Jennison and Turnbull 2000, table 2.3.
TABLE = {1: 1.960, 2: 1.977, 3: 2.004, 4: 2.024, 5: 2.040, 6: 2.053, 7: 2.063, 8: 2.072, 9: 2.080, 10: 2.087}


@pytest.mark.parametrize(("looks", "constant"), TABLE.items())
def test_the_o_brien_fleming_constants_are_the_published_ones(looks, constant):
    result = group_sequential.bounds(looks)
    assert result[-1].z == pytest.approx(constant, abs=6e-4)
    for bound in result:
        assert bound.z == pytest.approx(result[-1].z * math.sqrt(looks / bound.number), rel=1e-12)
        assert bound.p == pytest.approx(2 * scipy.stats.norm.sf(bound.z), rel=1e-9)


def test_the_o_brien_fleming_crossing_probability_agrees_with_another_integrator():
    bounds = group_sequential.bounds(3)
    fractions = [bound.fraction for bound in bounds]
    cov = [[math.sqrt(min(s, t) / max(s, t)) for s in fractions] for t in fractions]
    heights = [bound.z for bound in bounds]
    below = [-z for z in heights]
    normal = scipy.stats.multivariate_normal([0, 0, 0], cov, abseps=1e-7, releps=1e-7, maxpts=10**6)
    inside = normal.cdf(heights, lower_limit=below)
    assert 1.0 - inside == pytest.approx(0.05, abs=2e-5)


@pytest.mark.parametrize(("control", "treatment", "share"), [(2350, 2650, 0.5), (900, 100, 0.1), (1, 0, 0.5)])
def test_the_p_value_of_a_split_agrees_with_scipy(control, treatment, share):
    total = control + treatment
    oracle = scipy.stats.chisquare([control, treatment], [total * (1 - share), total * share]).pvalue
    assert srm.split_p(control, treatment, share) == pytest.approx(oracle, rel=1e-9)


def test_split_e_value_is_the_beta_binomial_over_the_binomial():
    result = srm.sample_ratio(2350, 2650, 0.5)
    oracle = scipy.stats.betabinom(5000, 150, 150).pmf(2650) / scipy.stats.binom(5000, 0.5).pmf(2650)
    assert result.e_value == pytest.approx(oracle, rel=1e-6)


def test_documents_needed_for_fifteen_percent_at_eighty_percent_power():
    """By the coefficient of variation: 63 (0.3), 175 (0.5), 698 (1.0) an arm."""
    for cv, documents in [(0.3, 63), (0.5, 175), (1.0, 698)]:
        base = Moments(10**6, 10.0 * 10**6, 10**6 * 100.0 * (1 + cv**2))
        assert power.needed_per_arm(base, 0.15) == documents
    assert power.needed_per_arm(Counts(10**6, 8000), 1.0) == pytest.approx(2907, abs=15)


def test_power_is_that_of_the_noncentral_t_for_large_arms():
    n, shift = 700, 0.15
    noncentral = shift / math.sqrt(2 / n)
    critical = scipy.stats.t.ppf(0.975, 2 * n - 2)
    oracle = scipy.stats.nct.sf(critical, 2 * n - 2, noncentral) + scipy.stats.nct.cdf(-critical, 2 * n - 2, noncentral)
    assert power.power(shift, math.sqrt(2 / n)) == pytest.approx(oracle, abs=1e-3)


def test_holm_matches_scipys_step_down_computed_manually():
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": None}) == pytest.approx(
        {"a": 0.04, "b": 0.09, "c": 0.09, "d": None}
    )


def by_documents(yes, asked) -> Ratio:
    return sum((Ratio.one(int(y), int(n)) for y, n in zip(yes, asked, strict=True)), Ratio())


def jackknife(yes, asked) -> float:
    """Standard error of sum(yes) / sum(asked), leaving each document out in turn."""
    without = (yes.sum() - yes) / (asked.sum() - asked)
    return math.sqrt((len(yes) - 1) / len(yes) * ((without - yes.sum() / asked.sum()) ** 2).sum())


def test_a_rate_with_many_answers_a_document_has_the_jackknifes_error_and_no_less_than_a_bootstrap_finds():
    rng = np.random.default_rng(11)
    asked = rng.integers(1, 12, 400)
    liked = rng.binomial(asked, rng.beta(4, 2, 400))  # documents differ, and answers about one are alike
    total = by_documents(liked, asked)
    assert total.mean == pytest.approx(liked.sum() / asked.sum())
    error = math.sqrt(total.variance / total.n)
    assert error == pytest.approx(jackknife(liked, asked), rel=1e-3)
    draws = rng.integers(0, 400, (4000, 400))
    again = liked[draws].sum(1) / asked[draws].sum(1)
    assert error == pytest.approx(again.std(), rel=0.05)
    naive = math.sqrt(total.mean * (1 - total.mean) / total.asked)
    assert error > 1.3 * naive
    one_each = sum((Ratio.one(int(y), 1) for y in rng.random(500) < 0.3), Ratio())
    assert one_each.variance == pytest.approx(one_each.counts.variance * 500 / 499)
    assert total - Ratio.one(int(liked[0]), int(asked[0])) + Ratio.one(int(liked[0]), int(asked[0])) == total


def test_a_few_documents_with_most_answers_do_not_hide_their_own_error():
    rng = np.random.default_rng(13)
    asked = 1 + rng.multinomial(1400, rng.dirichlet(np.full(100, 0.2)))
    liked = rng.binomial(asked, rng.beta(4, 2, 100))
    total = by_documents(liked, asked)
    linear = (liked - total.mean * asked) / asked.mean()
    error = math.sqrt(total.variance / total.n)
    assert error > 1.03 * math.sqrt(linear.var(ddof=1) / 100)
    assert error == pytest.approx(jackknife(liked, asked), rel=0.03)


def test_rates_by_document_are_tested_as_scipy_tests_their_linearised_values_where_no_document_outweighs_another():
    rng = np.random.default_rng(12)
    arms, linear = [], []
    for rate in (0.4, 0.5):
        asked = np.full(300, 4)
        yes = rng.binomial(asked, rng.beta(20 * rate, 20 * (1 - rate), 300))
        arms.append(by_documents(yes, asked))
        linear.append((yes - yes.sum() / asked.sum() * asked) / asked.mean() + yes.sum() / asked.sum())
    oracle = scipy.stats.ttest_ind(*linear, equal_var=False)
    result = fixed.by_document(*arms)
    assert (result.statistic, result.p) == pytest.approx((oracle.statistic, oracle.pvalue), rel=1e-9)
    plain = scipy.stats.chi2_contingency([[a.yes, a.asked - a.yes] for a in arms], correction=False)
    assert fixed.plan_p(*arms) == pytest.approx(plain.pvalue, rel=1e-9)
