"""A figure in the unit of its metric, for sentences."""

from __future__ import annotations

from engine.plan.model import Metric
from engine.plan.vocabulary import METRICS
from engine.text import milliseconds, rate_percent


def measure(metric: Metric, value: float) -> str:
    """A value in the metric's own unit."""
    match METRICS[metric].unit:
        case "rate":
            return rate_percent(value)
        case "change":
            return rate_percent(value, signed=True)
        case "ms":
            return milliseconds(value)
        case "ratio":
            return f"{value:.2f}x"
        case _:
            return f"{value:g}"


def target(metric: str, value: float) -> str:
    """A target in its shortest form: "1 %", "2 s", "500 ms"."""
    if METRICS[metric].unit == "ms":
        return f"{value / 1000:g} s" if value >= 1000 else f"{value:g} ms"
    return f"{value * 100:g} %"


def value_and_threshold(metric: Metric, value: float, threshold: float) -> tuple[str, str]:
    """Both as text, with enough digits that different values look different."""
    left, right = measure(metric, value), measure(metric, threshold)
    unit = METRICS[metric].unit
    if left == right and value != threshold:
        if unit in ("rate", "change"):
            left = f"{100 * value:.6g} %"
        elif unit == "ms":
            left, right = f"{value:.6g} ms", f"{threshold:g} ms"
        else:
            left = f"{value:.6g}"
    elif unit == "ms" and abs(threshold) >= 1000:
        right = f"{threshold / 1000:g} s"
    return left, right
