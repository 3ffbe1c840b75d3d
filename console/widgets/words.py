"""Numbers and states in words, the same on every screen. An unknown number is "no data", never 0 and never NaN."""

from __future__ import annotations

from math import isfinite

from engine.measures.record import SeenArm
from engine.plan import units
from engine.plan.durations import clock, format_duration, iso
from engine.plan.model import Plan
from engine.plan.vocabulary import METRICS
from engine.rollout.actions import LOWERING
from engine.text import milliseconds, percent, rate_beside
from engine.view.model import GateView, Gauge, Health, ServerView, TriggerView, View

__all__ = ["ago", "clock", "format_duration", "hour", "moment", "percent"]

NO_DATA = "no data"
AT_ZERO = "at 0 % already"  # of a trigger that would lower the percentage

# mark, word, style: three ways to show the same state
HEALTH: dict[Health, tuple[str, str, str]] = {
    "ok": ("✔", "HEALTHY", "ok"),
    "watch": ("▲", "WATCH", "warn"),
    "alert": ("✖", "ALERT", "bad"),
    "blind": ("?", "BLIND", "warn"),
    "rolled_back": ("▼", "ROLLED BACK", "bad"),
    "held": ("‖", "HELD", "warn"),
    "locked": ("■", "LOCKED", "bad"),
    "idle": ("·", "IDLE", "dim"),
    "no_traffic": ("·", "NO TRAFFIC", "warn"),
}

VERDICT: dict[str, tuple[str, str]] = {  # sign, style
    "ok": ("✔", "ok"),
    "breach": ("✖", "bad"),
    "insufficient": ("·", "dim"),
    "blind": ("?", "warn"),
    "muted": ("‖", "dim"),
    "locked": ("■", "dim"),
    "disabled": ("-", "dim"),
}


def rate(value: float | None, digits: int = 1, target: float | None = None) -> str:
    """0.056 -> "5.6 %", with more digits beside a target that it would else read like."""
    return NO_DATA if value is None or not isfinite(value) else rate_beside(value, digits, target)


def ms(value: float | None) -> str:
    return NO_DATA if value is None or not isfinite(value) else milliseconds(value)


def figure(metric: str, value: float | None) -> str:
    """A value in the unit of its metric."""
    if value is None or not isfinite(value):
        return NO_DATA
    latency = "ms" if metric.startswith("latency_") else "rate"  # any percentile that a plan names
    unit = METRICS[metric].unit if metric in METRICS else latency
    match unit:
        case "rate":
            return rate(value)
        case "change":
            return f"{value * 100:+.1f} %"
        case "ms":
            return ms(value)
        case "flag":
            return "yes" if value else "no"
        case "ratio":
            return f"{value:.2f}x"
        case _:
            return f"{value:,.0f}"


def target(gauge: Gauge) -> str:
    """ "<1 %", ">20 %", "<2 s": the target in its shortest form."""
    return "" if gauge.target is None else gauge.op + units.target(gauge.metric, gauge.target)


def gauges(v: View) -> tuple[Gauge, Gauge]:
    """Error rate and latency of the LLM arm, or of shadow while only shadow calls the LLM."""
    if v.shadow and not v.error_rate.n and v.shadow[0].n:
        return v.shadow[0], v.shadow[1]
    return v.error_rate, v.latency


def watched_arm(v: View) -> SeenArm:
    """The arm whose curves are drawn: shadow's while only shadow is to call the LLM, and the gauges show it too."""
    return "shadow" if v.shadow_bp and v.armed and not v.percent_bp else "treatment"


def now(v: View, metric: str, arm: str) -> str:
    """The current figure of a curve, as the gauges have it; "" where there is no gauge: its newest bucket is shown."""
    error, latency = gauges(v)
    total = v.methods.get("llm", 0) + v.methods.get("frequency", 0)
    of_all = {
        "llm_documents": f"{v.engine.llm_per_min:.1f}",
        "documents": f"{v.engine.documents_per_min:.0f}",
        "llm_share": rate(v.methods.get("llm", 0) / total if total else None, 0),
    }
    of_one: dict[tuple[str, str], str] = {
        ("error_rate", error.arm): rate(error.value, 1, error.target),
        ("latency_mean", latency.arm): ms(latency.value),
        ("cache_hit_rate", "treatment"): rate(v.cache.value, 0, v.cache.target),
    }
    return of_all.get(metric) or of_one.get((metric, arm), "")


def of_arm(name: str, arm: str) -> str:
    """ "error rate", or "shadow errors" for answers that were not served."""
    return name if arm == "treatment" else f"shadow {name}".replace("error rate", "errors")


def mark(ok: bool | None) -> tuple[str, str]:
    """Mark and style of a judged figure; `None` is not judged."""
    return ("·", "dim") if ok is None else ("✔", "ok") if ok else ("✖", "bad")


