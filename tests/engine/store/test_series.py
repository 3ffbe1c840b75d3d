"""Windows and curves: what they include, what they exclude, where exactly; and their cost does not grow with history."""

from __future__ import annotations

import sqlite3

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from engine.measures.bucket import Bucket
from engine.store import database, series
from engine.store.folder import Folder
from engine.store.rollup import insert_and_fold, retain
from tests.engine.metrics.samples import DAY, HOUR, T0, cached, failed, plain, record

# -- windows -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "counts"),
    [(-310.0, False), (-300.1, False), (-300.0, True), (-5.0, True), (0.0, True), (9.9, True), (10.0, False)],
)
def test_a_window_of_five_minutes_begins_and_ends_where_it_states(
    conn: sqlite3.Connection, at: float, counts: bool
) -> None:
    insert_and_fold(conn, [record(T0 + at)])
    assert (series.window(conn, T0, 300).attempts == 1) is counts


def test_a_window_never_holds_anything_older_than_asked(conn: sqlite3.Connection) -> None:
    insert_and_fold(conn, [record(T0 + 3)])
    assert series.window(conn, T0 + 303.0, 300).n == 0  # its bucket began 303 s ago
    assert series.window(conn, T0 + 300.0, 300).n == 1


def test_a_window_forgets_what_was_before_the_change_of_percentage(conn: sqlite3.Connection) -> None:
    insert_and_fold(conn, [record(epoch=3), record(epoch=4), record(epoch=5)])
    assert [series.window(conn, T0, 300, since_epoch=epoch).attempts for epoch in (None, 3, 4, 6)] == [3, 3, 2, 0]
    assert series.since_change(conn, 4).attempts == 2


def test_a_window_is_of_one_arm_or_of_both(conn: sqlite3.Connection) -> None:
    insert_and_fold(conn, [record(), plain(), plain()])
    assert [series.window(conn, T0, 300, arm).n for arm in ("treatment", "control", None)] == [1, 2, 3]


