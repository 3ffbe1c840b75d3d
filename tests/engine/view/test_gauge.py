"""Gauges show what triggers judged."""

from __future__ import annotations

import pytest

from console.widgets import words
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


@pytest.mark.parametrize(("latency_ms", "shown"), [(500.0, "500 ms"), (2000.0, "2 s"), (2500.0, "2.5 s")])
def test_a_target_reads_the_same_beside_a_gauge_and_in_its_sentence(latency_ms: float, shown: str) -> None:
    seen = Bucket(attempts=30, fresh=30, ms_sum=30_000.0)
    _, latency, _ = gauge.gauges(seen, {"latency_mean": latency_ms}, 300.0)
    assert words.target(latency) == f"<{shown}"
    assert latency.sentence.endswith(f"target < {shown}")
