"""Buckets agree with the raw rows however they were batched and merged; each row counts once."""

from __future__ import annotations

import math
import sqlite3
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from engine.measures.bucket import Arms, Bucket
from engine.measures.histogram import Histogram
from engine.measures.record import Extraction
from engine.service import probes
from engine.store import database, series
from engine.store.folder import Folder
from engine.store.rollup import ALL, LEVELS, insert_and_fold, retain
from engine.triggers import history
from engine.triggers.wording import Reading
from tests.engine.metrics.samples import DAY, T0, cached, failed, fallen_back, plain, record, records, skipped


def parts(bucket: Bucket) -> dict[str, object]:
    """Its fields; sums of floats to the precision that survives another order of adding."""
    by_name = {name: getattr(bucket, name) for name in Bucket.__struct_fields__}
    return {name: pytest.approx(value) if isinstance(value, float) else value for name, value in by_name.items()}


# -- the fold --------------------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(rows=records, cut=st.integers(1, 20))
def test_every_level_sums_to_the_raw_rows_however_they_were_batched(
    folder: Folder, rows: list[Extraction], cut: int
) -> None:
    conn = database.open_writer(folder, "NORMAL")
    conn.execute("BEGIN IMMEDIATE")
    for start in range(0, len(rows), cut):
        insert_and_fold(conn, rows[start : start + cut])
    for arm in ("treatment", "control"):
        expected = parts(Bucket.of(r for r in rows if r.arm == arm))
        for level in (*LEVELS, ALL):
            merged = Bucket.merged(b for _, b in series.buckets(conn, level, 0, T0 + DAY, arm))
            assert parts(merged) == expected
    raw = conn.execute(
        "SELECT count(*), coalesce(sum(attempted), 0), coalesce(sum(attempted AND error IS NOT NULL), 0), "
        "coalesce(sum(lookup), 0), coalesce(sum(cached), 0), coalesce(sum(fallback), 0) FROM extraction WHERE NOT shadow"
    ).fetchone()
    b = series.total(conn)
    assert raw == (b.n, b.attempts, b.errors, b.lookups, b.hits, b.fallbacks)
    conn.execute("ROLLBACK")
    conn.close()


@given(records, records, records)
@settings(max_examples=30, deadline=None)
def test_merging_is_associative_and_commutative(
    one: list[Extraction], two: list[Extraction], three: list[Extraction]
) -> None:
    a, b, c = (Bucket.of(result) for result in (one, two, three))
    left = Bucket.merged([Bucket.merged([a, b]), c])
    right = Bucket.merged([c, Bucket.merged([b, a])])
    assert parts(left) == parts(right) == parts(Bucket.of([*one, *two, *three]))


@given(records)
@settings(max_examples=30, deadline=None)
def test_a_bucket_comes_back_from_its_blob(result: list[Extraction]) -> None:
    bucket = Bucket.of(result)
    assert Bucket.decode(bucket.encode()) == bucket


def test_a_bucket_stored_before_a_field_was_added_is_read_with_the_field_at_zero() -> None:
    import msgspec

    older = msgspec.msgpack.encode(msgspec.msgpack.decode(Bucket.of([record()]).encode())[:10])
    bucket = Bucket.decode(older)
    assert (bucket.n, bucket.attempts, bucket.fresh, bucket.ms_sum, bucket.kinds) == (1, 1, 1, 0.0, {})


def test_merging_does_not_change_its_argument() -> None:
    one = Bucket.of([failed()])
    merged = Bucket.merged([one])
    merged.merge(Bucket.of([failed()]))
    assert (one.kinds, one.errors, merged.kinds) == ({"timeout": 1}, 1, {"timeout": 2})


def test_a_time_that_is_not_a_number_costs_neither_the_batch_nor_the_mean(conn: sqlite3.Connection) -> None:
    insert_and_fold(conn, [record(ms=math.nan), record(ms=math.inf, queue_ms=math.nan), record(ms=1000.0)])
    result = series.window(conn, T0, 60)
    assert (result.n, result.attempts, result.fresh, result.mean_ms, result.queue_mean_ms) == (3, 3, 1, 1000.0, 0.0)


# -- what counts -------------------------------------------------------------------------------------------------------------


def test_error_rate_is_failed_llm_attempts_of_llm_attempts() -> None:
    results = [record(), record(), record(), failed(), cached(), cached(), skipped(), fallen_back(), plain(), plain()]
    bucket = Bucket.of(results)
    assert (bucket.attempts, bucket.errors, bucket.error_rate) == (4, 1, 1 / 4)


