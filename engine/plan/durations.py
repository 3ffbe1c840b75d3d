"""Durations and moments as people write and read them.

Inside the engine, a duration is a float in seconds and a moment is UTC epoch seconds. Text is for rollout.toml,
the command line and the screens.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_UNITS = {"w": 604800.0, "d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PART = re.compile(r"(?a:(\d+(?:\.\d+)?)\s*(ms|[wdhms]))")
_TIME_OF_DAY = re.compile(r"(?a:(\d{1,2}):(\d{2})(?::(\d{2}))?Z?)")
_HINT = "write a number and a unit (w, d, h, m, s, ms), such as 5m, 2d or 1h30m"
_LONGEST = 100 * 365 * 86400.0


def parse_duration(text: str) -> float:
    """Seconds of "5m", "2d", "1h30m", "2d 4h", "90s", "1.5h", "250ms" or "0". The ValueError is a sentence for the
    user."""
    wanted = text.strip().lower()
    if wanted == "0":
        return 0.0
    total, position, largest = 0.0, 0, float("inf")
    while position < len(wanted):
        part = _PART.match(wanted, position)
        if part is None:
            raise ValueError(f'"{text}" is not a duration; {_HINT}')
        unit = _UNITS[part[2]]
        if unit >= largest:
            raise ValueError(f'"{text}" is not a duration: units go from large to small, and none repeats; {_HINT}')
        total, largest = total + float(part[1]) * unit, unit
        position = part.end()
        while position < len(wanted) and wanted[position] == " ":
            position += 1
    if largest == float("inf"):
        raise ValueError(f"an empty string is not a duration; {_HINT}")
    if total > _LONGEST:
        raise ValueError(f'"{text}" is more than a hundred years; {_HINT}')
    return total


def format_duration(seconds: float) -> str:
    """How long something takes, as people read it everywhere: "2d 4h", "1h 5m", "1m 40s", "12s", "2.5s", "38ms", "0s".

    At most two units, truncated rather than rounded.
    """
    if seconds < 0:
        return f"-{format_duration(-seconds)}"
    if seconds < 1:
        ms = int(seconds * 1000 + 1e-6)
        return f"{ms}ms" if ms else "0s"
    if seconds < 10:
        tenths = int(seconds * 10 + 1e-6)
        return f"{tenths // 10}s" if tenths % 10 == 0 else f"{tenths / 10:.1f}s"
    whole = int(seconds + 1e-6)
    for unit, smaller in (("d", "h"), ("h", "m"), ("m", "s")):
        count, rest = divmod(whole, int(_UNITS[unit]))
        if count:
            part = rest // int(_UNITS[smaller])
            return f"{count}{unit} {part}{smaller}" if part else f"{count}{unit}"
    return f"{whole}s"


def clock(seconds: float) -> str:
    """A timer: "0:07", "1:48", "1:02:03", "1d 04:12". Below zero it stays at "0:00"."""
    whole = max(0, int(seconds + 1e-6))
    days, rest = divmod(whole, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, second = divmod(rest, 60)
    if days:
        return f"{days}d {hours:02}:{minutes:02}"
    return f"{hours}:{minutes:02}:{second:02}" if hours else f"{minutes}:{second:02}"


def iso(epoch: float, *, ms: bool = False) -> str:
    """UTC: "2026-11-24T14:03:07Z", with `ms` "2026-11-24T14:03:07.112Z"."""
    thousandths = int(epoch * 1000 + (0.5 if ms else 0.0))
    whole, rest = divmod(thousandths, 1000)
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=whole)
    text = moment.strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{rest:03}Z" if ms else f"{text}Z"


def time_of_day(epoch: float) -> str:
    """UTC: "14:03:07Z"."""
    return iso(epoch)[11:]


def parse_when(text: str, now: float) -> float:
    """Epoch seconds of "now", "2h ago", "2h", "14:03" (the most recent), "2026-11-24" or ISO 8601.

    Without a zone it is UTC. The ValueError is a sentence for the user.
    """
    wanted = text.strip()
    if wanted.lower() == "now":
        return now
    time_of_day = _TIME_OF_DAY.fullmatch(wanted)
    try:
        if time_of_day:
            hour, minute, second = (int(part or 0) for part in time_of_day.groups())
            at = datetime.fromtimestamp(now, UTC).replace(hour=hour, minute=minute, second=second, microsecond=0)
            return at.timestamp() if at.timestamp() <= now else (at - timedelta(days=1)).timestamp()
        if re.match(r"(?a:\d{4}-?\d\d)", wanted):
            moment = datetime.fromisoformat(wanted)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        return now - parse_duration(re.sub(r"\s*ago$", "", wanted, flags=re.IGNORECASE))
    except (ValueError, OverflowError):
        raise ValueError(
            f'"{text}" is not a time; write "2h ago", "14:03", "2026-11-24" or "2026-11-24T14:03:07Z"'
        ) from None
