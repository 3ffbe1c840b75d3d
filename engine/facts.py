"""What the messages' placeholders stand for now: every number with its n, every unknown in words."""

from __future__ import annotations

from engine.control import percent
from engine.plan.durations import iso
from engine.plan.model import Plan
from engine.view import View


def facts(plan: Plan, view: View) -> dict[str, str]:
    """A text for each name in `engine.plan.vocabulary.PLACEHOLDERS`."""
    gate, rollback, last = view.gate, view.rollback, view.log[0] if view.log else None
    stages = "\n".join(f"  {s.number} {s.name}: {percent(s.percent_bp)}, {s.duration_text}" for s in plan.stages)
    conditions = "\n".join(f"  {'met' if c.met else 'open'}: {c.missing or c.sentence}" for c in gate.conditions)
    incidents = [d for d in view.log if d.kind in ("trigger", "rollback", "hold")]
    quality = view.quality

    def share(name: str) -> str:
        value = quality.get(name)
        return "not measured yet" if value is None else f"{value * 100:.1f} %"

    return {
        "service": view.service,
        "environment": view.environment,
        "stage": str(view.stage),
        "stage_name": view.stage_name,
        "percent": percent(view.percent_bp),
        "next_stage": gate.next_name,
        "next_percent": percent(gate.next_percent_bp),
        "error_rate": view.error_rate.sentence,
        "latency_mean": view.latency.sentence,
        "latency_p95": f"{view.latency.p95 / 1000:.2f} s" if view.latency.p95 is not None else "no fresh call yet",
        "cache_hit_rate": view.cache.sentence,
        "methods": ", ".join(f"{name} {count}" for name, count in view.methods.items()),
        "documents": str(view.methods.get("llm", 0)),
        "complaints": next(
            (f"{t.value:g}" for t in view.triggers if t.id.startswith("complaints") and t.value is not None), "0"
        ),
        "satisfaction": share("satisfaction"),
        "search_improvement": share("search_improvement"),
        "quality": share("quality_score"),
        "ab_test": {1.0: "in favour of the LLM", 0.0: "not in favour of the LLM"}.get(
            quality.get("ab_verdict") or -1.0, "not decided yet"
        ),
        "incidents": "; ".join(d.sentence for d in incidents[:5]) or "none",
        "gate": (conditions or "  no condition")
        + ("\n  missing: " + "; ".join(gate.missing) if gate.missing else "\n  open"),
        "next": "; ".join(view.next),
        "decision": last.sentence if last else "nothing decided yet",
        "who": last.actor if last else "nobody",
        "why": (last.reason if last else "") or "no reason given",
        "when": iso(last.at if last else view.at),
        "evidence": rollback.sentence if rollback else view.health_sentence,
        "effective": f"{rollback.effective_ms / 1000:.2f} s"
        if rollback and rollback.effective_ms is not None
        else "not measured",
        "schedule": stages,
        "results": "\n".join((view.error_rate.sentence, view.latency.sentence, view.cache.sentence)),
        "lessons": "see `rollout log --kind note`",
        "contacts": "\n".join(f"  {c.role}: {c.name}, {c.phone}, {c.email}" for c in plan.contacts),
    }
