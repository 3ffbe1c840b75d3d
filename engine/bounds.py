"""Exact confidence bounds of rates and means, with the standard library alone.

All bounds are one-sided: at `confidence` 0.95 the true value lies beyond the bound in at most 5 % of cases.
Importing scipy costs half a second; here it serves only as the oracle of the tests, which agree to 1e-9.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from functools import lru_cache
from statistics import NormalDist

_TINY = 1e-300
_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


def compare(value: float, op: str, limit: float) -> bool:
    """Whether `value` op `limit` holds. KeyError for an operator other than <, <=, > and >=."""
    return _COMPARE[op](value, limit)


_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


FEWEST = 20  # samples, where nothing else says how many


def within(value: float, op: str, limit: float, n: int, k: int | None = None, fewest: int = FEWEST) -> bool | None:
    """Whether a figure of `n` samples meets its target; None if they are too few to say. Two successes of two prove
    nothing, nor do two cache misses: with few samples a rate of successes is missed where its upper bound is too. Any
    number can show that too many failed or took too long."""
    meets = compare(value, op, limit)
    if n >= fewest:
        return meets
    may_meet = op in (">", ">=") and (k is None or compare(rate_upper(k, n), op, limit))
    return None if meets or may_meet else False


# -- rates: k of n ---------------------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def rate_upper(k: int, n: int, confidence: float = 0.95) -> float:
    """Clopper-Pearson: the largest rate at which k or fewer of n still happen with 1 - confidence. No n: 1."""
    _check(k, n, confidence)
    if n == 0 or k == n:
        return 1.0
    if k == 0:
        return -math.expm1(math.log1p(-confidence) / n)
    return beta_quantile(confidence, k + 1, n - k)


@lru_cache(maxsize=4096)
def rate_lower(k: int, n: int, confidence: float = 0.95) -> float:
    """Clopper-Pearson: the smallest rate at which k or more of n still happen with 1 - confidence. No n: 0."""
    _check(k, n, confidence)
    if n == 0 or k == 0:
        return 0.0
    if k == n:
        return math.exp(math.log1p(-confidence) / n)
    return beta_quantile(1 - confidence, k, n - k + 1)


def wilson_upper(k: int, n: int, confidence: float = 0.95) -> float:
    """Wilson's score bound: close to exact, cheap, for display. No n: 1."""
    _check(k, n, confidence)
    return 1.0 if n == 0 else _wilson(k, n, NormalDist().inv_cdf(confidence))


def wilson_lower(k: int, n: int, confidence: float = 0.95) -> float:
    """The lower bound; 0 without data."""
    _check(k, n, confidence)
    return 0.0 if n == 0 else _wilson(k, n, -NormalDist().inv_cdf(confidence))


def _wilson(k: int, n: int, z: float) -> float:
    p = k / n
    root = math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return min(1.0, max(0.0, (p + z * z / (2 * n) + z * root) / (1 + z * z / n)))


def difference(k: int, n: int, k_other: int, n_other: int, confidence: float = 0.95) -> tuple[float, float]:
    """Two-sided interval of k/n - k_other/n_other: Newcombe 1998, method 10 (from two Wilson intervals)."""
    if n == 0 or n_other == 0:
        return -1.0, 1.0
    side = (1 + confidence) / 2
    p, q = k / n, k_other / n_other
    low, high = wilson_lower(k, n, side), wilson_upper(k, n, side)
    low_other, high_other = wilson_lower(k_other, n_other, side), wilson_upper(k_other, n_other, side)
    down = math.hypot(p - low, high_other - q)
    up = math.hypot(high - p, q - low_other)
    return max(-1.0, p - q - down), min(1.0, p - q + up)


def documents_for_rate_below(k: int, rate: float, confidence: float = 0.95) -> int:
    """The smallest n whose `rate_upper(k, n)` is below `rate`: 299 for k = 0 and 1 %. ValueError unless 0 < rate <
    1."""
    if not 0 < rate < 1:
        raise ValueError(f"a rate of {rate} cannot be proven; give one between 0 and 1")
    if k == 0:
        n = max(1, math.floor(math.log1p(-confidence) / math.log1p(-rate)))
        return n if rate_upper(0, n, confidence) < rate else n + 1
    return first_true(lambda n: rate_upper(k, n, confidence) < rate, k + 1) or 0


