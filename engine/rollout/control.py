"""Who may change the percentage, when, and what follows. Pure: no clock, no database.

A request becomes a `Decision` or a `Refusal`. Two rules come first, and each lives in one place:

- down is never refused: `roll_back` has no precondition, takes no gate and no epoch (`Refusal` is not in its type);
- up is only by a person: `promote` and `undo_rollback` are the only functions that make a decision with a higher
percentage.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from engine.plan.durations import format_duration
from engine.plan.model import Action, Plan, Stage
from engine.rollout import actions, way_back
from engine.rollout.state import ROOT, UNDO_S, Ask, Decision, Refusal, State, Undo, stage_name, stage_of
from engine.rollout.way_back import Setback
from engine.text import percent

CAUSE = 8  # minimum characters of a cause


# -- up: only a person, only here --------------------------------------------------------------------------------------


def returns(plan: Plan, state: State) -> Setback | None:
    """What a promotion would return to by the short way after a rollback; None if the plan's own gates apply."""
    open_ = not state.locked and way_back.target(plan, state.setback, state.stage, state.percent_bp) is not None
    return state.setback if open_ else None


def gate_stage(plan: Plan, state: State, short: bool = True) -> Stage | None:
    """The stage whose gate applies: the current one, or the way back after a rollback with a recorded cause; None once
    stable."""
    back = returns(plan, state) if short else None
    return stage_of(plan, state) if back is None else way_back.gate_stage(plan, back, state.stage)


def next_step(plan: Plan, state: State, short: bool = True) -> tuple[int, int]:
    """(stage, percent_bp) that a promotion leads to: back to what a rollback left (unless not `short`), the stage's own
    percentage when reduced, else the next stage."""
    back = way_back.target(plan, state.setback, state.stage, state.percent_bp) if short and not state.locked else None
    if back is not None:
        return back
    if state.stage < len(plan.stages) and state.percent_bp < plan.stages[state.stage].percent_bp:
        return state.stage, plan.stages[state.stage].percent_bp
    if state.stage >= plan.last_stage:
        return plan.stable, state.percent_bp
    return state.stage + 1, plan.stages[state.stage + 1].percent_bp


class Promotion(Struct, frozen=True):
    """A requested promotion: one step up from the epoch that the person reviewed, to the stage they expect to enter. An
    override skips what the gate misses, with a typed reason; never what blocks it: a lock, a hold, quiet hours, a blind
    monitor."""

    ask: Ask
    epoch: int
    override: bool = False
    to_stage: int | None = None


def promote(
    plan: Plan,
    state: State,
    wanted: Promotion,
    missing: tuple[str, ...] = (),
    blocked: tuple[str, ...] = (),
    by: str = "",
    short: bool = True,
) -> Decision | Refusal:
    """`missing` and `blocked` are the gate's, evaluated in the same transaction; `by` is the last decision's
    sentence."""
    ask = wanted.ask
    if wanted.epoch != state.epoch:
        return moved("promoted", by)
    if (other := _not_the_next(plan, state, wanted.to_stage, by, short)) is not None:
        return other
    if blocked:
        return Refusal("Not promoted: " + "; ".join(blocked) + ".")
    if missing and not wanted.override:
        more = f" (and {len(missing) - 3} more)" if len(missing) > 3 else ""
        return Refusal("Not promoted: the gate is not open. Missing: " + "; ".join(missing[:3]) + more + ".")
    if missing and len(ask.reason.strip()) < 8:
        return Refusal(
            "Not promoted: an override of the gate needs a reason of at least 8 characters; it stays in the log."
        )
    stage, bp = next_step(plan, state, short)
    name = stage_name(plan, stage)
    shadowed = plan.stages[stage].shadow_bp if stage <= plan.last_stage else 0
    shadow = f" (shadow {percent(shadowed)})" if shadowed else ""
    verb = "returned" if short and returns(plan, state) is not None else "promoted"
    what = "declared stable" if stage >= plan.stable else f"{verb} to stage {stage} {name}, {percent(bp)}{shadow}"
    how = f" overriding {len(missing)} missing: {ask.reason}" if missing else ""
    sentence, evidence = f"{ask.actor.name} {what}{how}", {"missing": list(missing)}
    return ask.decision("promote", stage, bp, sentence, evidence=evidence, override=bool(missing))


def _not_the_next(plan: Plan, state: State, to_stage: int | None, by: str, short: bool) -> Refusal | None:
    """Refuses a promotion past the last stage, or into another stage than the next."""
    if state.stage >= plan.stable:
        return Refusal("Not promoted: the rollout is stable; there are no further stages.")
    next_stage, next_bp = next_step(plan, state, short)
    if to_stage is None or to_stage == next_stage:
        return None
    return Refusal(
        f"Not promoted: the next step is stage {next_stage} {stage_name(plan, next_stage)}, {percent(next_bp)}, "
        f"not stage {to_stage}. Last: {by}."
    )


def moved(not_done: str, by: str) -> Refusal:
    """Refuses a raise that was decided on an outdated view."""
    return Refusal(
        f"Not {not_done}: the rollout changed after you looked. Last: {by}. Look again, then decide.", "moved"
    )


