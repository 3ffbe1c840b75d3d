"""What the rollout runs under: the stages, the triggers and the model it was started with, and their replacement."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from engine.plan.model import Plan
from engine.plan.pins import Pins, find_stage
from engine.rollout.control import note
from engine.rollout.state import Ask, Decision, Refusal, State, stage_name
from engine.text import percent


def pin(
    state: State, ask: Ask, kind: str, sentence: str, pins: Pins, restarts: bool, evidence: dict[str, Any]
) -> Decision:
    """The rollout runs under other pins from here on; the percentage and the stage stay."""
    return replace(note(state, ask, kind, sentence, evidence), pins=pins, restarts=restarts)


def adopt(plan: Plan, state: State, ask: Ask, stage: int, pins: Pins, before: Pins) -> Decision | Refusal:
    """A person names the stage of a changed plan that the rollout is in. The percentage may fall to the stage's and
    never rises; a stage above the percentage is reached only by promotion, unless it is the same stage with a new
    percentage."""
    stable = state.stage >= len(before.stages)
    if not 0 <= stage <= plan.last_stage and not (stable and stage == plan.stable):
        more = f", or {plan.stable} for stable" if stable else ""
        return Refusal(f"Not adopted: the plan has no stage {stage}; its stages are 0 to {plan.last_stage}{more}.")
    same = None if stable else find_stage(plan, before.stages[state.stage])
    if plan.stages[min(stage, plan.last_stage)].percent_bp > state.percent_bp and stage != same:
        above = percent(plan.stages[min(stage, plan.last_stage)].percent_bp)
        return Refusal(
            f"Not adopted: stage {stage} is at {above}, above the {percent(state.percent_bp)} in force. "
            "Adopt a stage at or below that, then promote."
        )
    own = plan.stages[min(stage, plan.last_stage)].percent_bp
    bp = min(state.percent_bp, own)
    fall = f", {percent(state.percent_bp)} falls to {percent(bp)}" if bp < state.percent_bp else f", {percent(bp)}"
    less = f" (reduced; the stage's own is {percent(own)})" if bp < own else ""
    name = "stable" if stage >= plan.stable else f"stage {stage} {stage_name(plan, stage)}"
    why = f": {ask.reason}" if ask.reason else ""
    sentence = f"{ask.actor.name} adopted the changed plan in {name}{fall}{less}; evidence and bake restart{why}"
    return ask.decision("plan", stage, bp, sentence, pins=pins, restarts=True)
