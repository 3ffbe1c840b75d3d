"""Judges the rate of cache hits."""

from __future__ import annotations

from engine.plan.model import Mode, Trigger, TriggerSettings
from engine.text import rate_percent
from engine.triggers.finding import Finding, beyond, limit, span, too_few
from engine.triggers.windows import Attempts, WindowTotals


def cache_hits(rule: Trigger, settings: TriggerSettings, mode: Mode, attempts: Attempts) -> Finding:
    window = attempts.windows.get(rule.for_s) or WindowTotals(0.0, 0, 0)
    fewest = 1 if mode == "literal" else settings.min_n
    if window.lookups < fewest:
        return too_few(rule, window.lookups, fewest, attempts.per_min, "lookups")
    value = window.hits / window.lookups
    return Finding(
        beyond(rule, value),
        "literal",
        value,
        limit(rule),
        window.lookups,
        window.hits,
        lambda: f"{window.hits} of {window.lookups} in {span(window)}",
        resets=lambda: f"the rate is {rate_percent(limit(rule) or 0.0)} or more",
    )
