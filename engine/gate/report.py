"""An assessed gate and the figures of quality as the view shows them, now or for a moment in the past."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.gate.conditions import GateReport
from engine.measures.bucket import Bucket
from engine.plan.model import Plan
from engine.rollout import control
from engine.rollout.state import State, stage_name
from engine.triggers.measurement import NoData, Ok, Sample
from engine.view.model import GateView, ItemView


def gate_view(
    plan: Plan, state: State, report: GateReport, items: Sequence[ItemView], baked_s: float, bake_s: float
) -> GateView:
    """`baked_s` of `bake_s` are done."""
    stage = control.gate_stage(plan, state)
    next_stage, next_bp = control.next_step(plan, state)
    return GateView(
        open=report.open and state.stage < plan.stable,
        next_stage=next_stage,
        next_name=stage_name(plan, next_stage),
        next_percent_bp=next_bp,
        sentence=stage.gate if stage else "",
        missing=report.missing,
        conditions=report.conditions,
        items=tuple(items),
        bake_s=bake_s,
        baked_s=baked_s,
        approvals_needed=stage.approvals if stage else 0,
        approvals=state.approvals,
        blocked=report.blocked,
        met=report.met,
        total=report.total,
        others=report.others,
        returns=control.returns(plan, state) is not None,
    )


def quality(bucket: Bucket, samples: Mapping[str, Sample]) -> dict[str, float | None]:
    """The figures of quality; None where nothing was measured."""
    values: dict[str, float | None] = {"grounded_rate": bucket.grounded_rate, "keywords_mean": bucket.keywords_mean}
    for metric in ("quality_score", "satisfaction", "search_improvement", "ab_verdict"):
        sample = samples.get(metric, NoData())
        values[metric] = sample.value if isinstance(sample, Ok) else None
    return values
