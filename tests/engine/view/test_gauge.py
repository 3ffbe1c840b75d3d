"""Gauges show what triggers judged."""

from __future__ import annotations

from engine.measures.bucket import Bucket
from engine.triggers.windows import WindowTotals
from engine.view import gauge


def test_shadow_is_shown_as_the_triggers_count_it() -> None:
    """Latencies that a late engine measured are in the store and judged by no trigger."""
    stored = Bucket(shadow_n=110, shadow_ms_sum=220_000.0)
    judged = WindowTotals(300.0, 110, 1, fresh=40, ms=36_000.0)
    errors, latency = gauge.shadow_gauges(stored, {"latency_mean": 2000.0}, 300.0, judged)
    assert (errors.n, errors.k) == (110, 1)
    assert (latency.value, latency.n, latency.ok) == (900.0, 40, True)
