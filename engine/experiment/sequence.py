"""Intervals that hold at every look: asymptotic confidence sequences, and exact ones for a rate.

Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas, "Time-uniform central limit theory and asymptotic confidence
sequences", arXiv 2103.06476: eq. 9 (two-sided), eq. 134 (one-sided), eq. 155 (p-value), eq. 161 (tuning).
However often one looks, the chance that the truth ever leaves the sequence is at most alpha. The price is width,
least near the number of documents it is tuned for; the tuning is declared before the start, never read off the data.

A rate far from 1/2 needs many documents before its mean is normal, and none failed gives no variance at all, so a
single rate is bounded by the beta-binomial mixture (Robbins 1970), which is exact at every n.
"""

from __future__ import annotations

import math

from engine.experiment.effects import Contrast, Interval
from engine.experiment.moments import Counts, Ratio

START = 50  # documents before a mean is taken for normal
_LEAST_EVENTS = 5  # of the rarer outcome, both arms together, likewise


def rho(alpha: float, expected_n: float) -> float:
    """Eq. 161: the mixing parameter that makes the two-sided sequence tightest at about `expected_n`."""
    log = -2.0 * math.log(alpha)
    return math.sqrt((log + math.log(log + 1.0)) / expected_n)


def half_width(variance: float, n: float, alpha: float, rho: float) -> float:
    """Eq. 9, two-sided. `variance` is per document: for a difference of arms SE^2 * n, with n of both."""
    mixed = n * rho * rho + 1.0
    return math.sqrt(variance * 2.0 * mixed / (n * rho) ** 2 * math.log(math.sqrt(mixed) / alpha))


def half_width_one_sided(variance: float, n: float, alpha: float, rho: float) -> float:
    """Eq. 134: one bound that holds at every look with error alpha; tune it by `rho(2 * alpha, expected_n)`."""
    mixed = n * rho * rho + 1.0
    return math.sqrt(variance * 2.0 * mixed / (n * rho) ** 2 * math.log1p(math.sqrt(mixed) / (2.0 * alpha)))


def p_value(estimate: float, variance: float, n: float, rho: float) -> float:
    """Eq. 155: 1 / e-value, at most 1. Below alpha exactly when eq. 9's interval at alpha leaves 0 out."""
    mixed = n * rho * rho + 1.0
    log_e = (n * rho * estimate) ** 2 / (2.0 * variance * mixed) - 0.5 * math.log(mixed)
    return math.exp(min(0.0, -log_e))


class Sequence(Interval, frozen=True):
    """A two-sided confidence sequence, read now, with its always-valid p-value."""

    p: float


def sequence(of: Contrast | None, alpha: float, expected_n: float) -> Sequence | None:
    """None without a contrast or before START documents."""
    if of is None or of.n < START:
        return None
    tuned = rho(alpha, expected_n)
    width = half_width(of.variance, of.n, alpha, tuned)
    p = p_value(of.estimate, of.variance, of.n, tuned)
    return Sequence(of.estimate, of.estimate - width, of.estimate + width, p)


def bounds(of: Contrast | None, alpha: float, expected_n: float) -> Interval | None:
    """Lower and upper bound; each alone is wrong at any time with probability at most `alpha`."""
    if of is None or of.n < START:
        return None
    width = half_width_one_sided(of.variance, of.n, alpha, rho(2.0 * alpha, expected_n))
    return Interval(of.estimate, of.estimate - width, of.estimate + width)


def normal_enough(*arms: Counts | Ratio) -> bool:
    """Whether rates may be compared by the asymptotic sequence: 5 of either outcome over all arms."""
    counts = [arm.counts if isinstance(arm, Ratio) else arm for arm in arms]
    hits = sum(arm.k for arm in counts)
    return min(hits, sum(arm.n for arm in counts) - hits) >= _LEAST_EVENTS


def rate_log_e(counts: Counts, rate: float, a: float, b: float) -> float:
    """Log of the e-value against "the true rate is `rate`", mixed over Beta(a, b); 0 without data. 0 < rate < 1."""
    n, k = counts.n, counts.k
    if not 0 <= k <= n or n == 0:
        return 0.0
    mixture = (
        (math.lgamma(a + k) - math.lgamma(a))
        + (math.lgamma(b + n - k) - math.lgamma(b))
        - (math.lgamma(a + b + n) - math.lgamma(a + b))
    )
    return mixture - k * math.log(rate) - (n - k) * math.log1p(-rate)


def rate_bounds(counts: Counts, alpha: float, around: float) -> Interval | None:
    """Bounds of one rate at every look: both together are wrong at any time with probability at most `alpha`.

    `around` (0..1, exclusive) is the rate where it matters, a limit; the mixture Beta(1, 1/around - 1) is tuned there.
    """
    rate = counts.mean
    if rate is None:
        return None
    a, b, ask = 1.0, max(1.0 / around - 1.0, 1e-6), math.log(1.0 / alpha)

    def edge(inside: float, outside: float) -> float:
        # The e-value grows monotonically from the observed rate outwards, so bisection finds where it passes 1/alpha.
        for _ in range(60):
            middle = (inside + outside) / 2.0
            if 0.0 < middle < 1.0 and rate_log_e(counts, middle, a, b) < ask:
                inside = middle
            else:
                outside = middle
        return outside

    low = 0.0 if counts.k == 0 else edge(rate, 0.0)
    high = 1.0 if counts.k == counts.n else edge(rate, 1.0)
    return Interval(rate, low, high)
