"""The short way back after a rollback: which stage it left, what failed, and what a person needs to return to it. Pure.

A rollback whose cause is recorded does not send the rollout through every gate again. Returning takes fresh evidence on
what failed, against the stage's own bound, and a share of that stage's bake. A person still promotes.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from engine.plan.durations import format_duration

if TYPE_CHECKING:  # a rollback starts without the plan
    from engine.plan.model import Condition, Plan, Stage

# the metrics that replace a trigger's metric when it cannot be measured before documents are served again
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
LEAST_EVIDENCE_S = 3600.0
ANYTHING = ("error_rate", "latency_mean")  # a person's rollback, complaints: only words describe what failed


class Setback(Struct, frozen=True):
    """The stage that a rollback left, and why. `rev`: the rollback's; `failed`: metrics; `explained`: a person recorded
    the cause."""

    stage: int
    percent_bp: int
    failed: tuple[str, ...] = ()
    why: str = ""  # ids of triggers; "" for a person's rollback
    explained: bool = False
    rev: int = 0


def failed_metrics(plan: "Plan", triggers: Iterable[str]) -> tuple[str, ...]:
    """The metrics of the triggers with these ids, without repeats."""
    ids = set(triggers)
    return tuple(dict.fromkeys(t.metric for t in plan.triggers if t.id in ids))


def _wanted(setback: Setback) -> dict[str, None]:
    """The metrics that must be measured again, in order."""
    wanted = dict.fromkeys(m for metric in setback.failed for m in MEASURED_BY.get(metric, ANYTHING))
    return wanted or dict.fromkeys(ANYTHING)


def evidence(plan: "Plan", setback: Setback) -> "tuple[Condition, ...]":
    """The conditions on what failed: the left stage's own, else those of the first stage that has any."""
    wanted = _wanted(setback)
    here = plan.stages[min(setback.stage, plan.last_stage)]
    conditions: dict[str, Condition] = {}
    for stage in (here, *plan.stages):
        for condition in stage.success:
            if condition.metric in wanted:
                conditions.setdefault(condition.metric, replace(condition, required=True))
    return tuple(conditions[metric] for metric in wanted if metric in conditions)


def rebake_s(stage: "Stage") -> float:
    """Watched seconds that fresh evidence must cover; never more than the stage's own bake."""
    return min(stage.bake_s, max(stage.rebake * stage.bake_s, stage.rebake_least_s))


def evidence_s(plan: "Plan", setback: Setback) -> float:
    """How far back the evidence of a return reaches where documents are many, so that the failures that the rollback
    answered do not count against what came after the fix."""
    return max(rebake_s(plan.stages[min(setback.stage, plan.last_stage)]), LEAST_EVIDENCE_S)


def target(plan: "Plan", setback: Setback | None, stage: int, percent_bp: int) -> tuple[int, int] | None:
    """(stage, percent_bp) to return to from where the rollout is now; None if every gate must be passed: the cause is
    not recorded, the plan requires it, or nothing would measure the LLM before it serves again."""
    if setback is None or not setback.explained or setback.percent_bp <= percent_bp or stage >= len(plan.stages):
        return None
    to = min(setback.stage, plan.last_stage)
    measured = percent_bp > 0 or plan.stages[stage].shadow_bp > 0
    if to < stage or plan.stages[to].rebake >= 1 or not measured:
        return None
    wanted = _wanted(setback)
    if not any(condition.metric in wanted for stage_ in plan.stages for condition in stage_.success):
        return None
    return to, setback.percent_bp


def gate_stage(plan: "Plan", setback: Setback, stage: int) -> "Stage":
    """The gate of the way back, as a stage: its checklist is the current stage's, lapsed signatures included."""
    to = plan.stages[min(setback.stage, plan.last_stage)]
    before = plan.stages[max(0, to.number - 1)]
    bake = rebake_s(to)
    failed = setback.why or "the rollback"
    sentence = (
        f"Back to stage {to.number} {to.name}: fresh evidence for {failed}, watched for {format_duration(bake)} "
        f"of its {format_duration(to.bake_s)} bake."
    )
    return replace(
        plan.stages[stage],
        success=evidence(plan, setback),
        bake_s=bake,
        approvals=before.approvals,
        gate=sentence,
        sampling=None,
    )
