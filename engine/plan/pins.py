"""What a rollout runs under, pinned: its stages, its salt, its triggers, its model. Compared with a plan whenever an engine starts. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from engine.plan.model import Plan, Stage


class PinnedStage(Struct, frozen=True):
    id: str
    name: str
    percent_bp: int
    ab_test: bool = False


class PinnedModel(Struct, frozen=True):
    """`settings`: what of [llm] makes other keywords of the same text. `digests`: of the weights, as the servers report them; empty
    while none has."""

    name: str
    prompt: str
    settings: str = ""
    digests: tuple[str, ...] = ()


class Pins(Struct, frozen=True):
    """`digest` is the plan file's, whose text the store keeps."""

    digest: str
    salt: str
    rules: str  # digest of the triggers and their settings
    stages: tuple[PinnedStage, ...]
    model: PinnedModel


class Change(Struct, frozen=True):
    """One setting that differs between two plans. None: it is not there."""

    place: str
    before: Any
    after: Any

    @property
    def sentence(self) -> str:
        if self.before is None:
            return f"{self.place} added: {_short(self.after)}"
        if self.after is None:
            return f"{self.place} removed (was {_short(self.before)})"
        return f"{self.place}: {_short(self.before)} -> {_short(self.after)}"


def stage_id(stage: Stage) -> str:
    """Its id; of a stage without one, what its name comes to."""
    return stage.id or re.sub(r"[^a-z0-9]+", "_", stage.name.lower()).strip("_")


def pins_of(plan: Plan, rules: str, model: PinnedModel) -> Pins:
    stages = tuple(PinnedStage(stage_id(s), s.name, s.percent_bp, s.ab_test) for s in plan.stages)
    return Pins(plan.digest, plan.salt, rules, stages, model)


def find_stage(plan: Plan, pinned: PinnedStage) -> int | None:
    """Where a pinned stage is in a plan: by its id, else by its name."""
    by_id = (s.number for s in plan.stages if stage_id(s) == pinned.id)
    by_name = (s.number for s in plan.stages if s.name.casefold() == pinned.name.casefold())
    return next(by_id, next(by_name, None))


def misplaced(plan: Plan, pins: Pins, stage: int) -> str:
    """Why `stage`, where the rollout is under its pins, is not the same thing in this plan; "" where it is."""
    if stage > 0 and plan.salt != pins.salt:
        return "the salt is another, which moves documents from arm to arm"
    if stage >= len(pins.stages):
        if len(plan.stages) != len(pins.stages):
            return f"the rollout is stable after {len(pins.stages)} stages, and the plan has {len(plan.stages)}"
        stage = len(pins.stages) - 1
    here = pins.stages[stage]
    there = find_stage(plan, here)
    label = f"stage {stage} {here.name}"
    if there is None:
        return f"{label} is gone"
    if there != stage:
        return f"{label} is stage {there} now"
    if plan.stages[there].percent_bp != here.percent_bp:
        return f"{label} has {plan.stages[there].percent_bp / 100:g} % instead of {here.percent_bp / 100:g} %"
    return ""


def under(plan: Plan, pins: Pins, before: Plan | None) -> Plan:
    """The plan with the stages and the salt that are pinned. `before` is the plan that was pinned, where it can still be read."""
    if before is not None and before.digest == pins.digest:
        return replace(plan, stages=before.stages, salt=pins.salt)
    return replace(plan, stages=tuple(_stage(plan, n, pinned) for n, pinned in enumerate(pins.stages)), salt=pins.salt)


def _stage(plan: Plan, number: int, pinned: PinnedStage) -> Stage:
    there = find_stage(plan, pinned)
    if there is None:
        return Stage(number, pinned.name, "", pinned.percent_bp, "", 0.0, id=pinned.id, ab_test=pinned.ab_test)
    return replace(plan.stages[there], number=number, percent_bp=pinned.percent_bp, ab_test=pinned.ab_test)


# -- the difference of two plans, as their files say it ----------------------------------------------------------------------

KEYS = ("id", "number", "name", "panel", "role", "condition", "text", "run")
LONG = 60


def differences(before: Any, after: Any, place: str = "") -> list[Change]:
    """What differs between two parsed files, by place; what a list holds is known by its id, name or text."""
    if isinstance(before, dict) and isinstance(after, dict):
        keys = [*before, *(key for key in after if key not in before)]
        found = (differences(before.get(key), after.get(key), f"{place}.{key}" if place else key) for key in keys)
        return [change for changes in found for change in changes]
    if _tables(before) and _tables(after):
        name = next((key for key in KEYS if _tells_apart(before, key) and _tells_apart(after, key)), "")
        ours, theirs = _by_key(before, name), _by_key(after, name)
        keys = [*ours, *(key for key in theirs if key not in ours)]
        found = (differences(ours.get(key), theirs.get(key), f"{place}[{key}]") for key in keys)
        return [change for changes in found for change in changes]
    return [] if before == after else [Change(place, before, after)]


def _tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, dict) for each in value)


def _tells_apart(tables: Sequence[dict[str, Any]], key: str) -> bool:
    names = [str(table.get(key, "")) for table in tables]
    return all(names) and len(set(names)) == len(names)


def _by_key(tables: Sequence[dict[str, Any]], key: str) -> dict[str, dict[str, Any]]:
    """By the key that tells all of them apart; without one, by position."""
    return {str(table[key]) if key else str(n): table for n, table in enumerate(tables)}


def _short(value: Any) -> str:
    text = value.get("name") or value.get("id") or "..." if isinstance(value, dict) else value
    if isinstance(value, bool):
        text = "true" if value else "false"
    shown = " ".join(str(text).split())
    return shown if len(shown) <= LONG else f"{shown[: LONG - 3]}..."
