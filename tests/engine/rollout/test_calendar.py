"""Quiet hours and freezes block promotion, state their end, and are moments: nights with a clock change included."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from engine.plan.model import Calendar, Freeze, Hours
from engine.rollout.calendar import blocked_until

BERLIN = "Europe/Berlin"
NIGHT = Calendar(BERLIN, quiet=(Hours("22:00", "07:00"),))


def at(text: str, zone: str = BERLIN) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def until(calendar: Calendar, text: str) -> str:
    result = blocked_until(calendar, at(text))
    return "" if result is None else datetime.fromtimestamp(result[0], ZoneInfo(BERLIN)).isoformat()[:16]


@pytest.mark.parametrize(
    ("now", "end"),
    [
        ("2026-11-24T21:59", ""),
        ("2026-11-24T22:00", "2026-11-25T07:00"),
        ("2026-11-25T03:00", "2026-11-25T07:00"),
        ("2026-11-25T07:00", ""),
        ("2026-03-29T01:30", "2026-03-29T07:00"),  # the night that has an hour less
        ("2026-10-25T02:30", "2026-10-25T07:00"),  # and the one that has an hour more
    ],
)
def test_quiet_hours_over_midnight_end_in_the_morning(now: str, end: str) -> None:
    assert until(NIGHT, now) == end


def test_the_hour_that_comes_twice_is_quiet_both_times() -> None:
    quiet = Calendar(BERLIN, quiet=(Hours("02:00", "03:00"),))
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC).timestamp()  # 02:30 summer time
    second = first + 3600  # 02:30 again, winter time
    assert blocked_until(quiet, first) is not None
    result = blocked_until(quiet, second)
    assert result is not None
    assert result[0] == datetime(2026, 10, 25, 2, 0, tzinfo=UTC).timestamp()
    assert blocked_until(quiet, result[0]) is None


@pytest.mark.parametrize(("now", "end"), [("01:59", ""), ("03:00", "03:30"), ("03:29", "03:30"), ("03:30", "")])
def test_quiet_hours_that_begin_in_the_hour_that_is_skipped_begin_when_it_is(now: str, end: str) -> None:
    quiet = Calendar(BERLIN, quiet=(Hours("02:30", "03:30"),))
    assert until(quiet, f"2026-03-29T{now}") == (f"2026-03-29T{end}" if end else "")


def test_days_are_those_on_which_the_quiet_hours_begin() -> None:
    friday = Calendar(BERLIN, quiet=(Hours("22:00", "07:00", ("fri",)),))
    assert until(friday, "2026-11-27T23:00") == "2026-11-28T07:00"
    assert until(friday, "2026-11-28T06:00") == "2026-11-28T07:00"
    assert until(friday, "2026-11-28T23:00") == ""


def test_a_freeze_includes_its_last_day() -> None:
    calendar = Calendar(BERLIN, freeze=(Freeze("2026-12-23", "2027-01-02", "holidays"),))
    assert until(calendar, "2027-01-02T23:59") == "2027-01-03T00:00"
    assert until(calendar, "2027-01-03T00:00") == ""


def test_quiet_hours_that_run_into_a_freeze_end_with_the_freeze() -> None:
    calendar = Calendar(
        BERLIN, quiet=(Hours("22:00", "07:00"),), freeze=(Freeze("2026-12-23", "2026-12-24", "holidays"),)
    )
    assert until(calendar, "2026-12-22T23:00") == "2026-12-25T07:00"
    result = blocked_until(calendar, at("2026-12-22T23:00"))
    assert result is not None
    assert "holidays" in result[1]
    assert "quiet hours" in result[1]


def test_endless_quiet_hours_do_not_hang() -> None:
    result = blocked_until(Calendar("UTC", quiet=(Hours("08:00", "08:00"),)), at("2026-11-24T12:00"))
    assert result is not None
    assert result[0] > at("2026-12-24T12:00")


HOURS = st.builds(
    lambda start, end, days: Hours(f"{start // 60:02}:{start % 60:02}", f"{end // 60:02}:{end % 60:02}", tuple(days)),
    st.integers(0, 1439), st.integers(0, 1439), st.sets(st.sampled_from(["mon", "wed", "sat"]), max_size=2),
)  # fmt: skip


@settings(max_examples=100)
@given(
    quiet=st.lists(HOURS, min_size=1, max_size=2),
    zone=st.sampled_from([BERLIN, "UTC", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]),
    now=st.datetimes(datetime(2026, 3, 1), datetime(2026, 11, 30)),  # noqa: DTZ001
)
def test_it_is_blocked_up_to_the_moment_that_is_reported_and_free_then(
    quiet: list[Hours], zone: str, now: datetime
) -> None:
    calendar = Calendar(zone, tuple(quiet))
    moment = now.replace(tzinfo=UTC)
    result = blocked_until(calendar, moment.timestamp())
    if result is None:
        return
    end = datetime.fromtimestamp(result[0], UTC)
    assert end > moment
    for share in (0.25, 0.5, 0.999):
        assert blocked_until(calendar, (moment + (end - moment) * share).timestamp()) is not None
    if end - moment < timedelta(days=30):
        assert blocked_until(calendar, end.timestamp()) is None
