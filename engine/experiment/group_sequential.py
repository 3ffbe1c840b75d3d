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
from itertools import pairwise
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
    """Equally spaced looks. ValueError unless 1 <= looks <= 100 and 0 < alpha < 0.5."""
    if not 1 <= looks <= 100:
        raise ValueError(f"{looks} looks cannot be planned; declare between 1 and 100")
    return bounds_at(tuple((look + 1) / looks for look in range(looks)), alpha)


def bounds_at(fractions: tuple[float, ...], alpha: float) -> tuple[Bound, ...]:
    """Looks at the given shares of the planned documents, growing, the last one 1. ValueError otherwise."""
    steps = [after - before for before, after in pairwise((0.0, *fractions))]
    if not fractions or min(steps) <= 0.0 or not math.isclose(fractions[-1], 1.0):
        raise ValueError(f"looks at {fractions} do not grow to 1; give each look's share of the planned documents")
    if not 0.0 < alpha < 0.5:
        raise ValueError(f"an error rate of {alpha} is not between 0 and 0.5; 0.05 is usual")
    c = _constant(fractions, alpha)
    heights = [c / math.sqrt(fraction) for fraction in fractions]
    return tuple(
        Bound(number, fraction, z, 2.0 * _NORMAL.cdf(-z))
        for number, (fraction, z) in enumerate(zip(fractions, heights, strict=True), start=1)
    )


def crossing(fractions: tuple[float, ...], c: float) -> float:
    """Probability that |S_k| passes `c` at one of the looks when the arms are equal."""
    import numpy as np  # 0.1 s: only a look needs it

    narrowest = min(after - before for before, after in pairwise((0.0, *fractions)))
    nodes, weights = _quadrature(min(1000, max(_NODES, math.ceil(16.0 / math.sqrt(narrowest)))))
    at, weights = c * nodes, c * weights
    apart = (at[:, None] - at[None, :]) ** 2
    density = np.exp(-(at**2) / (2.0 * fractions[0])) / math.sqrt(2.0 * math.pi * fractions[0])
    step, kernel = 0.0, apart
    for before, after in pairwise(fractions):
        if not math.isclose(after - before, step, rel_tol=1e-12):
            step = after - before
            kernel = np.exp(-apart / (2.0 * step)) / math.sqrt(2.0 * math.pi * step)
        density = kernel @ (weights * density)
    return 1.0 - float(weights @ density)


@lru_cache(maxsize=8)
def _quadrature(nodes: int) -> tuple[NDArray[float64], NDArray[float64]]:
    """Gauss and Legendre's, on -1..1; enough nodes that the narrowest step's normal curve is resolved."""
    import numpy as np

    return np.polynomial.legendre.leggauss(nodes)


@lru_cache(maxsize=64)
def _constant(fractions: tuple[float, ...], alpha: float) -> float:
    """Bisection: the probability of crossing falls as C grows; a single look and Bonferroni's bound enclose it."""
    low = _NORMAL.inv_cdf(1.0 - alpha / 2.0)
    high = _NORMAL.inv_cdf(1.0 - alpha / (2.0 * len(fractions))) + 1e-9
    for _ in range(40):
        middle = (low + high) / 2.0
        if crossing(fractions, middle) > alpha:
            low = middle
        else:
            high = middle
    return (low + high) / 2.0