@settings(max_examples=60, deadline=None)
@given(
    ages=st.lists(st.integers(0, 3 * 86400 // 10), max_size=40),
    now=st.integers(0, 720).map(lambda tens: T0 + 10.0 * tens),
    seconds=st.integers(1, 3 * 8640).map(lambda tens: 10.0 * tens),
)
def test_a_window_of_any_length_holds_each_ten_seconds_once(
    folder: Folder, ages: list[int], now: float, seconds: float
) -> None:
    conn = database.open_writer(folder, "NORMAL")
    conn.execute("BEGIN IMMEDIATE")
    insert_and_fold(conn, [record(now - 10.0 * age) for age in ages])
    assert series.window(conn, now, seconds).n == sum(10.0 * age <= seconds for age in ages)
    conn.execute("ROLLBACK")
    conn.close()


def test_a_long_window_reads_few_buckets(conn: sqlite3.Connection) -> None:
    for start in range(0, 3 * 86400, 3600):
        insert_and_fold(conn, [record(T0 + start + n * 60) for n in range(60)])
    read_rows = 0

    def count(statement: str) -> None:
        nonlocal read_rows
        if statement.startswith("SELECT t, body"):
            read_rows += len(sqlite3_rows(conn, statement))

    conn.set_trace_callback(count)
    result = series.window(conn, T0 + 3 * DAY - 5, 2.5 * DAY)
    conn.set_trace_callback(None)
    assert result.n == 2.5 * 1440
    assert 0 < read_rows <= 60 + 2 * (59 + 6)


def sqlite3_rows(conn: sqlite3.Connection, statement: str) -> list[object]:
    conn.set_trace_callback(None)
    return conn.execute(statement).fetchall()


def test_what_retention_took_is_left_out_of_the_oldest_end_and_not_guessed(conn: sqlite3.Connection) -> None:
    insert_and_fold(conn, [record(T0 - n * 600.0) for n in range(288)])  # two days
    while retain(conn, T0, 30 * DAY, HOUR, 2 * HOUR):
        pass
    result = series.window(conn, T0 + 1800, DAY)
    assert result.n == 24 * 6 - 6 + 1 + 3 - 3  # hours whole, the ragged half hour at the old end is gone
    assert series.window(conn, T0, HOUR).n == 7


def test_a_stage_is_summed_over_its_visits_or_since_the_last(conn: sqlite3.Connection) -> None:
    insert_and_fold(conn, [record(stage=2, epoch=3), record(T0 - 90 * DAY, stage=2, epoch=1), failed(stage=3, epoch=4)])
    insert_and_fold(conn, [plain(stage=2)])
    assert series.stage_summary(conn, 2).n == 3
    assert series.stage_summary(conn, 2, "treatment").attempts == 2
    assert series.stage_summary(conn, 2, since_epoch=2).attempts == 1
    assert series.stage_summary(conn, 3).error_rate == 1.0
    assert series.stage_summary(conn, 1) == Bucket()


# -- curves ------------------------------------------------------------------------------------------------------------------


def values(result: list[tuple[float, float | None]]) -> list[float | None]:
    return [value for _, value in result]


@pytest.mark.parametrize("begin", [0.0, 360.0, 1800.0])
def test_a_curve_of_an_hour_or_less_falls_back_to_the_hours_that_retention_left(
    conn: sqlite3.Connection, begin: float
) -> None:
    """Also where no whole hour lies in it."""
    insert_and_fold(conn, [record(T0 + n * 60.0) for n in range(240)])
    insert_and_fold(conn, [record(T0 + 20 * DAY)])
    while retain(conn, T0 + 20 * DAY, 30 * DAY, 2 * DAY, 8 * DAY):
        pass
    for window in (840.0, HOUR):
        start = T0 + HOUR + begin
        assert set(values(series.series(conn, "error_rate", start, start + window, 28))) == {0.0}


def test_a_curve_has_gaps_where_nothing_was_measured(conn: sqlite3.Connection) -> None:
    insert_and_fold(conn, [record(T0 + 5), failed("http", T0 + 35)])
    result = series.series(conn, "error_rate", T0, T0 + 60, 6)
    assert values(result) == [0.0, None, None, 1.0, None, None]
    assert [t for t, _ in result] == [T0 + n * 10 for n in range(6)]


def test_no_documents_are_zero_once_the_store_has_begun_and_unknown_before(conn: sqlite3.Connection) -> None:
    assert values(series.series(conn, "documents", T0, T0 + 60, 2)) == [None, None]
    insert_and_fold(conn, [record(T0 + 25), plain(T0 + 25)])
    assert values(series.series(conn, "documents", T0, T0 + 60, 6)) == [None, None, 2.0, 0.0, 0.0, 0.0]


def test_steady_traffic_is_a_flat_line_however_points_and_buckets_fall(conn: sqlite3.Connection) -> None:
    insert_and_fold(conn, [record(T0 + n) for n in range(3600)])
    for points in (240, 100, 720, 7):
        result = values(series.series(conn, "documents", T0, T0 + 3600, points))
        assert result == pytest.approx([3600 / points] * points)


def test_a_bucket_wider_than_a_point_leaves_no_gap_in_a_rate(conn: sqlite3.Connection) -> None:
    insert_and_fold(conn, [record(T0 + n) for n in range(60)])
    assert values(series.series(conn, "error_rate", T0, T0 + 60, 24)) == [0.0] * 24


@pytest.mark.parametrize("metric", series.METRICS)
def test_every_metric_has_a_curve_and_none_without_data_is_a_number(conn: sqlite3.Connection, metric: str) -> None:
    assert values(series.series(conn, metric, T0, T0 + 60, 6)) == [None] * 6
    insert_and_fold(conn, [record(T0), plain(T0), cached(T0), failed("http", T0)])
    first, *rest = values(series.series(conn, metric, T0, T0 + 60, 6))
    assert first is not None
    assert set(rest) <= {None, 0.0}


def test_the_frequency_arm_s_curve_is_of_frequency(conn: sqlite3.Connection) -> None:
    insert_and_fold(conn, [record(T0, ms=1000.0), plain(T0, ms=2.0), failed("http", T0)])
    assert values(series.series(conn, "latency_mean", T0, T0 + 10, 1, "control")) == [2.0]
    assert values(series.series(conn, "error_rate", T0, T0 + 10, 1, "control")) == [0.0]
    assert values(series.series(conn, "latency_mean", T0, T0 + 10, 1)) == [1000.0]
    assert values(series.series(conn, "llm_share", T0, T0 + 10, 1)) == [1 / 3]


def test_several_curves_at_once_are_the_same_as_one_by_one(conn: sqlite3.Connection) -> None:
    insert_and_fold(conn, [record(T0 + n * 7) for n in range(100)])
    together = series.series_of(conn, series.METRICS, T0, T0 + 700, 9)
    assert together == {metric: series.series(conn, metric, T0, T0 + 700, 9) for metric in series.METRICS}


def test_an_unknown_metric_is_named_with_those_that_exist(conn: sqlite3.Connection) -> None:
    with pytest.raises(KeyError, match=r"unknown metric.*error_rate"):
        series.series(conn, "errorrate", T0, T0 + 10, 1)


def test_a_curve_over_what_retention_took_is_drawn_from_wider_buckets(conn: sqlite3.Connection) -> None:
    insert_and_fold(conn, [record(T0 + n * 30) for n in range(480)])  # four hours
    while retain(conn, T0 + 4 * HOUR, 30 * DAY, HOUR, 8 * DAY):
        pass
    assert None not in values(series.series(conn, "error_rate", T0, T0 + 2 * HOUR, 480))
    assert sum(v or 0 for v in values(series.series(conn, "documents", T0, T0 + 2 * HOUR, 480))) == pytest.approx(240)