def test_errors_are_counted_by_kind() -> None:
    bucket = Bucket.of([failed("timeout"), failed("http"), failed("timeout"), failed("breaker_open", ms=0.0), record()])
    assert bucket.kinds == {"timeout": 2, "http": 1, "breaker_open": 1}
    assert sum(bucket.kinds.values()) == bucket.errors


def test_a_cache_hit_dilutes_neither_error_rate_nor_latency() -> None:
    bucket = Bucket.of([record(ms=2000.0), cached(), failed("http", ms=5.0)])
    assert (bucket.error_rate, bucket.mean_ms, bucket.hit_rate) == (1 / 2, 2000.0, 1 / 3)


def test_a_call_that_ran_into_its_deadline_counts_as_long_as_it_took() -> None:
    bucket = Bucket.of([record(ms=1000.0), failed("timeout", ms=8000.0)])
    assert (bucket.fresh, bucket.mean_ms) == (2, 4500.0)


@pytest.mark.parametrize("kind", ["transport", "http", "busy", "invalid", "breaker_open"])
def test_a_call_that_failed_otherwise_shows_nothing_about_speed(kind: str) -> None:
    bucket = Bucket.of([record(ms=2000.0), failed(kind, ms=1.0)])
    assert (bucket.fresh, bucket.mean_ms) == (1, 2000.0)


def test_a_deadline_that_ran_out_before_anything_was_sent_has_no_latency() -> None:
    assert Bucket.of([failed("timeout", ms=0.0)]).mean_ms is None


def test_a_shadow_call_counts_for_nothing_but_itself() -> None:
    shadows = [record(shadow=True, arm="control"), failed(shadow=True, arm="control", method="llm")]
    bucket = Bucket.of(shadows)
    assert (bucket.shadow_n, bucket.shadow_errors, bucket.shadow_mean_ms) == (2, 1, 1000.0)
    for name in Bucket.__struct_fields__:
        if not name.startswith("shadow_"):
            assert getattr(bucket, name) == getattr(Bucket(), name), name


def test_a_document_that_an_open_breaker_turned_away_is_a_failed_attempt() -> None:
    bucket = Bucket.of([failed("breaker_open", ms=0.0)])
    assert bucket.error_rate == 1.0
    assert bucket.mean_ms is None


def test_a_document_too_short_for_the_llm_is_a_document_and_nothing_else() -> None:
    bucket = Bucket.of([skipped()])
    assert (bucket.n, bucket.skipped, bucket.frequency) == (1, 1, 1)
    assert (bucket.attempts, bucket.lookups, bucket.fallbacks, bucket.fresh, bucket.plain_n) == (0, 0, 0, 0, 0)


def test_a_call_that_a_rollback_ended_is_a_fallback_and_no_error() -> None:
    bucket = Bucket.of([fallen_back()])
    assert (bucket.attempts, bucket.errors, bucket.fallbacks, bucket.error_rate) == (0, 0, 1, None)


def test_the_frequency_arm_is_counted_beside_the_llm_and_never_mixed_in() -> None:
    bucket = Bucket.of([plain(ms=2.0), plain(ms=4.0), record(ms=1000.0), plain(error="internal", ms=0.0)])
    assert (bucket.mean_ms, bucket.plain_mean_ms) == (1000.0, 3.0)
    assert (bucket.error_rate, bucket.plain_error_rate) == (0.0, 1 / 3)
    assert bucket.plain_histogram.quantile(1.0) == pytest.approx(4.0, rel=0.01)


@given(records)
@settings(max_examples=30, deadline=None)
def test_the_methods_add_up_to_the_documents(result: list[Extraction]) -> None:
    bucket = Bucket.of(result)
    assert sum(bucket.breakdown.values()) == bucket.n == bucket.llm + bucket.frequency
    assert min(bucket.breakdown.values()) >= 0


def test_without_data_every_number_is_unknown() -> None:
    bucket = Bucket()
    names = ("error_rate", "mean_ms", "hit_rate", "grounded_rate", "keywords_mean", "queue_mean_ms", "plain_mean_ms")
    assert {getattr(bucket, name) for name in names} == {None}
    assert bucket.histogram.quantile(0.5) is None


# -- the histogram -----------------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(0.011, 1e8), min_size=1, max_size=300), st.sampled_from([0.0, 0.5, 0.95, 0.99, 1.0]))
@settings(deadline=None)
def test_a_quantile_is_right_to_one_percent(values: list[float], q: float) -> None:
    exact = sorted(values)[max(1, math.ceil(q * len(values))) - 1]
    assert Histogram.of(values).quantile(q) == pytest.approx(exact, rel=0.01)


