"""Decisions that only a running engine makes, and what to do about one that no engine made. Pure."""

from __future__ import annotations

from msgspec.structs import replace

from engine.plan.model import Plan
from engine.rollout.control import highest_zero_stage, roll_back
from engine.rollout.state import UNDO_S, Ask, Decision, State, Undo
from engine.rollout.way_back import Setback

# made without an engine (a rollback), or by one that must not wait (a trigger, a hold, one of many deletions)
QUIET = frozenset({"rollback", "trigger", "hold", "delete"})


def opens_the_way_up(before: State, decision: Decision, after: State) -> bool:
    """Whether a decision may open the way up in any respect. Everything counts but what is known to be harmless."""
    return (
        decision.kind not in QUIET
        or decision.epochs_used is not None
        or not (
            0 <= after.stage <= before.stage
            and 0 <= after.percent_bp <= before.percent_bp
            and 0 <= after.ceiling_bp <= before.ceiling_bp
            and bool(after.held) >= bool(before.held)
            and bool(after.locked) >= bool(before.locked)
            and (after.cooldown_until or 0.0) >= (before.cooldown_until or 0.0)
            and after.approvers in ((), before.approvers)
            and after.pins == before.pins
            and after.entered_at >= before.entered_at
            and after.changed_at >= before.changed_at
            and after.restart_rev == before.restart_rev
            and (after.undo == before.undo or _is_of(before, decision, after.undo))
            and (after.setback == before.setback or _leaves(before, after.setback))
        )
    )


def _is_of(before: State, decision: Decision, undo: Undo | None) -> bool:
    """Whether an undo gives back no more than this decision took."""
    if undo is None:
        return True
    return (undo.stage, undo.percent_bp) == (before.stage, before.percent_bp) and undo.until <= decision.at + UNDO_S


def _leaves(before: State, setback: Setback | None) -> bool:
    return setback is not None and (setback.stage, setback.percent_bp) == (before.stage, before.percent_bp)


def revoke_unrecorded(plan: Plan, known: State, state: State, ask: Ask) -> Decision:
    """Fall to 0 % and take back everything such decisions gave: ceiling, plan, approvals, signatures, evidence.

    `known`: the state before them; `ask.reason`: what they are. Promotion is locked until a person resumes with a
    written cause.
    """
    return replace(
        roll_back(plan, state, ask),
        stage=max(0, min(known.stage, state.stage, highest_zero_stage(plan))),
        held=known.held or state.held,
        locked=ask.reason,
        cooldown_until=ask.at,
        undo=None,
        setback=None,
        pins=known.pins if known.pins != state.pins else None,
        restarts=True,
        ceiling_bp=min(known.ceiling_bp, state.ceiling_bp),
    )
