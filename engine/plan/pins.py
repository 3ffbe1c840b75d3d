"""What a rollout runs under, pinned: stages, salt, triggers, model. Compared with the plan whenever an engine starts.
Pure."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from engine.text import percent

if TYPE_CHECKING:  # a rollback starts without the plan
    from engine.plan.model import Plan, Stage


class PinnedStage(Struct, frozen=True):
    id: str
    name: str
    percent_bp: int
    ab_test: bool = False


class PinnedModel(Struct, frozen=True):
    """`settings`: the keys of [llm] that change a text's keywords. `digests`: of the model weights, as the servers
    report them; empty until one does."""

    name: str
    prompt: str
    settings: str = ""
    digests: tuple[str, ...] = ()


class Pins(Struct, frozen=True):
    """`digest` is the digest of the plan file; the store keeps the file's text."""

    digest: str
    salt: str
    rules: str  # digest of the triggers and their settings
    stages: tuple[PinnedStage, ...]
    model: PinnedModel


class Change(Struct, frozen=True):
    """One setting that differs between two plans. None: absent from that plan."""

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


def stage_id(stage: "Stage") -> str:
    """The stage's id; for a stage without one, a slug of its name."""
    return stage.id or re.sub(r"[^a-z0-9]+", "_", stage.name.lower()).strip("_")


def pins_of(plan: "Plan", rules: str, model: PinnedModel) -> Pins:
    """What the rollout is pinned to: this plan, the digest of its triggers (`rules`), the model."""
    stages = tuple(PinnedStage(stage_id(s), s.name, s.percent_bp, s.ab_test) for s in plan.stages)
    return Pins(plan.digest, plan.salt, rules, stages, model)


def find_stage(plan: "Plan", pinned: PinnedStage) -> int | None:
    """The number of a pinned stage in a plan: matched by id, else by name."""
    by_id = (s.number for s in plan.stages if stage_id(s) == pinned.id)
    by_name = (s.number for s in plan.stages if s.name.casefold() == pinned.name.casefold())
    return next(by_id, next(by_name, None))


def misplaced(plan: "Plan", pins: Pins, stage: int) -> str:
    """Why the rollout's pinned `stage` is not the same stage in this plan; "" if it is."""
    if stage > 0 and plan.salt != pins.salt:
        return "the salt differs, which moves documents between the arms"
    if stage >= len(pins.stages):
        if len(plan.stages) != len(pins.stages):
            return f"the rollout is stable after {len(pins.stages)} stages, and the plan has {len(plan.stages)}"
        stage = len(pins.stages) - 1
    here = pins.stages[stage]
    there = find_stage(plan, here)
    label = f"stage {stage} {here.name}"
    if there is None:
        return f"{label} is not in it any more"
    if there != stage:
        return f"{label} is now stage {there}"
    if plan.stages[there].percent_bp != here.percent_bp:
        return f"{label} has {percent(plan.stages[there].percent_bp)} instead of {percent(here.percent_bp)}"
    return ""


def under(plan: "Plan", pins: Pins, before: "Plan | None") -> "Plan":
    """The plan with the pinned stages and salt. `before` is the plan that was pinned, if it can still be read."""
    if before is not None and before.digest == pins.digest:
        return replace(plan, stages=before.stages, salt=pins.salt)
    return replace(plan, stages=tuple(_stage(plan, n, pinned) for n, pinned in enumerate(pins.stages)), salt=pins.salt)


def _stage(plan: "Plan", number: int, pinned: PinnedStage) -> "Stage":
    from engine.plan.model import Stage

    there = find_stage(plan, pinned)
    if there is None:
        return Stage(number, pinned.name, "", pinned.percent_bp, "", 0.0, id=pinned.id, ab_test=pinned.ab_test)
    return replace(plan.stages[there], number=number, percent_bp=pinned.percent_bp, ab_test=pinned.ab_test)


# -- the difference between two plan files ----------------------------------------------------------------------

KEYS = ("id", "number", "name", "panel", "role", "condition", "text", "run")
LONG = 60


def differences(before: Any, after: Any, place: str = "") -> list[Change]:
    """The differences between two parsed files, by place; list elements are matched by id, name or text."""
    if isinstance(before, dict) and isinstance(after, dict):
        keys = [*before, *(key for key in after if key not in before)]
        nested = (differences(before.get(key), after.get(key), f"{place}.{key}" if place else key) for key in keys)
        return [change for changes in nested for change in changes]
    if _tables(before) and _tables(after):
        name = next((key for key in KEYS if _distinguishes(before, key) and _distinguishes(after, key)), "")
        ours, theirs = _by_key(before, name), _by_key(after, name)
        keys = [*ours, *(key for key in theirs if key not in ours)]
        nested = (differences(ours.get(key), theirs.get(key), f"{place}[{key}]") for key in keys)
        return [change for changes in nested for change in changes]
    return [] if before == after else [Change(place, before, after)]


def _tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(element, dict) for element in value)


def _distinguishes(tables: Sequence[dict[str, Any]], key: str) -> bool:
    names = [str(table.get(key, "")) for table in tables]
    return all(names) and len(set(names)) == len(names)


def _by_key(tables: Sequence[dict[str, Any]], key: str) -> dict[str, dict[str, Any]]:
    """Indexed by the key that is unique to each table, else by position."""
    return {str(table[key]) if key else str(n): table for n, table in enumerate(tables)}


def _short(value: Any) -> str:
    text = value.get("name") or value.get("id") or "..." if isinstance(value, dict) else value
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, list):
        text = f"[{', '.join(_short(item) for item in value)}]"
    shown = " ".join(str(text).split())
    return shown if len(shown) <= LONG else f"{shown[: LONG - 3]}..."