@given(st.lists(st.floats(0, 1e6), max_size=50), st.lists(st.floats(0, 1e6), max_size=50))
def test_merging_histograms_is_adding_their_values(one: list[float], other: list[float]) -> None:
    merged = Histogram.of(one)
    merged.merge(Histogram.of(other))
    assert merged == Histogram.of(one + other)
    assert Histogram.decode(merged.encode()) == merged


@given(st.lists(st.floats(0, 1e6), max_size=100), st.floats(0, 1e6))
def test_how_many_are_at_most_x_counts_all_of_them_and_none_two_percent_above(values: list[float], x: float) -> None:
    result = Histogram.of(values).cumulative([x])[0]
    assert sum(v <= x for v in values) <= result <= sum(v <= max(x * 1.0201, 0.01) for v in values)


def test_counts_at_most_x_grow_with_x_and_end_at_all() -> None:
    histogram = Histogram.of([0.0, 0.5, 3.0, 2000.0, 3000.0, 1e12])
    result = histogram.cumulative([0.01, 1, 1900, 2000, 2900, 3000, math.inf])
    assert result == [1, 2, 3, 4, 4, 5, 6]


def test_nan_and_infinity_are_not_values() -> None:
    histogram = Histogram.of([math.nan, math.inf, -math.inf])
    assert (histogram.n, histogram.quantile(0.5)) == (0, None)


def test_few_and_many_counts_merge_alike_and_survive_their_blob() -> None:
    few, many = [1.0, 2.0, 3.0e8], [1.05**n for n in range(300)]
    for one, other in ((few, many), (many, few), (many, many), (few, few)):
        merged = Histogram.decode(Histogram.of(one).encode())
        merged.merge(Histogram.decode(Histogram.of(other).encode()))
        merged.add(5.0)
        assert merged == Histogram.of([*one, *other, 5.0])
        assert Histogram.decode(merged.encode()) == merged
        assert merged.n == len(one) + len(other) + 1


def test_a_billion_in_one_bucket_does_not_spill_into_the_next() -> None:
    histogram = Histogram.of([1000.0, 1050.0])
    for _ in range(30):
        histogram.merge(Histogram.decode(histogram.encode()))
    assert histogram.n == 2**31
    assert histogram.cumulative([1000.0])[0] == 2**30


@pytest.mark.parametrize("most", [1, 255, 256, 65_535, 65_536, 2**31])
def test_a_full_histogram_is_stored_in_as_few_bytes_as_its_largest_count_needs(most: int) -> None:
    histogram = Histogram.of([1000.0 * 1.03**n for n in range(100)])
    histogram.counts[next(iter(histogram.counts))] = most
    body = histogram.encode()
    assert Histogram.decode(body) == histogram
    assert len(body) == 3 + (len(body) - 3) // (width := 1 if most < 256 else 2 if most < 65_536 else 4) * width
    assert len(body) < 3 + 155 * width


def test_a_full_histogram_of_an_older_store_is_read() -> None:
    assert Histogram.decode(b"\1\x05\0" + b"\2\0\0\0" * 40).n == 80  # 32 bits each, whatever the counts


@pytest.mark.parametrize("body", [b"\0abc", b"\0\xff\xffabcd", b"\1a", b"\1abcdef", b"\2abcdef", b"\2ab", b"\4abcdef"])
def test_a_damaged_histogram_is_reported_as_one(body: bytes) -> None:
    with pytest.raises(ValueError, match="damaged"):
        Histogram.decode(body)


def test_a_damaged_bucket_stops_no_extraction(conn: sqlite3.Connection) -> None:
    insert_and_fold(conn, [record()])
    conn.execute("UPDATE rollup SET body = x'93ff'")
    insert_and_fold(conn, [record(), record()])
    assert conn.execute("SELECT count(*) FROM extraction").fetchone() == (3,)
    assert series.window(conn, T0, 60).n == 2


# -- retention ---------------------------------------------------------------------------------------------------------------


