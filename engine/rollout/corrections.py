"""Decisions that correct the state: the wall clock was wrong, or the log is an older copy."""

from __future__ import annotations

from msgspec.structs import replace

from engine.plan.durations import format_duration
from engine.plan.model import Plan
from engine.rollout.control import note
from engine.rollout.state import Ask, Decision, State


def clock_step(state: State, ask: Ask, by: float) -> Decision:
    """The wall clock was set: a row of the log, because it moves the ends of the cool-down and of the undo."""
    way = "forward" if by > 0 else "back"
    kept = "cool-down, undo and A/B test keep their length"
    sentence = f"the machine's clock was set {way} by {format_duration(abs(by))}; {kept}"
    return replace(note(state, ask, "clock", sentence), clock_step_s=by, right_time=ask.at)


def renumber(state: State, ask: Ask, sentence: str, epochs_used: int) -> Decision:
    """The log is an older copy, or another: its epochs continue above those that consoles may have seen. Approvals, an
    undo and evidence belong to what was replaced."""
    return replace(note(state, ask, "epoch", sentence), epochs_used=epochs_used)


def in_the_future(plan: Plan, state: State, ask: Ask, records: int) -> Decision | None:
    """At startup, move dates later than now back to now: a wrong clock wrote them into the state or the store.

    None if there are none. `records`: how many the store has. A cool-down lasts at most as long as the plan's.
    """
    ahead = max(state.entered_at, state.changed_at) - ask.at
    latest = ask.at + plan.trigger_settings.cooldown_s
    too_long = bool(state.locked) and state.cooldown_until is not None and state.cooldown_until > latest
    if ahead <= 0 and not too_long and not records:
        return None
    parts = [f"the state by {format_duration(ahead)}"] if ahead > 0 else []
    parts += ["the cool-down's end"] if too_long else []
    parts += [f"{records} records"] if records else []
    sentence = f"the machine's clock had been ahead: {', '.join(parts)} in the future, moved back to now"
    made = replace(note(state, ask, "clock", sentence, {"records": records}), right_time=ask.at)
    if state.locked and state.cooldown_until is not None:
        until = min(state.cooldown_until - max(0.0, ahead), latest)
        made = replace(made, locked=state.locked, cooldown_until=until, undo=state.undo)
    return made
