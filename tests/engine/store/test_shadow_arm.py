"""Shadow is an arm of its own: its figures are as complete as the others', and never mixed with them."""

from __future__ import annotations

import sqlite3

import pytest

from engine.measures.bucket import Arms, Bucket
from engine.measures.record import Extraction
from engine.store import series
from engine.store.migrations import migrate
from engine.store.rollup import insert_and_fold

T0 = 1_800_000_000.0


def record(at: float, ms: float, error: str | None = None) -> Extraction:
    return Extraction(
        at, "d", "control", "llm", 1, 1, attempted=True, shadow=True, error=error, ms=ms, proposed=10, ungrounded=1
    )


RECORDS = [record(T0 + n, 1000.0 + n, "http" if n % 10 == 0 else None) for n in range(100)]


def test_the_shadow_arm_has_rate_mean_percentile_and_kinds() -> None:
    made = Bucket.of(RECORDS)
    assert (made.n, made.attempts, made.errors) == (0, 0, 0)
    shadow = Bucket.decode(made.encode()).in_shadow()
    assert (shadow.attempts, shadow.errors, shadow.fresh) == (100, 10, 90)
    assert shadow.error_rate == pytest.approx(0.1)
    assert shadow.mean_ms == pytest.approx(1049.5, abs=1)
    assert 1050 < (shadow.histogram.quantile(0.95) or 0) < 1150
    assert shadow.kinds == {"http": 10}
    assert Arms.decode(Arms().encode()) == Arms()


def test_the_shadow_arm_has_its_own_curve() -> None:
    conn = sqlite3.connect(":memory:", isolation_level=None)
    migrate(conn)
    insert_and_fold(conn, RECORDS)
    metrics = ("error_rate", "latency_mean", "latency_p95", "documents")
    shadow = series.series_of(conn, metrics, T0 - 100, T0 + 200, 3, "shadow")
    served = series.series_of(conn, metrics, T0 - 100, T0 + 200, 3, "treatment")
    assert [v for _, v in shadow["error_rate"] if v is not None] == [pytest.approx(0.1)]
    assert [v for _, v in shadow["latency_p95"] if v is not None]
    assert not [v for _, v in served["error_rate"] if v is not None]
