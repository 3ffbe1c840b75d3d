"""The short way back up after a rollback: which stage was left, what failed, and what a person needs before returning to it. Pure.

A rollback whose cause is written does not send a rollout through every gate again. It asks for fresh evidence of what failed, by the
bound that the stage itself asks for, and for a part of that stage's bake. A person still promotes.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace

from engine.plan.durations import format_duration
from engine.plan.model import Condition, Plan, Stage

# what a metric of a trigger is measured by where it cannot be measured afresh before documents are served again
MEASURED_BY = {
    "error_rate": ("error_rate",),
    "error_creep": ("error_rate",),
    "llm_available": ("error_rate",),
    "latency_mean": ("latency_mean",),
    "latency_p95": ("latency_mean",),
    "latency_ratio": ("latency_mean",),
    "cache_hit_rate": ("error_rate",),
    "grounded_rate": ("grounded_rate", "error_rate"),
}
ANYTHING = ("error_rate", "latency_mean")  # a person's rollback, complaints: what failed is in words alone


class Stood(Struct, frozen=True):
    """What a rollback left. `rev`: the rollback's; `failed`: metrics; `explained`: a person has written the cause."""

    stage: int
    percent_bp: int
    failed: tuple[str, ...] = ()
    why: str = ""  # ids of triggers; "" for a person's rollback
    explained: bool = False
    rev: int = 0


def failed_metrics(plan: Plan, triggers: Iterable[str]) -> tuple[str, ...]:
    """The metrics of the triggers with these ids, each once."""
    ids = set(triggers)
    return tuple(dict.fromkeys(t.metric for t in plan.triggers if t.id in ids))


def evidence(plan: Plan, stood: Stood) -> tuple[Condition, ...]:
    """The conditions of the stage that stood for what failed; where it has none, the first stage's that has."""
    wanted = dict.fromkeys(m for metric in stood.failed for m in MEASURED_BY.get(metric, ANYTHING)) or dict.fromkeys(
        ANYTHING
    )
    here = plan.stages[min(stood.stage, plan.last_stage)]
    found: dict[str, Condition] = {}
    for stage in (here, *plan.stages):
        for condition in stage.success:
            if condition.metric in wanted:
                found.setdefault(condition.metric, replace(condition, required=True))
    return tuple(found[metric] for metric in wanted if metric in found)


def rebake_s(stage: Stage) -> float:
    """Watched seconds that fresh evidence must last; never longer than the stage's own bake."""
    return min(stage.bake_s, max(stage.rebake * stage.bake_s, stage.rebake_least_s))


def target(plan: Plan, stood: Stood | None, stage: int, percent_bp: int) -> tuple[int, int] | None:
    """(stage, percent_bp) to return to from where the rollout is now; None where only the ordinary way leads up: the cause is not
    written, the plan asks for the whole way, or nothing would measure the LLM before it serves again."""
    if stood is None or not stood.explained or stood.percent_bp <= percent_bp or stage >= len(plan.stages):
        return None
    to = min(stood.stage, plan.last_stage)
    measured = percent_bp > 0 or plan.stages[stage].shadow_bp > 0
    if to < stage or plan.stages[to].rebake >= 1 or not measured or not evidence(plan, stood):
        return None
    return to, stood.percent_bp


def gate_stage(plan: Plan, stood: Stood, stage: int) -> Stage:
    """The gate of the way back, as a stage: the checklist is the one of where the rollout is now, signatures in doubt included."""
    to = plan.stages[min(stood.stage, plan.last_stage)]
    before = plan.stages[max(0, to.number - 1)]
    bake = rebake_s(to)
    failed = stood.why or "the rollback"
    sentence = f"Back to stage {to.number} {to.name}: fresh evidence for {failed}, watched for {format_duration(bake)} of its {format_duration(to.bake_s)} bake."
    return replace(
        plan.stages[stage],
        success=evidence(plan, stood),
        bake_s=bake,
        approvals=before.approvals,
        gate=sentence,
        sampling=None,
    )
