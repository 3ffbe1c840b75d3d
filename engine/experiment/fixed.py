"""The tests that are read once, at the declared end: t-tests, chi-square, Fisher's exact test, by scipy.

`student` is what the rollout plan's script prints: `stats.ttest_ind(control, treatment)` with its default of equal
variances, hence control first. The verdict uses `welch`, the same call with `equal_var=False`: an LLM and a word
counter do not spread alike. scipy.stats takes half a second to import, so it is imported by the first test.
"""

from __future__ import annotations

import math

from msgspec import Struct
from msgspec.structs import replace

from engine.experiment.effects import difference
from engine.experiment.moments import Counts, Measure, Moments, Ratio

_FEW = 5.0


class FixedTestResult(Struct, frozen=True):
    """`statistic` has scipy's sign. If the p-value is unreliable, `warning` explains why and `exact_p` replaces
    it."""

    name: str
    statistic: float
    dof: float
    p: float
    exact_p: float | None = None
    warning: str = ""

    @property
    def judged_p(self) -> float:
        """The p-value for the verdict."""
        return self.p if self.exact_p is None else self.exact_p


def welch(control: Moments, treatment: Moments) -> FixedTestResult | None:
    """As scipy.stats.ttest_ind(control, treatment, equal_var=False); None with under two values or no variation."""
    return _t_test("Welch's t-test", control, treatment, equal_var=False)


def student(control: Moments, treatment: Moments) -> FixedTestResult | None:
    """As scipy.stats.ttest_ind(control, treatment): the plan's script, unchanged."""
    return _t_test("Student's t-test", control, treatment, equal_var=True)


def _t_test(name: str, control: Moments, treatment: Moments, *, equal_var: bool) -> FixedTestResult | None:
    of = difference(control, treatment)
    if of is None or control.variance is None or treatment.variance is None:
        return None
    from scipy import stats

    result = stats.ttest_ind_from_stats(
        control.mean,
        math.sqrt(control.variance),
        control.n,
        treatment.mean,
        math.sqrt(treatment.variance),
        treatment.n,
        equal_var=equal_var,
    )
    dof = float(control.n + treatment.n - 2) if equal_var else of.dof
    return _tested(name, float(result.statistic), dof, float(result.pvalue))


def chi_square(control: Counts, treatment: Counts) -> FixedTestResult | None:
    """As scipy.stats.chi2_contingency(table, correction=False), that is without Yates' correction, which at 500 an arm
    and rates near 1 % turns a 5 % test into a 2 % one. None without data in both arms, or when all outcomes are alike.
    With an expected count under 5 it warns and gives Fisher's exact p beside.
    """
    if control.mean is None or treatment.mean is None:
        return None
    hits, total = control.k + treatment.k, control.n + treatment.n
    if hits == 0 or hits == total:
        return None
    from scipy import stats

    table = [[control.k, control.n - control.k], [treatment.k, treatment.n - treatment.k]]
    result = stats.chi2_contingency(table, correction=False)
    tested = _tested("chi-square test", float(result.statistic), 1.0, float(result.pvalue))
    least = min(control.n, treatment.n) * min(hits, total - hits) / total
    if tested is None or least >= _FEW:
        return tested
    exact = float(stats.fisher_exact(table).pvalue)
    warning = f"An expected count is {least:.1f}, under 5: chi-square is unreliable, judge by Fisher's exact p."
    return replace(tested, exact_p=min(1.0, exact), warning=warning)


def by_document(control: Ratio, treatment: Ratio) -> FixedTestResult | None:
    """Welch's t-test of two rates whose answers come in documents; the sign is scipy's, control minus treatment."""
    of = difference(control, treatment)
    if of is None:
        return None
    from scipy import special

    return _tested("Welch's t-test by document", -of.z, of.dof, 2.0 * float(special.stdtr(of.dof, -abs(of.z))))


def plan_p(control: Measure, treatment: Measure) -> float | None:
    """The p-value of the rollout plan's test to the letter: Student's t of means, chi-square of answers."""
    tested = None
    if isinstance(control, Moments) and isinstance(treatment, Moments):
        tested = student(control, treatment)
    elif isinstance(control, Ratio) and isinstance(treatment, Ratio):
        tested = chi_square(control.counts, treatment.counts)
    elif isinstance(control, Counts) and isinstance(treatment, Counts):
        tested = chi_square(control, treatment)
    return None if tested is None else tested.p


def test_for(control: Measure, treatment: Measure) -> FixedTestResult | None:
    """Welch for continuous metrics, chi-square for categorical ones, by document where one has many answers; None when
    unknown or of two kinds.
    """
    if isinstance(control, Ratio) and isinstance(treatment, Ratio):
        return by_document(control, treatment)
    if isinstance(control, Counts) and isinstance(treatment, Counts):
        return chi_square(control, treatment)
    if isinstance(control, Moments) and isinstance(treatment, Moments):
        return welch(control, treatment)
    return None


def _tested(name: str, statistic: float, dof: float, p: float) -> FixedTestResult | None:
    if not (math.isfinite(statistic) and math.isfinite(dof) and math.isfinite(p)):
        return None
    return FixedTestResult(name, statistic, dof, p)
