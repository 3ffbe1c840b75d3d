"""JSON for users: the same keys as the structs and rows, with times in ISO 8601 instead of epoch seconds."""

from __future__ import annotations

from typing import Any

import msgspec

from engine.plan.durations import iso

MOMENTS = frozenset((
    "alarm_since", "asked", "at", "began", "changed_at", "cooldown_until", "deadline", "due", "ended", "ends",
    "entered_at", "last_acted", "last_call", "last_call_ended", "last_error_at", "last_seen", "llm_at", "next_look",
    "next_try", "not_before", "opens_at", "seen_at", "since", "started", "undo_until", "undone", "until", "updated",
))  # fmt: skip
NOT_YET = frozenset(("changed_at", "entered_at"))  # 0 until the first change of the percentage or the stage
EVENTS = "events"  # pairs of a moment and a sentence
EARLIEST = 1e9  # 2001; a smaller number under such a key is a duration


def with_iso_times(value: Any) -> Any:
    """`value` as plain values, its times as "2026-11-24T14:03:07.112Z"."""
    return _moments(msgspec.to_builtins(value))


def _moments(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _under(key, item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_moments(item) for item in value]
    return value


def _under(key: Any, item: Any) -> Any:
    if key in NOT_YET and item == 0:
        return None
    if key in MOMENTS:
        return _moment(item)
    if key == EVENTS and isinstance(item, list | tuple):
        return [[_moment(part) for part in pair] if isinstance(pair, list | tuple) else _moments(pair) for pair in item]
    return _moments(item)


def _moment(value: Any) -> Any:
    if isinstance(value, float | int) and not isinstance(value, bool) and value > EARLIEST:
        return iso(value, ms=True)
    return _moments(value)
