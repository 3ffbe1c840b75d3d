"""Quiet hours and freezes: they block promotion, never rollback, and state when they end."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from engine.plan.model import Calendar, Freeze, Hours

_AHEAD = 60
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def zone(calendar: Calendar) -> tzinfo:
    """The calendar's zone; UTC if this machine does not know it."""
    try:
        return ZoneInfo(calendar.timezone)
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


def blocked_until(calendar: Calendar, now: float) -> tuple[float, str] | None:
    """(end as epoch seconds, reason) of what blocks promotion now; None if nothing does.

    Blocks that follow without a gap extend it, at most `_AHEAD` of them: quiet hours that end inside a freeze end with
    the freeze.
    """
    block = _block(calendar, now)
    if block is None:
        return None
    end, reason = block
    for _ in range(_AHEAD):
        following = _block(calendar, end)
        if following is None:
            break
        end, reason = following[0], reason if following[1] in reason else f"{reason}, then {following[1]}"
    return end, reason


def _block(calendar: Calendar, now: float) -> tuple[float, str] | None:
    """The longest block in force at a moment."""
    here = datetime.fromtimestamp(now, zone(calendar))
    ends = [end for freeze in calendar.freeze if (end := _frozen(freeze, here))]
    ends += [end for hours in calendar.quiet if (end := _quiet(hours, here))]
    return max(ends, default=None)


def _frozen(freeze: Freeze, here: datetime) -> tuple[float, str] | None:
    start, end = _moment(freeze.start, here.tzinfo), _moment(freeze.end, here.tzinfo)
    if len(freeze.end) <= 10:
        end += timedelta(days=1)  # a date is inclusive
    inside = start.timestamp() <= here.timestamp() < end.timestamp()
    return (end.timestamp(), f"freeze ({freeze.reason})") if inside else None


def _moment(text: str, at: tzinfo | None) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=at)


def _reached(start: datetime, here: datetime) -> bool:
    """Whether it is `start` or later. A time that clocks skip in the night they go forward is reached when they do."""
    skipped = start.astimezone(UTC).astimezone(start.tzinfo).replace(tzinfo=None) != start.replace(tzinfo=None)
    if skipped:
        return here.replace(tzinfo=None) >= start.replace(tzinfo=None)
    return start.timestamp() <= here.timestamp()


def _quiet(hours: Hours, here: datetime) -> tuple[float, str] | None:
    start, end = time.fromisoformat(hours.start), time.fromisoformat(hours.end)
    for back in (0, 1):  # quiet hours that began today, or yesterday evening
        day = (here - timedelta(days=back)).date()
        if hours.days and _DAYS[day.weekday()] not in hours.days:
            continue
        begins = datetime.combine(day, start, here.tzinfo)
        ends = datetime.combine(day if end > start else day + timedelta(days=1), end, here.tzinfo)
        # as moments, not wall times: a night in which clocks go back is an hour longer
        if _reached(begins, here) and here.timestamp() < ends.timestamp():
            return ends.timestamp(), f"quiet hours {hours.start} to {hours.end}"
    return None
