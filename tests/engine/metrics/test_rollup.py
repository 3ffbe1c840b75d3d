"""Buckets say what the raw rows say, however they were batched and merged."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from engine.metrics import read
from engine.metrics.bucket import Bucket
from engine.metrics.histogram import Histogram
from engine.metrics.rollup import insert_and_fold, retain
from engine.store import database
from engine.store.folder import Folder
from engine.store.records import Extraction

T0 = 1_800_000_000.0


def record(at: float = T0, **facts: object) -> Extraction:
    given = {"arm": "treatment", "method": "llm", "attempted": True, "lookup": True, "ms": 1000.0, "keywords": 12, **facts}
    return Extraction(at=at, document_id="d", stage=2, epoch=3, **given)  # type: ignore[arg-type]


failed = {"method": "frequency", "error": "timeout", "fallback": True}
records = st.lists(
    st.builds(
        lambda at, kind, ms: record(T0 + at, ms=ms, **kind),
        st.floats(0, 7200),
        st.sampled_from(
            [{}, failed, {"attempted": False, "cached": True}, {"shadow": True}, {"arm": "control", "method": "frequency", "attempted": False, "lookup": False}]
        ),
        st.floats(0, 60_000),
    ),
    max_size=60,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    found = Folder(tmp_path_factory.mktemp("metrics") / "store")
    database.create(found)
    return found


@pytest.fixture
def conn(folder: Folder) -> sqlite3.Connection:
    connection = database.open_writer(folder, "NORMAL")
    connection.execute("DELETE FROM rollup")
    connection.execute("DELETE FROM extraction")
    return connection


def counts(bucket: Bucket) -> dict[str, object]:
    named = {name: getattr(bucket, name) for name in Bucket.COUNTS}
    return {**named, "kinds": bucket.kinds, "histogram": bucket.histogram.counts}


@settings(max_examples=40, deadline=None)
@given(found=records, cut=st.integers(1, 20))
def test_every_level_sums_to_the_raw_rows_however_they_were_batched(folder: Folder, found: list[Extraction], cut: int) -> None:
    conn = database.open_writer(folder, "NORMAL")
    conn.execute("BEGIN IMMEDIATE")
    conn.execute("DELETE FROM rollup")
    for start in range(0, len(found), cut):
        insert_and_fold(conn, found[start : start + cut])
    expected = Bucket.of(found)
    for level in (10, 60, 3600):
        merged = Bucket.merged(b for _, _, _, b in read.buckets(conn, level, T0 - 7200, T0 + 20_000))
        assert counts(merged) == counts(expected)
        assert merged.ms_sum == pytest.approx(expected.ms_sum)
    conn.execute("ROLLBACK")
    conn.close()


def test_a_cache_hit_dilutes_neither_error_rate_nor_latency() -> None:
    bucket = Bucket.of([record(ms=2000.0), record(attempted=False, cached=True, ms=0.0), record(ms=0.0, **failed)])
    assert (bucket.error_rate, bucket.mean_ms, bucket.hit_rate) == (1 / 2, 2000.0, 1 / 3)


def test_a_shadow_call_counts_for_nothing_but_itself() -> None:
    bucket = Bucket.of([record(shadow=True), record(shadow=True, error="timeout")])
    assert (bucket.n, bucket.attempts, bucket.shadow_n, bucket.shadow_errors) == (0, 0, 2, 1)
    assert bucket.error_rate is None


def test_a_document_that_an_open_breaker_turned_away_is_a_failed_attempt() -> None:
    bucket = Bucket.of([record(method="frequency", error="breaker_open", fallback=True, ms=0.0)])
    assert bucket.error_rate == 1.0
    assert bucket.mean_ms is None


@given(st.lists(st.floats(0.01, 1e7), min_size=1, max_size=300), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_quantile_is_right_to_one_percent(values: list[float], q: float) -> None:
    import math

    found = Histogram.of(values).quantile(q)
    exact = sorted(values)[max(1, math.ceil(q * len(values))) - 1]
    assert found is not None
    assert found == pytest.approx(max(exact, 1.0), rel=0.0101)


@given(st.lists(st.floats(0, 1e6), max_size=50), st.lists(st.floats(0, 1e6), max_size=50))
def test_merging_histograms_is_adding_their_values(one: list[float], other: list[float]) -> None:
    merged = Histogram.of(one)
    merged.merge(Histogram.of(other))
    assert merged.counts == Histogram.of(one + other).counts
    assert Histogram.decode(merged.encode()).counts == merged.counts


def test_a_window_forgets_what_is_older_and_what_was_before_the_change(conn: sqlite3.Connection) -> None:
    insert_and_fold(conn, [record(T0 - 400), record(T0 - 200), record(T0 - 5)])
    assert read.window(conn, T0, 300).attempts == 2
    assert read.window(conn, T0, 300, since_epoch=4).attempts == 0


def test_a_series_has_gaps_where_nothing_was_measured(conn: sqlite3.Connection) -> None:
    insert_and_fold(conn, [record(T0 + 5), record(T0 + 35, ms=0.0, **failed)])
    found = read.series(conn, "error_rate", T0, T0 + 60, 6)
    assert [value for _, value in found] == [0.0, None, None, 1.0, None, None]


def test_retention_deletes_in_small_steps_and_keeps_hours_for_ever(conn: sqlite3.Connection) -> None:
    insert_and_fold(conn, [record(T0 + n * 10) for n in range(100)])
    later = T0 + 40 * 86400
    while retain(conn, later, 30 * 86400, 2 * 86400, 8 * 86400, limit=30):
        pass
    assert conn.execute("SELECT count(*) FROM extraction").fetchone() == (0,)
    assert conn.execute("SELECT DISTINCT level FROM rollup").fetchall() == [(3600,)]


def test_the_store_is_where_the_schema_says(tmp_path: Path) -> None:
    found = Folder(tmp_path)
    database.create(found)
    database.create(found)  # a second start changes nothing
    assert found.exists
