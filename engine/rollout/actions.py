"""The stage and percentage an action leads to. No action raises the percentage."""

from __future__ import annotations

from msgspec import Struct

from engine.plan.model import Action

LOWERING = frozenset({Action.to_zero, Action.previous_stage, Action.halve})  # the others leave the percentage as it is
STRENGTH: dict[Action, int] = {action: rank for rank, action in enumerate(Action)}


class ActionResult(Struct, frozen=True):
    stage: int
    percent_bp: int
    held: bool


def resulting(action: Action, stage: int, percent_bp: int, stages: tuple[int, ...], held: bool = False) -> ActionResult:
    """`stage` may be one past the end (*stable*). Total for any input.

    to_zero lands on the highest stage that runs at 0 %, so that every gate must be passed again. previous_stage lands
    on the nearest earlier stage that has a lower percentage than now (from *stable* the one before the last); halve
    stays in its stage, even if half matches no stage's percentage (50 -> 25, 10 -> 5).
    """
    percent_bp = max(0, percent_bp)
    here = max(0, min(stage, len(stages)))
    match action:
        case Action.to_zero:
            zero = max((number for number, bp in enumerate(stages[: here + 1]) if bp == 0), default=0)
            return ActionResult(min(here, zero), 0, held)
        case Action.previous_stage:
            for number in range(min(here, len(stages)) - 1, -1, -1):
                if stages[number] < percent_bp:
                    return ActionResult(number, max(0, stages[number]), held)
            return ActionResult(here, percent_bp if not here else 0, held)
        case Action.halve:
            return ActionResult(here, percent_bp // 2, held)
        case Action.pause:
            return ActionResult(here, percent_bp, True)
        case Action.investigate:
            return ActionResult(here, percent_bp, held)
