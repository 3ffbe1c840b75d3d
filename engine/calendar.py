"""Quiet hours and freezes: they block the way up, never the way down, and say until when."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from engine.plan.model import Calendar, Freeze, Hours

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def zone(calendar: Calendar) -> tzinfo:
    """The calendar's zone; UTC where this machine does not know it."""
    try:
        return ZoneInfo(calendar.timezone)
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


def blocked_until(calendar: Calendar, now: float) -> tuple[float, str] | None:
    """(end as epoch seconds, reason) of what blocks promotion now, the longest first; None when nothing does."""
    here = datetime.fromtimestamp(now, zone(calendar))
    found = [end for freeze in calendar.freeze if (end := _frozen(freeze, here))]
    found += [end for hours in calendar.quiet if (end := _quiet(hours, here))]
    return max(found, default=None)


def _frozen(freeze: Freeze, here: datetime) -> tuple[float, str] | None:
    start, end = _moment(freeze.start, here.tzinfo), _moment(freeze.end, here.tzinfo)
    if len(freeze.end) <= 10:
        end += timedelta(days=1)  # a date is inclusive
    return (end.timestamp(), f"freeze ({freeze.reason})") if start <= here < end else None


def _moment(text: str, at: tzinfo | None) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=at)


def _quiet(hours: Hours, here: datetime) -> tuple[float, str] | None:
    start, end = time.fromisoformat(hours.start), time.fromisoformat(hours.end)
    for back in (0, 1):  # quiet hours that began today, or yesterday evening
        day = (here - timedelta(days=back)).date()
        if hours.days and _DAYS[day.weekday()] not in hours.days:
            continue
        begins = datetime.combine(day, start, here.tzinfo)
        ends = datetime.combine(day if end > start else day + timedelta(days=1), end, here.tzinfo)
        if begins <= here < ends:
            return ends.timestamp(), f"quiet hours {hours.start} to {hours.end}"
    return None