def test_retention_deletes_in_small_steps_and_keeps_hours_and_totals_forever(conn: sqlite3.Connection) -> None:
    insert_and_fold(conn, [record(T0 + n * 10) for n in range(100)])
    before = series.total(conn)
    steps = []
    while gone := retain(conn, T0 + 40 * DAY, 30 * DAY, 2 * DAY, 8 * DAY, limit=30):
        steps.append(gone)
    assert max(steps) <= 30 * 3
    assert conn.execute("SELECT count(*) FROM extraction").fetchone() == (0,)
    assert conn.execute("SELECT DISTINCT level FROM rollup ORDER BY level").fetchall() == [(ALL,), (3600,), (21600,)]
    assert series.total(conn) == before
    assert Bucket.merged(b for *_, b in series.buckets(conn, 3600, 0, T0 + DAY)).attempts == 100


def test_retention_keeps_what_is_young_enough(conn: sqlite3.Connection) -> None:
    insert_and_fold(conn, [record(T0), record(T0 + 100)])
    assert retain(conn, T0 + 100, 100, 85, 3600) == 1  # the 10 s bucket that ended 90 s ago
    assert [t for t, *_ in series.buckets(conn, 10, 0, T0 + DAY)] == [T0 + 100]
    assert conn.execute("SELECT count(*) FROM extraction").fetchone() == (2,)


def test_retention_never_takes_one_epoch_of_a_moment_without_the_other(conn: sqlite3.Connection) -> None:
    insert_and_fold(
        conn, [make(T0 + n * 10, epoch=3 + e) for n in range(20) for e in (0, 1) for make in (record, plain)]
    )
    retain(conn, T0 + DAY, 30 * DAY, 3600, 8 * DAY, limit=7)
    left = [t for t, _ in series.buckets(conn, 10, 0, T0 + DAY)]
    assert 0 < len(set(left)) < 20
    assert all(left.count(t) == 2 for t in left)


def test_retention_takes_old_probes_and_old_evidence_with_the_raw_rows(conn: sqlite3.Connection) -> None:
    for at in (T0, T0 + DAY):
        probes.writes([(at, "ollama-1", True, 3.0, "")])(conn)
        history.keep(
            conn, at, [Reading("error_high", "ok", 0.0, 0.03, 100, 0, 0.0, 600.0, "guarded", "fine", "", None)]
        )
    assert retain(conn, T0 + DAY, 3600, 3600, 3600) == 2
    assert conn.execute("SELECT at FROM probe UNION SELECT at FROM trigger_evidence").fetchall() == [(T0 + DAY,)]


def test_the_store_is_where_the_schema_puts_it(tmp_path: Path) -> None:
    store = Folder(tmp_path)
    database.create(store)
    database.create(store)  # a second start changes nothing
    assert store.exists


def test_a_store_with_buckets_by_arm_and_method_is_brought_up_to_date_and_agrees(tmp_path: Path) -> None:
    store = Folder(tmp_path)
    database.create(store)
    conn = database.open_writer(store, "NORMAL")
    records = [
        make(at=T0 + n * 700, stage=2, epoch=3 + n // 20) for n in range(40) for make in (record, failed, cached, plain)
    ]
    insert_and_fold(conn, records)
    expected = conn.execute("SELECT * FROM rollup ORDER BY level, t, stage, epoch").fetchall()
    conn.execute("DROP TABLE rollup")
    conn.execute(
        "CREATE TABLE rollup (level INTEGER NOT NULL, t INTEGER NOT NULL, arm TEXT NOT NULL, method TEXT NOT NULL, "
        "stage INTEGER NOT NULL, epoch INTEGER NOT NULL, body BLOB NOT NULL, "
        "PRIMARY KEY (level, t, arm, method, stage, epoch)) STRICT, WITHOUT ROWID"
    )
    older: dict[tuple[object, ...], Bucket] = {}
    for r in records:
        for level in (10, 60, 3600, ALL):
            t = int(r.at // level * level) if level else 0
            older.setdefault((level, t, r.arm, r.method, r.stage, r.epoch), Bucket()).add(r)
    conn.executemany("INSERT INTO rollup VALUES (?,?,?,?,?,?,?)", [(*key, b.encode()) for key, b in older.items()])
    conn.execute("DELETE FROM _sqlite_migrations WHERE name = 'one_bucket_for_both_arms'")
    conn.close()
    database.create(store)
    conn = database.open_writer(store, "NORMAL")
    now = conn.execute("SELECT * FROM rollup ORDER BY level, t, stage, epoch").fetchall()
    conn.close()
    assert [row[:4] for row in now] == [row[:4] for row in expected]
    for (*_, before), (*_, after) in zip(expected, now, strict=True):
        for arm in ("treatment", "control"):
            assert parts(Arms.decode(after).of(arm)) == parts(Arms.decode(before).of(arm))
