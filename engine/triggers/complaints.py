"""What complaints about search quality lead to under a plan, in words. Pure."""

from __future__ import annotations

from engine.plan.model import Plan
from engine.text import spoken

DO = {
    "to_zero": "they roll it back",
    "previous_stage": "they roll it back one stage",
    "halve": "they halve the percentage",
    "pause": "they pause the rollout",
    "investigate": "someone should look",
}


def consequences(plan: Plan) -> str:
    """ "Above 5 they pause the rollout, above 10 they roll it back."; "" if the plan has no trigger on complaints."""
    rules = [t for t in plan.triggers if t.metric == "complaints" and t.enabled and t.above is not None]
    actions = [f"above {t.above:g} {DO[t.action]}" for t in sorted(rules, key=lambda t: t.above or 0.0)]
    return spoken(", ".join(actions)) if actions else ""
