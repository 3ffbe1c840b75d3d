"""What happens next: what the system does if no one acts, and what it needs from a person. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from engine.plan.durations import clock as timer
from engine.plan.durations import format_duration
from engine.plan.model import Plan
from engine.rollout.actions import LOWERING
from engine.rollout.state import State
from engine.text import counted, percent
from engine.view.model import GateView, MatrixView, ReminderView, TriggerView

DOES = {
    "to_zero": "to 0 %",
    "previous_stage": "one stage back",
    "halve": "half the percentage",
    "pause": "promotion held",
    "investigate": "needs a look",
}


def what_next(
    state: State, triggers: Sequence[TriggerView], gate: GateView, blind: str, blind_step_in_s: float | None, now: float
) -> tuple[str, ...]:
    """What the system does if no one acts, soonest first. The screen's column is 36 wide."""
    out: list[str] = []
    breach = [t for t in triggers if t.verdict == "breach"] if state.percent_bp else []
    for t in sorted((t for t in breach if t.fires_in_s != 0), key=_soonest):
        left = f"in {timer(t.fires_in_s)}" if t.fires_in_s is not None else "if confirmed"
        by = f", {t.acts_by}" if t.acts_by else ""
        out.append(f"{DOES.get(t.action, t.action)} {left}: {t.id}{by}")
    if any(t.action in LOWERING for t in breach):
        out.append("then locked until resumed with cause")
    if blind and blind_step_in_s is not None:
        out.append(f"one stage back in {timer(blind_step_in_s)}: blind")
    if state.locked:
        cool = (state.cooldown_until or 0.0) - now
        out.append(f"locked {timer(cool)}, then e (resume)" if cool > 0 else "locked until e (resume) with the cause")
    elif gate.bake_s and gate.baked_s < gate.bake_s:
        out.append(f"bake {format_duration(gate.baked_s // 1)} of {format_duration(gate.bake_s)}")
    elif gate.open and not breach:
        out.append("gate open: a person decides (2, p)")
    elif gate.total and not breach and not gate.blocked and (waits := _open_in(gate)):
        out.append(f"gate waits for {waits} (2)")
    if not out:
        at = percent(state.percent_bp)
        out.append(f"stays {at}; triggers keep watching" if state.percent_bp else "nothing until a person acts")
    elif not breach:
        out.append("only a person raises the percentage")
    return tuple(out)


def _open_in(gate: GateView) -> str:
    """ "2 conditions", "1 condition, 3 items"; "" if only other things are missing."""
    conditions = sum(condition.met is not True for condition in gate.conditions)
    items = sum(item.state != "done" and item.required for item in gate.items)
    parts = (counted(conditions, "condition") if conditions else "", counted(items, "item") if items else "")
    return ", ".join(part for part in parts if part)


def _soonest(trigger: TriggerView) -> float:
    """A trigger that may act at any moment, once it is confirmed, comes before one that acts in hours."""
    if trigger.fires_in_s is not None:
        return trigger.fires_in_s
    return 0.0 if trigger.action in LOWERING else 1e9


def open_gate(plan: Plan, gate: GateView) -> str:
    """What a person may do at an open gate."""
    if gate.next_stage >= plan.stable:
        return f"the gate is open: declare it stable at {percent(gate.next_percent_bp)}"
    verb = "return" if gate.returns else "promote"
    return f"the gate is open: {verb} to {gate.next_name}, {percent(gate.next_percent_bp)}"


def waiting_for(
    state: State, plan: Plan, gate: GateView, reminders: Sequence[ReminderView], misplaced: str = "", changed: str = ""
) -> tuple[str, ...]:
    """What a person has to do, most urgent first."""
    out: list[str] = []
    if misplaced:
        out.append(f"choose the stage (rollout plan adopt --stage N): {misplaced}")
    if state.locked:
        out.append("resume with the cause: " + state.locked)
    if state.held:
        out.append("release the hold, or keep it: " + state.held)
    out += [changed] if changed else []
    out += [f"due: {r.text}" for r in reminders if r.overdue]
    if gate.open:
        out.append(open_gate(plan, gate))
    elif state.stage <= plan.last_stage:
        out += gate.missing
    return tuple(out)


def matrix(plan: Plan, triggers: Sequence[TriggerView]) -> tuple[MatrixView, ...]:
    """The decision matrix with active rows highlighted; `left_s` is the trigger's one timer, shown everywhere."""
    by_id = {t.id: t for t in triggers}
    out = []
    for row in plan.matrix:
        live = by_id.get(row.trigger)
        lit = live is not None and live.verdict == "breach"
        left = live.fires_in_s if lit and live is not None else None
        out.append(MatrixView(row.condition, str(row.severity), row.action, row.timeline, row.trigger, lit, left))
    return tuple(out)