def undo_rollback(plan: Plan, state: State, ask: Ask, epoch: int, by: str) -> Decision | Refusal:
    """Undo a manual rollback within 60 s, if no trigger has fired since and it is the one the person saw."""
    if epoch != state.epoch:
        return moved("undone", by)
    if state.undo is None:
        return Refusal("Nothing to undo: the last change wasn't a manual rollback. Use the gate (2) to go back up.")
    if ask.at > state.undo.until:
        return Refusal("Not undone: the 60 s for undoing a rollback are over. Use the gate (2) to go back up.")
    if state.held or state.locked:
        return Refusal(
            f"Not undone: promotion is blocked. {state.locked or state.held}. Use the gate (2) to go back up."
        )
    undo = state.undo
    sentence = f"{ask.actor.name} undid the rollback: stage {undo.stage}, {percent(undo.percent_bp)} again"
    since = {"entered_at": undo.entered_at, "changed_at": undo.changed_at}
    return ask.decision("undo_rollback", undo.stage, undo.percent_bp, sentence, **since)


# -- down: never refused -----------------------------------------------------------------------------------------------


def roll_back(plan: Plan, state: State, ask: Ask, to_stage: int | None = None, how: str = "") -> Decision:
    """To 0 % (stage Internal, or Preparation if still there), or to an earlier stage. Idempotent; never raises the
    percentage."""
    zero = min(state.stage, highest_zero_stage(plan))
    stage, bp = zero, 0
    if to_stage is not None and zero <= to_stage < min(state.stage, len(plan.stages)):
        stage, bp = to_stage, min(state.percent_bp, plan.stages[to_stage].percent_bp)
    elif to_stage is not None and (odd := not_below(plan, to_stage, state.stage)):
        how = f"{how} ({odd})"
    held_back = state.undo
    setback = None
    if state.percent_bp > bp:
        held_back = Undo(
            stage=state.stage,
            percent_bp=state.percent_bp,
            until=ask.at + UNDO_S * ask.pace,
            last_rev=state.last_rev,
            entered_at=state.entered_at,
            changed_at=state.changed_at,
            setback=state.setback,
        )
        setback = Setback(state.stage, state.percent_bp, explained=len(ask.reason.strip()) >= CAUSE)
    was = f" from {percent(state.percent_bp)}" if state.percent_bp else ""
    why = f": {ask.reason}" if ask.reason else ""
    sentence = f"{ask.actor.name} rolled back{was} to {percent(bp)}{how}{why}"
    return ask.decision("rollback", stage, bp, sentence, undo=held_back, setback=setback)


def not_below(plan: Plan, to_stage: int, stage: int | None) -> str:
    """Why a rollback from `stage` (None: unknown) to this one goes to 0 % instead; "" if it can land there."""
    if not 0 <= to_stage < len(plan.stages):
        return f"there is no stage {to_stage}; the stages are 0 to {plan.last_stage}"
    if stage is not None and to_stage >= stage:
        return f"stage {to_stage} is not below stage {stage}"
    return ""


def zero_instead(plan: Plan | None, to_stage: int | None, stage: int | None = None) -> str:
    """Why a rollback without the engine's answer went to 0 % and not to the requested stage; "" if none was
    requested."""
    if to_stage is None:
        return ""
    why = f"stage {to_stage} was requested; without an answer from the engine it goes to 0 %"
    return (plan and not_below(plan, to_stage, stage)) or why


def highest_zero_stage(plan: Plan) -> int:
    """The highest stage that runs at 0 %: where a rollback to zero lands, so that every gate must be passed again."""
    return max((s.number for s in plan.stages if s.percent_bp == 0), default=0)


def act(plan: Plan, state: State, action: Action, ask: Ask, sentence: str, evidence: dict[str, Any]) -> Decision | None:
    """A trigger's action; None if it would change nothing. Locks promotion unless it only pauses or investigates."""
    stage, bp = resulting(plan, state, action)
    if action is Action.investigate:
        return None
    if action is Action.pause:
        if state.held:
            return None
        held = f"{ask.reason}: {sentence}"
        return ask.decision("hold", stage, bp, f"held by trigger: {sentence}", held=held, evidence=evidence)
    if bp >= state.percent_bp and stage == state.stage:
        return None
    until = ask.at + plan.trigger_settings.cooldown_s
    return ask.decision(
        "trigger",
        stage,
        bp,
        f"{ask.reason} took {percent(state.percent_bp)} to {percent(bp)}: {sentence}",
        locked=f"{ask.reason} fired: {sentence}",
        cooldown_until=until,
        evidence=evidence,
        setback=_failed(plan, state, ask.reason, evidence),
    )


def _failed(plan: Plan, state: State, trigger: str, evidence: dict[str, Any]) -> Setback:
    """What an automatic rollback leaves behind; every trigger that fired with the acting one counts as failed."""
    firing = [str(name) for name in evidence.get("firing", ())]
    ids = list(dict.fromkeys([trigger, *firing]))
    return Setback(state.stage, state.percent_bp, way_back.failed_metrics(plan, ids), ", ".join(ids))


