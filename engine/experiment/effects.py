"""Effect sizes: absolute, relative (delta method), standardised, with their fixed intervals.

Every function is total: None where the number is unknown (no data, no variation, no baseline).
The intervals here hold at one look, the declared one; `engine.experiment.sequence` has those that hold at any.
"""

from __future__ import annotations

import math
from statistics import NormalDist

from msgspec import Struct

from engine import bounds
from engine.experiment.moments import Counts, Measure, Moments, Ratio, known

_NORMAL = NormalDist()


class Interval(Struct, frozen=True):
    """An estimate with its bounds; a bound of None is unknown, or open in a one-sided interval."""

    estimate: float
    low: float | None
    high: float | None


class Contrast(Struct, frozen=True):
    """An estimate with its standard error; `n` documents (both arms) carry it, `dof` is Welch-Satterthwaite's."""

    estimate: float
    se: float
    n: int
    dof: float

    @property
    def variance(self) -> float:
        """Per document: what the confidence sequence calls sigma squared."""
        return self.se * self.se * self.n

    @property
    def z(self) -> float:
        return self.estimate / self.se


def contrast(control: Measure, treatment: Measure, weight: float = 1.0, *, scale: float = 1.0) -> Contrast | None:
    """`scale * treatment - weight * control`; None without two values in each arm or without any variation."""
    if control.mean is None or treatment.mean is None:
        return None
    if control.variance is None or treatment.variance is None:
        return None
    parts = (weight * weight * control.variance / control.n, scale * scale * treatment.variance / treatment.n)
    estimate, total = scale * treatment.mean - weight * control.mean, parts[0] + parts[1]
    # The second condition: squares of tiny or huge numbers leave the range of a float before the numbers do.
    if not (math.isfinite(estimate) and 1e-140 < total < 1e140 and abs(estimate) < 1e100):
        return None
    shares = (parts[0] / total, parts[1] / total)
    dof = 1.0 / (shares[0] * shares[0] / control.dof + shares[1] * shares[1] / treatment.dof)
    return Contrast(estimate, math.sqrt(total), control.n + treatment.n, dof)


def difference(control: Measure, treatment: Measure) -> Contrast | None:
    """Treatment minus control."""
    return contrast(control, treatment)


def single(values: Measure) -> Contrast | None:
    """A single mean, as of paired differences; None with under two values or without variation."""
    mean, spread = values.mean, values.variance
    if mean is None or spread is None or not 1e-140 < spread / values.n < 1e140 or abs(mean) > 1e100:
        return None
    return Contrast(mean, math.sqrt(spread / values.n), values.n, float(values.n - 1))


def uplift(control: Measure, treatment: Measure) -> Contrast | None:
    """(treatment - control) / control by the delta method: Var(t)/c^2 + Var(c) t^2/c^4.

    None unless the control's mean is above 0 by three standard errors: a ratio to almost nothing has no interval.
    """
    base, mean, spread = control.mean, treatment.mean, control.variance
    if base is None or mean is None or spread is None or not 1e-140 < base < 1e140 or abs(mean) > 1e140:
        return None
    if base <= 3.0 * math.sqrt(spread / control.n):
        return None
    change = contrast(control, treatment, weight=mean / base / base, scale=1.0 / base)
    if change is None:
        return None
    return Contrast(mean / base - 1.0, change.se, change.n, change.dof)


def ratio(control: Measure, treatment: Measure) -> float | None:
    """Treatment's mean / control's."""
    if control.mean is None or treatment.mean is None or control.mean <= 0.0:
        return None
    return known(treatment.mean / control.mean)


def fixed_interval(of: Contrast, confidence: float = 0.95) -> Interval:
    """Student's t with Welch's degrees of freedom; the same interval scipy's `ttest_ind(...).confidence_interval`
    gives."""
    width = bounds.t_quantile(0.5 + confidence / 2.0, of.dof) * of.se
    return Interval(of.estimate, of.estimate - width, of.estimate + width)


def standardised(control: Measure, treatment: Measure, confidence: float = 0.95) -> Interval | None:
    """Effect size without unit: Cohen's d (pooled sd) for means, Cohen's h (arcsine) for rates.

    Interval by the large-sample variance: (a+b)/ab + d^2/2(a+b) (Hedges and Olkin 1985, eq. 5.8) and 1/a + 1/b; for
    rates with several answers a document the latter by the variance of their means.
    """
    first, second = control.mean, treatment.mean
    if first is None or second is None or control.n < 2 or treatment.n < 2:
        return None
    inverse = 1.0 / control.n + 1.0 / treatment.n
    if isinstance(control, Counts) and isinstance(treatment, Counts):
        size = 2.0 * (math.asin(math.sqrt(second)) - math.asin(math.sqrt(first)))
        variance = inverse
    elif isinstance(control, Ratio) and isinstance(treatment, Ratio):
        if control.variance is None or treatment.variance is None or not (0.0 < first < 1.0 and 0.0 < second < 1.0):
            return None
        size = 2.0 * (math.asin(math.sqrt(second)) - math.asin(math.sqrt(first)))
        variance = control.variance / control.n / (first * (1.0 - first))
        variance += treatment.variance / treatment.n / (second * (1.0 - second))
    elif isinstance(control, Moments) and isinstance(treatment, Moments):
        if control.variance is None or treatment.variance is None:
            return None
        total = control.n + treatment.n
        pooled = (control.n - 1) / (total - 2) * control.variance + (treatment.n - 1) / (total - 2) * treatment.variance
        if not 1e-140 < pooled < 1e140 or abs(second - first) > 1e100:
            return None
        size = (second - first) / math.sqrt(pooled)
        variance = inverse + size * size / (2.0 * total)
    else:
        return None
    width = _NORMAL.inv_cdf(0.5 + confidence / 2.0) * math.sqrt(variance)
    if not math.isfinite(size) or not math.isfinite(width):
        return None
    return Interval(size, size - width, size + width)


def wilson(counts: Counts) -> Interval | None:
    """A proportion's 95 % interval that behaves at 0 and at n (Wilson 1927); None without data."""
    rate = counts.mean
    if rate is None:
        return None
    low, high = bounds.wilson_lower(counts.k, counts.n, 0.975), bounds.wilson_upper(counts.k, counts.n, 0.975)
    return Interval(rate, 0.0 if counts.k == 0 else low, 1.0 if counts.k == counts.n else high)


def exact_bounds(counts: Counts, alpha: float) -> Interval | None:
    """Clopper and Pearson: each bound alone is wrong with probability at most `alpha`; None without data."""
    rate = counts.mean
    if rate is None:
        return None
    confidence = 1.0 - alpha
    low = bounds.rate_lower(counts.k, counts.n, confidence)
    return Interval(rate, low, bounds.rate_upper(counts.k, counts.n, confidence))
