"""O'Brien-Fleming bounds for a number of looks that was declared before the start.

Bounds fall as z_k = C / sqrt(t_k), where t_k is the share of the planned documents that look k sees: hard to pass
early, nearly the ordinary 1.96 at the end. C comes from the recursive integration of Armitage, McPherson and Rowe
(1969): between the looks the score S_k = z_k sqrt(t_k) moves by independent normal steps of variance t_k - t_(k-1),
and |S_k| < C at every look must have probability 1 - alpha. For 7 equal looks C = 2.063 (Jennison and Turnbull 2000,
table 2.3).
"""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

_NORMAL = NormalDist()
_NODES = 96


class Bound(Struct, frozen=True):
    """Look `number` of the declared ones, at share `fraction` of the planned documents; two-sided nominal p."""

    number: int
    fraction: float
    z: float
    p: float


def bounds(looks: int, alpha: float = 0.05) -> tuple[Bound, ...]:
    """Equally spaced looks."""
    c = _constant(looks, alpha)
    shares = [(number, number / looks) for number in range(1, looks + 1)]
    heights = [(number, fraction, c / math.sqrt(fraction)) for number, fraction in shares]
    return tuple(Bound(number, fraction, z, 2.0 * _NORMAL.cdf(-z)) for number, fraction, z in heights)


def crossing(looks: int, c: float) -> float:
    """Probability that |S_k| passes `c` at one of the looks when the arms are equal."""
    import numpy as np  # 0.1 s: only a look needs it

    step = 1.0 / looks
    nodes, weights = _quadrature(min(1000, max(_NODES, math.ceil(16.0 / math.sqrt(step)))))
    at, weights = c * nodes, c * weights
    scale = math.sqrt(2.0 * math.pi * step)
    density = np.exp(-(at**2) / (2.0 * step)) / scale
    kernel = np.exp(-((at[:, None] - at[None, :]) ** 2) / (2.0 * step)) / scale
    for _ in range(looks - 1):
        density = kernel @ (weights * density)
    return 1.0 - float(weights @ density)


@lru_cache(maxsize=8)
def _quadrature(nodes: int) -> tuple[NDArray[float64], NDArray[float64]]:
    """Gauss and Legendre's, on -1..1; enough nodes that the narrowest step's normal curve is resolved."""
    import numpy as np

    return np.polynomial.legendre.leggauss(nodes)


@lru_cache(maxsize=64)
def _constant(looks: int, alpha: float) -> float:
    """Bisection: the probability of crossing falls as C grows; a single look and Bonferroni's bound enclose it."""
    low = _NORMAL.inv_cdf(1.0 - alpha / 2.0)
    high = _NORMAL.inv_cdf(1.0 - alpha / (2.0 * looks)) + 1e-9
    for _ in range(40):
        middle = (low + high) / 2.0
        if crossing(looks, middle) > alpha:
            low = middle
        else:
            high = middle
    return (low + high) / 2.0