def reason(s: ServerView) -> str:
    """Why a server doesn't answer, without the address, which its name already identifies."""
    return s.error.removeprefix(f"{s.url}: ").removeprefix(f"{s.url} ")


def brief_name(name: str) -> str:
    """A name without the account behind it: "ann" of "ann (uid 0)"."""
    return name.partition(" (")[0]


def moment(at: float) -> str:
    """ "14:03:07"."""
    return iso(at)[11:19]


def hour(at: float, now: float) -> str:
    """The time for today, the date before that: "14:03:07", "11-24 14:03"."""
    return moment(at) if iso(at)[:10] == iso(now)[:10] else iso(at)[5:16].replace("T", " ")


def brief_hour(at: float, now: float) -> str:
    """`hour` where space is short: "14:03", "11-24"."""
    return moment(at)[:5] if iso(at)[:10] == iso(now)[:10] else iso(at)[5:10]


def ago(at: float, now: float) -> str:
    return f"{format_duration(max(0.0, now - at))} ago"


def count(number: int) -> str:
    """12345 -> "12,345", as in the engine and the report."""
    return f"{number:,}"


def bake(gate: GateView) -> str:
    """ "bake 1d 4h of 2d", "baked 2d", or "" if a gate has no bake time."""
    if not gate.bake_s:
        return ""
    if gate.baked_s >= gate.bake_s:
        return f"baked {format_duration(gate.bake_s)}"
    return f"bake {format_duration(gate.baked_s // 1)} of {format_duration(gate.bake_s)}"


def sentence(view: View) -> str:
    """The health sentence without the label that precedes it on the screen."""
    text = view.health_sentence
    for _, word, _ in HEALTH.values():
        if text.startswith(f"{word} "):  # "HELD by bo" reads as one sentence
            return word.lower() + text[len(word) :]
        if text.startswith(word):
            return text[len(word) :].lstrip(" ,:")
    return text


def worst(view: View) -> TriggerView | None:
    """The trigger that acts first, or the one closest to acting."""
    running = [t for t in view.triggers if t.is_urgent and not nothing_to_lower(view, t)]
    if not running:
        return None
    return min(
        running, key=lambda t: (t.action not in LOWERING, t.fires_in_s if t.fires_in_s is not None else 1e9, t.id)
    )


def nothing_to_lower(view: View, t: TriggerView) -> bool:
    """Whether it would lower the percentage, which is 0 already."""
    return not view.percent_bp and t.action in LOWERING


def acts(t: TriggerView, brief: bool = False) -> str:
    """The countdown of a trigger in breach: "acts in 4:51: early rule", "acts now", "unconfirmed"; in brief "in
    4:51"."""
    if t.fires_in_s is None:
        return "unconfirmed"
    if not t.fires_in_s:
        return "now" if brief else "acts now"
    if brief:
        return f"in {clock(t.fires_in_s)}"
    return f"acts in {clock(t.fires_in_s)}" + (f": {t.acts_by}" if t.acts_by else "")


def passed(t: TriggerView) -> float:
    """The elapsed share of that countdown, 0..1."""
    return t.held_s / t.for_s if t.for_s else 1.0


def limits(plan: Plan, metric: str) -> list[tuple[float, str]]:
    """The trigger thresholds on a metric, with labels for the plot: "5 % → 0 %"."""
    pairs = [
        (value, t.action.value)
        for t in plan.triggers
        if t.metric == metric and t.enabled
        for value in (t.above, t.below)
        if value is not None
    ]
    return [
        (value, f"{figure(metric, value).replace('.0 ', ' ').replace('.00 ', ' ')} → {ACTION.get(action, action)}")
        for value, action in sorted(pairs)
    ]


ACTION = {
    "to_zero": "0 %",
    "previous_stage": "previous stage",
    "halve": "half",
    "pause": "hold",
    "investigate": "investigate",
}


def short(name: str) -> str:
    """A stage's name without the common part: "Canary Rollout" -> "Canary"."""
    for common in ("Pre-Rollout ", " Rollout", " Testing"):
        if common in name and len(name) > len(common):
            name = (name.split(common)[0] or name.split(common)[1]).strip()
    return name


def stage(view: View, brief: bool = False) -> str:
    """ "STAGE 2 Canary Rollout", in brief "STAGE 2 Canary"; or "STABLE"."""
    name = short(view.stage_name) if brief else view.stage_name
    return "STABLE" if view.stable else f"STAGE {view.stage} {name}"


def title(view: View) -> str:
    """The terminal's title: stage and health, visible in a list of tabs."""
    sign, word, _ = HEALTH[view.health]
    kind = f"{view.exercise} " if view.exercise else ""
    error = "" if view.error_rate.value is None else f" err {rate(view.error_rate.value)}"
    return f"{kind}{view.stage_name} {percent(view.effective_bp)} {sign} {word.lower()}{error}"
