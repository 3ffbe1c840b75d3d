"""The tasks that wait for a person, most urgent first, as typed rows, so that every screen, verb and script shows the
same list. Pure.

A task is something a person can do. What only takes time or more documents (a bake, a bound) is in the gate, not here:
an empty inbox means that no one has to stay awake.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from engine.plan.model import Plan
from engine.rollout.state import State
from engine.text import counted, percent
from engine.view.model import GateView, ItemView, ReminderView, TaskView
from engine.view.next_steps import open_gate


class InboxFacts(Struct, frozen=True):
    """What the inbox needs besides the state, read from the store by the engine."""

    alarm: str = ""  # an alarm that no one has acknowledged yet
    locked_by: str = ""  # the trigger that locked promotion
    held_by: str = ""  # the trigger or the person that holds promotion
    held_why: str = ""  # the person's reason
    misplaced: str = ""
    plan_changed: str = ""
    blind: str = ""  # why there are no figures
    unarmed: bool = False  # no LLM call is made, so that a stage with shadow measures nothing
    overruled: str = ""  # why less is in force than decided
    problems: tuple[str, ...] = ()
    unexplained: int = 0  # the rev of a rollback by a person that has no reason yet
    complaints: int = 0  # since a person last looked
    complained_at: float | None = None
    to_review: int = 0  # documents still to be judged, of
    review_of: int = 0
    rules_unproven: bool = False
    messages: tuple[tuple[str, str], ...] = ()  # (id, subject)


def tasks(
    state: State, plan: Plan, gate: GateView, reminders: Sequence[ReminderView], facts: InboxFacts
) -> tuple[TaskView, ...]:
    """Every task, in the order in which a tired person should take them."""
    return (
        *_trouble(state, facts),
        *_locks(state, facts),
        *_users(facts),
        *(TaskView("monitoring", f"monitoring: {r.text}", "commands", r.id, due=r.due) for r in reminders if r.overdue),
        *_gate(state, plan, gate, facts),
        *(TaskView("message", f"send: {subject}", "messages", which) for which, subject in facts.messages),
    )


def _trouble(state: State, facts: InboxFacts) -> list[TaskView]:
    """What keeps the rollout from running as decided."""
    out = []
    if facts.alarm:
        out.append(TaskView("acknowledge", f"acknowledge: {facts.alarm}", "live"))
    if facts.misplaced:
        out.append(TaskView("adopt", f"choose the stage: rollout plan adopt --stage N ({facts.misplaced})", "", ""))
    if facts.overruled and state.percent_bp:
        out.append(
            TaskView("overruled", f"0 % in force, decided {percent(state.percent_bp)}: {facts.overruled}", "gate")
        )
    if facts.blind and facts.blind not in facts.problems:  # a problem says what to do about it
        out.append(TaskView("blind", f"find out why: {facts.blind}", "triggers"))
    out += [TaskView("problem", problem, "log") for problem in facts.problems]
    if facts.plan_changed:
        out.append(TaskView("plan", facts.plan_changed, "", ""))
    return out


def _locks(state: State, facts: InboxFacts) -> list[TaskView]:
    out = []
    if state.locked:
        out.append(
            TaskView(
                "resume",
                f"resume: {_what_fired(state, facts)}; needs the cause",
                "gate",
                not_before=state.cooldown_until,
            )
        )
    if state.held:
        out.append(TaskView("release", _hold(state, facts), "gate"))
    if facts.unexplained:
        out.append(TaskView("reason", "record why it was rolled back", "rollback", str(facts.unexplained)))
    if facts.unarmed and not state.locked and not state.held:
        out.append(
            TaskView("resume", "resume, once the LLM may be called: nothing is measured until then", "gate", "armed")
        )
    return out


def _hold(state: State, facts: InboxFacts) -> str:
    if not facts.held_by:
        return f"release the hold: {state.held}"
    return f"release {facts.held_by}'s hold: {facts.held_why}" if facts.held_why else f"release hold by {facts.held_by}"


def _what_fired(state: State, facts: InboxFacts) -> str:
    """The whole sentence is at the gate, where this task is done; a task is read at a glance."""
    return f"{facts.locked_by} fired" if facts.locked_by else state.locked


def _users(facts: InboxFacts) -> list[TaskView]:
    if not facts.complaints:
        return []
    sentence = f"read {counted(facts.complaints, 'complaint')} about search quality"
    return [TaskView("complaint", sentence, "log", "complaints", due=facts.complained_at)]


def _gate(state: State, plan: Plan, gate: GateView, facts: InboxFacts) -> list[TaskView]:
    """What people contribute to a promotion. A blocked gate is still worth preparing."""
    out = []
    if gate.open and state.stage <= plan.last_stage:
        out.append(TaskView("promote", open_gate(plan, gate), "gate"))
    out += [
        _item(item) for item in gate.items if item.state != "done" and (item.required or state.stage >= plan.stable)
    ]
    approved = max(len(gate.approvals), 0)
    if gate.approvals_needed > 1 and approved < gate.approvals_needed:
        who = "another person approves" if approved else "approve"
        out.append(TaskView("approve", f"{who} the next step: {approved} of {gate.approvals_needed} have", "gate"))
    if facts.to_review:
        done = facts.review_of - facts.to_review
        sentence = f"review {counted(facts.to_review, 'document')}: {done} of {facts.review_of} done"
        out.append(TaskView("review", sentence, "review"))
    if facts.rules_unproven:
        sentence = "the triggers changed: run `rollout triggers backtest --days 7`"
        out.append(TaskView("backtest", sentence, "triggers"))
    return out


def _item(item: ItemView) -> TaskView:
    verb = "sign" if item.kind == "manual" else "check"
    if item.state == "failed":
        verb = "failed"
    elif item.lapsed:
        verb += " again"
    return TaskView("item", f"{verb}: {item.text}", "gate", item.id)
