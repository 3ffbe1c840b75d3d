"""Power of the test, and how many documents are missing. Normal theory, two-sided."""

from __future__ import annotations

import math
from statistics import NormalDist

from engine.experiment.effects import contrast
from engine.experiment.moments import Counts, Measure

_NORMAL = NormalDist()
_MOST = 10**12


def power(effect: float, se: float, alpha: float = 0.05) -> float | None:
    """Probability that a two-sided test at `alpha` detects a true difference of `effect`; None unless se > 0."""
    if not (math.isfinite(effect) and math.isfinite(se) and se > 0.0):
        return None
    critical = _NORMAL.inv_cdf(1.0 - alpha / 2.0)
    shift = min(abs(effect) / se, 1e6)
    return _NORMAL.cdf(shift - critical) + _NORMAL.cdf(-shift - critical)


def needed_per_arm(
    control: Measure, relative: float, alpha: float = 0.05, wanted: float = 0.8, *, treatment: Measure | None = None
) -> int | None:
    """Documents per arm to detect a change of `relative` (0.15 = 15 %) of the control's mean with power `wanted`.

    (z_a + z_b)^2 (var_c + var_t) / delta^2. A rate's variance follows its changed rate; a mean's is that of
    `treatment` where known, else the control's. None without a baseline, without variation, or beyond 1e12.
    """
    if control.mean is None or control.variance is None:
        return None
    delta = relative * control.mean
    if isinstance(control, Counts):
        changed = min(1.0, max(0.0, control.mean + delta))
        other = changed * (1.0 - changed)
    else:
        seen = treatment.variance if treatment is not None else None
        other = control.variance if seen is None else seen
    total = control.variance + other
    if not (1e-140 < abs(delta) < 1e140 and 0.0 < total < 1e280):
        return None
    z = _NORMAL.inv_cdf(1.0 - alpha / 2.0) + _NORMAL.inv_cdf(wanted)
    count = z * z * total / (delta * delta)
    return math.ceil(count) if count < _MOST else None


def power_now(control: Measure, treatment: Measure, relative: float, alpha: float = 0.05) -> float | None:
    """Power, with the documents at hand, for a change of `relative` of the control's mean (not for the change seen)."""
    difference = contrast(control, treatment)
    if difference is None or control.mean is None:
        return None
    return power(relative * control.mean, difference.se, alpha)
