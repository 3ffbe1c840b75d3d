"""The fields of a view that follow from the plan, the state, a bucket or a rule alone: one answer for now and for a
moment in the past. Pure.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import asdict

from engine.measures.bucket import Bucket
from engine.plan.model import Plan, Trigger
from engine.rollout.state import State, stage_name, stage_of
from engine.triggers.wording import Reading
from engine.view.model import Gauge, TriggerView


def of_plan(plan: Plan, state: State) -> dict[str, Any]:
    """What is running, as the plan names it."""
    stage = stage_of(plan, state)
    return {
        "name": plan.name,
        "environment": plan.environment,
        "service": plan.service,
        "stages": len(plan.stages),
        "stage_name": stage_name(plan, state.stage),
        "stage_objective": stage.objective if stage else "The rollout is stable; the triggers stay armed.",
        "stage_percent_bp": stage.percent_bp if stage else plan.stages[-1].percent_bp,
        "stable": state.stage >= plan.stable,
        "ab_test": bool(stage and stage.ab_test),
        "shadow_bp": stage.shadow_bp if stage else 0,
        "stage_percents": tuple(s.percent_bp for s in plan.stages),
        "stage_names": tuple(s.name for s in plan.stages),
    }


def of_state(state: State) -> dict[str, Any]:
    """What was decided."""
    return {
        "stage": state.stage,
        "percent_bp": state.percent_bp,
        "epoch": state.epoch,
        "rev": state.rev,
        "entered_at": state.entered_at,
        "changed_at": state.changed_at,
        "locked": state.locked,
        "rolled_back": state.rolled_back,
        "cooldown_until": state.cooldown_until,
    }


def of_window(bucket: Bucket, gauges: tuple[Gauge, Gauge, Gauge], shadow: tuple[Gauge, ...]) -> dict[str, Any]:
    """What was measured in the window."""
    error_rate, latency, cache = gauges
    return {
        "error_rate": error_rate,
        "latency": latency,
        "cache": cache,
        "methods": {
            "llm": bucket.llm,
            "frequency": bucket.frequency,
            "fallback": bucket.fallbacks,
            "cached": bucket.hits,
        },
        "shadow": shadow,
    }


def trigger_view(rule: Trigger, r: Reading, fired: str, *, verdict: str = "", sentence: str = "") -> TriggerView:
    """A rule of the plan with its reading. `fired`: the rule whose rollback locked promotion; `verdict`, `sentence`:
    shown instead of the reading's."""
    seen = asdict(r) | {"verdict": verdict or r.verdict, "sentence": sentence or r.sentence}
    action, severity = str(rule.action), str(rule.severity)
    return TriggerView(
        text=rule.text, action=action, severity=severity, timeline_s=rule.timeline_s, fired=rule.id == fired, **seen
    )
