"""Formats numbers for the sentences of triggers and gates."""

from __future__ import annotations

from engine.plan.model import Metric
from engine.plan.vocabulary import METRICS

NAMES: dict[str, str] = {
    "error_rate": "error rate",
    "latency_mean": "mean latency",
    "latency_p95": "p95 latency",
    "cache_hit_rate": "cache hit rate",
    "llm_available": "LLM service",
    "complaints": "complaints",
    "error_creep": "error creep",
    "grounded_rate": "grounded keywords",
    "quality_score": "quality score",
    "search_improvement": "search improvement",
    "ab_improvement": "search improvement in the A/B test",
    "satisfaction": "satisfaction",
    "documents": "LLM documents",
    "ab_verdict": "A/B verdict",
    "critical_incidents": "critical incidents",
    "negative_impacts": "negative impacts",
    "latency_ratio": "latency against the frequency arm",
}


def percent(rate: float) -> str:
    """0.056 -> "5.6 %", 0.0165 -> "1.65 %", 1 -> "100 %"."""
    value = 100 * rate
    digits = 2 if abs(value) < 2 else 1
    text = f"{value:.{digits}f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} %"


def duration(seconds: float) -> str:
    """ "45 s", "5 min", "1 h 35", "2 d 4 h"; rounded to the smaller unit."""
    if seconds < 59.5:
        return f"{max(0, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {rest:02}" if rest else f"{hours} h"
    days, hours = divmod(round(seconds / 3600), 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def measure(metric: Metric, value: float) -> str:
    """A value in the metric's own unit."""
    match METRICS[metric].unit:
        case "rate":
            return percent(value)
        case "change":
            return f"{'+' if value >= 0 else ''}{percent(value)}"
        case "ms":
            return f"{value / 1000:.2f} s" if abs(value) >= 1000 else f"{value:.0f} ms"
        case "ratio":
            return f"{value:.2f}x"
        case _:
            return f"{value:g}"


def beside(metric: Metric, value: float, threshold: float) -> tuple[str, str]:
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
