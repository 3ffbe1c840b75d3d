"""Durations and moments as text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.plan.durations import clock, format_duration, iso, parse_duration, parse_when

NOW = 1_795_615_387.25


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5m", 300),
        ("2d", 172_800),
        ("1h30m", 5400),
        ("90s", 90),
        ("2d 4h", 187_200),
        ("1.5h", 5400),
        ("250ms", 0.25),
        ("1w", 604_800),
        ("0", 0),
        ("0s", 0),
        (" 10 M ", 600),
    ],
)
def test_a_duration_is_read_as_written(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", " ", "5", "5x", "m5", "-5m", "30m1h", "5m5m", "1e3s", "nan", "5m!", "٥m", "101000w", "5 days"]
)
def test_a_bad_duration_explains_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match="such as 5m, 2d or 1h30m"):
        parse_duration(text)


@given(st.integers(0, 10**9))
def test_a_formatted_duration_is_cut_never_longer_and_reads_back(seconds: int) -> None:
    back = parse_duration(format_duration(seconds))
    assert back <= seconds < back + max(1.0, seconds / 24)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.0001, "0s"),
        (0.0384, "38ms"),
        (2, "2s"),
        (2.5, "2.5s"),
        (59.99, "59s"),
        (100, "1m 40s"),
        (3600, "1h"),
        (172_859, "2d"),
        (187_200, "2d 4h"),
        (-90, "-1m 30s"),
    ],
)
def test_a_duration_is_shown_in_at_most_two_units(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-3, "0:00"), (7, "0:07"), (108, "1:48"), (107.999, "1:47"), (3723, "1:02:03"), (101_520, "1d 04:12")],
)
def test_a_timer_reads_like_a_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_a_moment_is_written_in_utc() -> None:
    assert iso(0) == "1970-01-01T00:00:00Z"
    assert iso(1_795_529_000.999) == "2026-11-24T14:03:20Z"
    assert iso(1_795_529_000.1124, ms=True) == "2026-11-24T14:03:20.112Z"
    assert iso(1_795_529_000.9996, ms=True) == "2026-11-24T14:03:21.000Z"


@given(st.integers(0, 4_000_000_000))
def test_a_written_moment_reads_back(epoch: int) -> None:
    assert parse_when(iso(epoch), NOW) == epoch


def test_a_moment_is_read_relative_to_now() -> None:
    assert parse_when("now", NOW) == NOW
    assert parse_when("2h ago", NOW) == NOW - 7200
    assert parse_when("1h30m", NOW) == NOW - 5400
    assert parse_when("1970-01-02", NOW) == 86_400
    assert parse_when("1970-01-01T02:00:00+02:00", NOW) == 0
    assert iso(parse_when("14:03", parse_when("2026-11-24T14:05:00Z", NOW))) == "2026-11-24T14:03:00Z"
    assert iso(parse_when("14:03:07Z", parse_when("2026-11-24T02:00:00Z", NOW))) == "2026-11-23T14:03:07Z"


@pytest.mark.parametrize("text", ["", "yesterday-ish", "25:00", "2026-13-01", "2026", "ago", "9999999-01"])
def test_a_bad_moment_explains_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time; write"):
        parse_when(text, NOW)