def resulting(plan: Plan, state: State, action: Action) -> tuple[int, int]:
    """(stage, percent_bp) after an action: the outcome the triggers assumed when they chose it."""
    percents = tuple(stage.percent_bp for stage in plan.stages)
    result = actions.resulting(action, state.stage, state.percent_bp, percents)
    return result.stage, result.percent_bp


# -- neither up nor down -----------------------------------------------------------------------------------------------


def hold(state: State, ask: Ask) -> Decision | Refusal:
    """Keep the gate shut until a person resumes; the percentage stays. Refused if it is held already."""
    if state.held:
        return Refusal(f"Already held: {state.held}")
    why = ask.reason or "no reason given"
    sentence, held = f"{ask.actor.name} held promotion: {why}", f"{ask.actor.name}: {why}"
    return ask.decision("hold", state.stage, state.percent_bp, sentence, held=held)


def set_ceiling(state: State, ask: Ask, ceiling_bp: int, epoch: int, by: str) -> Decision | Refusal:
    """Set the highest percentage that may be in force. Lowering is never refused; raising is a person's decision on the
    current view."""
    if ceiling_bp == state.ceiling_bp:
        return Refusal(f"Nothing to change: the ceiling is {percent(ceiling_bp)}.")
    lifts = ceiling_bp > state.ceiling_bp
    if lifts and epoch != state.epoch:
        return moved("raised", by)
    if lifts and (state.held or state.locked):
        return Refusal(f"The ceiling is not raised: {state.locked or f'held by {state.held}'}; resume first.")
    why = f": {ask.reason}" if ask.reason else ""
    verb = "raised" if lifts else "lowered"
    sentence = f"{ask.actor.name} {verb} the ceiling from {percent(state.ceiling_bp)} to {percent(ceiling_bp)}{why}"
    return replace(note(state, ask, "ceiling", sentence), ceiling_bp=ceiling_bp)


def to_resume(state: State, armed: bool, rolled_back: bool) -> bool:
    """Whether a resume would change anything: it releases a hold or a lock, and after a rollback to 0 % it lets a
    person call the LLM again. In Preparation the armed file is absent, so only `rolled_back` shows whether someone has
    resumed."""
    out = rolled_back if state.stage == 0 else not armed
    return bool(state.held or state.locked or out)


def resume(state: State, ask: Ask, armed: bool = True, rolled_back: bool = False) -> Decision | Refusal:
    """Release a hold or, with a written cause and after the cool-down, the lock of an automatic rollback.

    A rollback removes the armed file. A resume is also how a person puts it back, for LLM calls they start themselves
    and for shadow calls, at the current percentage.
    """
    if not to_resume(state, armed, rolled_back):
        return Refusal("Nothing to resume: the rollout is neither held nor locked.", "nothing_to_resume")
    if state.locked:
        if len(ask.reason.strip()) < CAUSE:
            return Refusal(
                "Not resumed: after an automatic rollback, promotion reopens only with a written cause (8 "
                "characters or more).",
                "cause_missing",
            )
        if state.cooldown_until is not None and ask.at < state.cooldown_until:
            left = format_duration(state.cooldown_until - ask.at)
            return Refusal(f"Not resumed: the cool-down after an automatic rollback lasts another {left}.", "cooldown")
    why = f": {ask.reason}" if ask.reason else ""
    sentence = f"{ask.actor.name} resumed{why}"
    return ask.decision("resume", state.stage, state.percent_bp, sentence, held="", locked="")


def people(state: State) -> int:
    """How many people approved the next step. Root can act as any of them (sudo, su), so it does not count next to
    their own logins."""
    logins = {uid for uid in state.approvers if uid != ROOT}
    return max(len(logins), min(1, len(state.approvers)))


def approve(plan: Plan, state: State, ask: Ask) -> Decision | Refusal:
    """Record a person's approval of the next step. A person approves once, whatever name they use."""
    who = ask.actor.name
    if ask.actor.person in state.approvers:
        known = state.approvals[state.approvers.index(ask.actor.person)]
        same = "uid" if ask.actor.uid == ask.actor.person else "login, uid"
        as_whom = "" if known == who else f" (as {known}: the same {same} {ask.actor.person})"
        sentence = f"{who} has approved this step already{as_whom}; another person must, from their own login."
        return Refusal(sentence, "same_person")
    if ask.actor.person == ROOT and state.approvers:
        return Refusal(
            f"Not counted: this approval comes from root, who may be {' or '.join(state.approvals)} again "
            "(sudo). Another person must approve, from their own login and without sudo.",
            "same_person",
        )
    stage, bp = next_step(plan, state)
    sentence = f"{who} approved the step to {stage_name(plan, stage)}, {percent(bp)}"
    return ask.decision("approve", state.stage, state.percent_bp, sentence, approval=who)


def note(state: State, ask: Ask, kind: str, sentence: str, evidence: dict[str, Any] | None = None) -> Decision:
    """A row of the log that changes no state but belongs in the record: a signature, a restore, a renewed lease."""
    return ask.decision(kind, state.stage, state.percent_bp, sentence, evidence=evidence or {})