def first_true(holds: Callable[[int], bool], start: int, limit: int = 1 << 40) -> int | None:
    """The smallest n >= start for which a condition holds that never ceases to hold; None beyond `limit`."""
    if holds(start):
        return start
    low, step = start, max(1, start // 8)
    while not holds(low + step):
        low, step = low + step, step * 2
        if low > limit:
            return None
    high = low + step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _check(k: int, n: int, confidence: float) -> None:
    if not (0 <= k <= n and 0 < confidence < 1):
        raise ValueError(f"{k} of {n} at {confidence} is not a rate; want 0 <= k <= n and 0 < confidence < 1")


# -- means -----------------------------------------------------------------------------------------------------------


def mean_upper(mean: float, variance: float, n: int, confidence: float = 0.95) -> float:
    """mean + t * SE (Student's t, n - 1 degrees of freedom; 1.645 SE when n is large). n < 2: infinite."""
    return mean + _margin(variance, n, confidence)


def mean_lower(mean: float, variance: float, n: int, confidence: float = 0.95) -> float:
    """mean - t * SE, as `mean_upper`. n < 2: minus infinite."""
    return mean - _margin(variance, n, confidence)


def _margin(variance: float, n: int, confidence: float) -> float:
    if n < 2:
        return math.inf
    return t_quantile(confidence, n - 1) * math.sqrt(max(0.0, variance) / n)


# -- the functions behind them ---------------------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def t_quantile(p: float, degrees: float) -> float:
    """Student's t."""
    if p < 0.5:
        return -t_quantile(1 - p, degrees)
    y = beta_quantile(2 * p - 1, 0.5, degrees / 2) if p > 0.5 else 0.0
    return math.sqrt(degrees * y / (1 - y)) if y < 1 else math.inf


def beta_quantile(p: float, a: float, b: float) -> float:
    """The x at which betainc(a, b, x) is p."""
    log_beta = math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)

    def density(x: float) -> float:
        return math.exp((a - 1) * math.log(x) + (b - 1) * math.log1p(-x) - log_beta) if 0 < x < 1 else 0.0

    return _solve(lambda x: betainc(a, b, x) - p, density, 0.0, 1.0, a / (a + b))


def _solve(
    value: Callable[[float], float], slope: Callable[[float], float], low: float, high: float, x: float
) -> float:
    """The root of a growing function: Newton's steps, bisection where they leave the bracket."""
    for _ in range(200):
        miss = value(x)
        if miss == 0:
            return x
        low, high = (low, x) if miss > 0 else (x, high)
        steep = slope(x)
        step = miss / steep if steep > 0 else math.inf
        nearer = x - step
        if not low < nearer < high:
            nearer = (low + high) / 2
        if abs(nearer - x) <= 1e-15 * abs(x) + _TINY:
            return nearer
        x = nearer
    return x


def betainc(a: float, b: float, x: float) -> float:
    """Regularised incomplete beta function, by Lentz' continued fraction (Numerical Recipes 6.4)."""
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    if x > (a + 1) / (a + b + 2):
        return 1.0 - betainc(b, a, 1 - x)
    return math.exp(_log_beta_term(a, b, x)) * _beta_fraction(a, b, x) / a


def _log_beta_term(a: float, b: float, x: float) -> float:
    """ln(x^a (1-x)^b / B(a, b)) without the cancellation of three large lgamma (Loader 2000)."""
    total = a + b
    centre = a / total
    off = x - centre
    spread = a * _log1p_minus(off / centre) + b * _log1p_minus(-off / (1 - centre))
    scale = 0.5 * (math.log(a) + math.log(b) - math.log(total)) - _HALF_LOG_2PI
    return spread + scale - _stirling(a) - _stirling(b) + _stirling(total)


def _stirling(z: float) -> float:
    """lgamma(z) less Stirling's formula."""
    if z < 16:
        return math.lgamma(z) - ((z - 0.5) * math.log(z) - z + _HALF_LOG_2PI)
    square = z * z
    return (1 / 12 - (1 / 360 - (1 / 1260 - (1 / 1680 - 1 / (1188 * square)) / square) / square) / square) / z


def _log1p_minus(u: float) -> float:
    """ln(1 + u) - u, also where u is small."""
    if abs(u) > 0.1:
        return math.log1p(u) - u
    term, total, power = u, 0.0, 1
    while abs(term) > 1e-18:
        power += 1
        term *= -u
        total += term / power
    return total


def _beta_fraction(a: float, b: float, x: float) -> float:
    c, d = 1.0, 1 - (a + b) * x / (a + 1)
    d = 1 / (d if abs(d) > _TINY else _TINY)
    result = d
    for m in range(1, 1_000_000):
        for numerator in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 + numerator * d
            c = 1 + numerator / c
            d = 1 / (d if abs(d) > _TINY else _TINY)
            c = c if abs(c) > _TINY else _TINY
            result *= d * c
        if abs(d * c - 1) < 1e-16:
            break
    return result
