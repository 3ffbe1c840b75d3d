"""Headlines of the view: numbers and state in the words that a tired person reads first. Pure.

One sentence for each question: is it healthy, what will the system do next if no one acts, what does it need from me.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import replace

from engine import bounds
from engine.measures.backlog import Backlog
from engine.measures.bucket import Bucket
from engine.plan.durations import clock as timer
from engine.plan.durations import format_duration
from engine.plan.model import Plan, Severity
from engine.rollout.actions import LOWERING
from engine.rollout.state import State
from engine.text import counted, percent, rate_beside, rate_percent
from engine.triggers.words import measure
from engine.view.model import GateView, Gauge, Health, MatrixView, ReminderView, ServerView, TriggerView

WINDOW_S = 300.0
FEWEST = 20  # two successes of two prove nothing, nor do two cache misses


def error_gauge(
    treatment: Bucket, target: float | None, bound: float | None, window_s: float, since_change: str = ""
) -> Gauge:
    n, k = treatment.attempts, treatment.errors
    rate = k / n if n else None
    ok = None if rate is None or target is None else rate < target
    if rate is None:
        sentence = f"error rate: no LLM documents {since_change or _last(window_s)}"
    else:
        limit = f", bound {rate_percent(bound, 1)}" if bound is not None else ""
        figures = f"{k} of {n} in {format_duration(window_s)}{limit}"
        sentence = f"error rate {rate_beside(rate, 1, target)} ({figures}){_target(target, '<', percent_unit)}"
    return Gauge(
        "error_rate", rate, n, k, window_s, target, "<", ok, sentence, bound=bound, control=treatment.plain_error_rate
    )


def latency_gauge(treatment: Bucket, target: float | None, window_s: float, since_change: str = "") -> Gauge:
    n = treatment.fresh
    mean = treatment.ms_sum / n if n else None
    p95 = treatment.histogram.quantile(0.95) if n else None
    ok = None if mean is None or target is None else mean < target
    if mean is None:
        sentence = f"latency: no fresh LLM call {since_change or _last(window_s)}"
    else:
        tail = f", p95 {measure('latency_p95', p95)}" if p95 is not None else ""
        figures = f"n {n} in {format_duration(window_s)}"
        sentence = f"mean latency {measure('latency_mean', mean)}{tail} ({figures}){_target(target, '<', seconds_unit)}"
    return Gauge("latency_mean", mean, n, None, window_s, target, "<", ok, sentence, p95=p95)


def cache_gauge(treatment: Bucket, target: float | None, window_s: float, since_change: str = "") -> Gauge:
    n, k = treatment.lookups, treatment.hits
    rate = k / n if n else None
    ok = None if rate is None or target is None or n < FEWEST else rate > target
    if rate is None:
        sentence = f"cache: no lookups {since_change or _last(window_s)}"
    else:
        figures = f"{k} of {n} in {format_duration(window_s)}"
        sentence = f"cache hits {rate_beside(rate, 0, target)} ({figures}){_target(target, '>', percent_unit)}"
    return Gauge("cache_hit_rate", rate, n, k, window_s, target, ">", ok, sentence)


def _last(window_s: float) -> str:
    return f"in the last {format_duration(window_s)}"


def since_change(state: State, now: float) -> str:
    """What the figures of now cover, in words, if that is less than the window: they begin with the last change of
    percentage. Else ""."""
    return "since the last change" if 0 <= now - state.changed_at < WINDOW_S else ""


def gauges(
    b: Bucket, wanted: Mapping[str, float], window_s: float, since_change: str = ""
) -> tuple[Gauge, Gauge, Gauge]:
    """Error rate, latency and cache hits next to the stage's targets."""
    bound = bounds.rate_upper(b.errors, b.attempts) if b.attempts else None
    return (
        error_gauge(b, wanted.get("error_rate"), bound, window_s, since_change),
        latency_gauge(b, wanted.get("latency_mean"), window_s, since_change),
        cache_gauge(b, wanted.get("cache_hit_rate"), window_s, since_change),
    )


def shadow_gauges(b: Bucket, wanted: Mapping[str, float], window_s: float) -> tuple[Gauge, Gauge]:
    """Error rate and latency of LLM answers that were stored and not served."""
    error, latency, _ = gauges(b.in_shadow(), wanted, window_s)
    shadow = (replace(g, arm="shadow", control=None, sentence=f"shadow: {g.sentence}") for g in (error, latency))
    return next(shadow), next(shadow)


def targets(plan: Plan, state: State) -> dict[str, float]:
    """The stage's own conditions, else those of the first stage that has any."""
    by_metric: dict[str, float] = {}
    here = plan.stages[min(state.stage, plan.last_stage)]
    for stage in (here, *plan.stages):
        for condition in stage.success:
            by_metric.setdefault(condition.metric, condition.value)
    return by_metric


def percent_unit(value: float) -> str:
    return f"{value * 100:g} %"


def seconds_unit(value: float) -> str:
    return f"{value / 1000:g} s"


def _target(target: float | None, op: str, unit: Callable[[float], str]) -> str:
    return "" if target is None else f", target {op} {unit(target)}"


class Situation(Struct, frozen=True):
    """The input of the headline. Texts are "" if there is nothing to report."""

    state: State
    now: float
    triggers: Sequence[TriggerView] = ()
    documents: int = 0  # LLM documents in the window
    gauges: Sequence[Gauge] = ()
    shadow: Sequence[Gauge] = ()
    effective_bp: int = 0  # the percentage in force
    why_effective: str = ""  # why it is lower than decided
    locked_by: str = ""  # the trigger that locked promotion
    blind: str = ""
    quiet: str = ""  # why neither arm gets documents
    misplaced: str = ""  # why a changed plan holds promotion

    @property
    def breach(self) -> list[TriggerView]:
        return [t for t in self.triggers if t.verdict == "breach"]

    @property
    def worst(self) -> TriggerView | None:
        """The most urgent breach; None at 0 %, where there is nothing to roll back."""
        return min(self.breach if self.state.percent_bp else (), key=_urgency, default=None)


Headline = tuple[Health, str]


def health(situation: Situation) -> Headline:
    """One word and one sentence: the first of `_HEADLINES` that applies.

    At 80 columns the sentence has about 45: what is wrong, by how much, and what the system will do when come first.
    """
    return next(answer for headline in _HEADLINES if (answer := headline(situation)) is not None)


def _nothing_in_effect(s: Situation) -> Headline | None:
    if not s.state.percent_bp or not s.why_effective or s.effective_bp:
        return None
    return "alert", f"0 % IN FORCE, {percent(s.state.percent_bp)} decided: {s.why_effective}"


def _severe_breach(s: Situation) -> Headline | None:
    if s.worst is None or s.worst.severity not in (Severity.critical, Severity.high):
        return None
    return "alert", f"ALERT: {running(s.worst)}"


def _locked(s: Situation) -> Headline | None:
    if not s.state.locked:
        return None
    left = (s.state.cooldown_until or 0.0) - s.now
    then = f"locked for {timer(left)} more" if left > 0 else "resume needs the cause"
    cause = f"{s.locked_by or 'a trigger'} fired; {then}"
    return ("locked", f"LOCKED: {cause}") if s.state.percent_bp else ("rolled_back", f"ROLLED BACK: {cause}")


def _other_breach(s: Situation) -> Headline | None:
    return None if s.worst is None else ("watch", f"WATCH: {running(s.worst)}")


def _blind(s: Situation) -> Headline | None:
    return ("blind", f"BLIND: {s.blind}") if s.blind else None


def _held(s: Situation) -> Headline | None:
    if s.misplaced:
        return "held", f"HELD, rollout.toml changed: {s.misplaced}"
    if not s.state.held:
        return None
    if _rolled_back_manually(s.state):
        return "rolled_back", f"ROLLED BACK to 0 %, held by {s.state.held}"
    return "held", f"HELD by {s.state.held}"


def _no_traffic(s: Situation) -> Headline | None:
    return ("no_traffic", f"NO TRAFFIC: {s.quiet}") if s.quiet else None


def _off_target(s: Situation) -> Headline | None:
    missed = next((g for g in s.gauges if g.ok is False), None)
    return None if missed is None or not s.state.percent_bp else ("watch", f"WATCH: {_beside_target(missed)}")


def _rolled_back_manually(state: State) -> bool:
    """Whether the percentage is 0 because the last change was a person's rollback."""
    # `undo` and `last_rev` are kept until the next change
    return not state.percent_bp and (state.undo is not None or (state.last_rev > 0 and state.last_rev == state.rev))


def _at_zero(s: Situation) -> Headline | None:
    if s.state.percent_bp:
        return None
    if _rolled_back_manually(s.state):
        return "rolled_back", "ROLLED BACK to 0 %: every document gets frequency keywords"
    missed = next((g for g in s.shadow if g.ok is False), None)
    if missed is not None:
        return "watch", f"WATCH: shadow {_beside_target(missed)}; none of it is served"
    if s.shadow and s.shadow[0].n:
        return "idle", f"SHADOW at 0 %: {counted(s.shadow[0].n, 'LLM answer')} in 5 minutes, none served"
    if s.breach:
        return "idle", f"IDLE at 0 %; {s.breach[0].headline or s.breach[0].id}"
    return "idle", "IDLE at 0 %: every document gets frequency keywords"


def _capped(s: Situation) -> Headline | None:
    if not s.why_effective:
        return None
    decided = percent(s.state.percent_bp)
    return "watch", f"WATCH: {percent(s.effective_bp)} in force, {decided} decided: {s.why_effective}"


def _healthy(s: Situation) -> Headline:
    if not s.documents:
        return "watch", f"WATCH: no LLM document {since_change(s.state, s.now) or 'in the last 5 minutes'}"
    if s.documents < FEWEST:
        return "ok", f"HEALTHY so far: {counted(s.documents, 'LLM document')} in 5 minutes"
    if any(g.ok is None for g in s.gauges if g.target is not None):
        return "ok", "HEALTHY: every metric with enough data is within its target"
    return "ok", "HEALTHY: every metric is within its target"


_HEADLINES: tuple[Callable[[Situation], Headline | None], ...] = (
    _nothing_in_effect,
    _severe_breach,
    _locked,
    _other_breach,
    _blind,
    _held,
    _no_traffic,
    _off_target,
    _at_zero,
    _capped,
    _healthy,
)


def _urgency(trigger: TriggerView) -> tuple[int, bool, float]:
    """Sort key: by severity, then triggers that lower the percentage before those that hold it."""
    rank = {"critical": 0, "high": 1, "medium": 2}[trigger.severity]
    only_holds = trigger.action not in LOWERING
    return rank, only_holds, trigger.fires_in_s if trigger.fires_in_s is not None else 1e9


def _beside_target(gauge: Gauge) -> str:
    """ "errors 2.0 %, target < 1 % (5 of 250)"."""
    assert gauge.value is not None
    match gauge.metric:
        case "error_rate":
            figures, of = f"errors {rate_beside(gauge.value, 1, gauge.target)}", f"{gauge.k} of {gauge.n}"
        case "latency_mean":
            figures, of = f"latency {measure('latency_mean', gauge.value)}", f"n {gauge.n}"
        case _:
            figures, of = f"cache hits {rate_beside(gauge.value, 0, gauge.target)}", f"{gauge.k} of {gauge.n}"
    unit = seconds_unit if gauge.metric == "latency_mean" else percent_unit
    return f"{figures}{_target(gauge.target, gauge.op, unit)} ({of})"


SOON = {
    "to_zero": "rolls back",
    "previous_stage": "stage back",
    "halve": "halves",
    "pause": "holds",
    "investigate": "needs a look",
}
FIRED = {
    "to_zero": "rolling back",
    "previous_stage": "one stage back",
    "halve": "halving",
    "pause": "promotion held",
    "investigate": "investigate",
}
DOES = {
    "to_zero": "to 0 %",
    "previous_stage": "one stage back",
    "halve": "half the percentage",
    "pause": "promotion held",
    "investigate": "needs a look",
}


def running(trigger: TriggerView) -> str:
    """A trigger in breach: "errors 12.2 % over 5 %, rolls back in 1:48 (17 of 139 in 5 min)"."""
    left = trigger.fires_in_s
    if left is None:
        when = "not confirmed yet"
    elif left > 0:
        by = f": {trigger.acts_by}" if trigger.acts_by else ""
        when = f"{SOON.get(trigger.action, trigger.action)} in {timer(left)}{by}"
    else:
        when = FIRED.get(trigger.action, trigger.action)
    return f"{trigger.headline or trigger.id}, {when}" + (f" ({trigger.evidence})" if trigger.evidence else "")


def what_next(
    state: State, triggers: Sequence[TriggerView], gate: GateView, blind: str, blind_step_in_s: float | None, now: float
) -> tuple[str, ...]:
    """What the system does if no one acts, soonest first. The screen's column is 36 wide."""
    out: list[str] = []
    breach = [t for t in triggers if t.verdict == "breach"] if state.percent_bp else []
    for t in sorted((t for t in breach if t.fires_in_s != 0), key=_soonest):
        left = f"in {timer(t.fires_in_s)}" if t.fires_in_s is not None else "if confirmed"
        by = f", {t.acts_by}" if t.acts_by else ""
        out.append(f"{DOES.get(t.action, t.action)} {left}: {t.id}{by}")
    if any(t.action in LOWERING for t in breach):
        out.append("then locked until resumed with cause")
    if blind and blind_step_in_s is not None:
        out.append(f"one stage back in {timer(blind_step_in_s)}: blind")
    if state.locked:
        cool = (state.cooldown_until or 0.0) - now
        out.append(f"locked {timer(cool)}, then e (resume)" if cool > 0 else "locked until e (resume) with the cause")
    elif gate.bake_s and gate.baked_s < gate.bake_s:
        out.append(f"bake {format_duration(gate.baked_s // 1)} of {format_duration(gate.bake_s)}")
    elif gate.open and not breach:
        out.append("gate open: a person decides (2, p)")
    elif gate.total and not breach and not gate.blocked and (waits := _open_in(gate)):
        out.append(f"gate waits for {waits} (2)")
    if not out:
        out.append("nothing until a person acts")
    elif not breach:
        out.append("only a person raises the percentage")
    return tuple(out)


def _open_in(gate: GateView) -> str:
    """ "2 conditions", "1 condition, 3 items"; "" if only other things are missing."""
    conditions = sum(condition.met is not True for condition in gate.conditions)
    items = sum(item.state != "done" and item.required for item in gate.items)
    parts = (counted(conditions, "condition") if conditions else "", counted(items, "item") if items else "")
    return ", ".join(part for part in parts if part)


def _soonest(trigger: TriggerView) -> float:
    """A trigger that may act at any moment, once it is confirmed, comes before one that acts in hours."""
    if trigger.fires_in_s is not None:
        return trigger.fires_in_s
    return 0.0 if trigger.action in LOWERING else 1e9


def open_gate(plan: Plan, gate: GateView) -> str:
    """What a person may do at an open gate."""
    if gate.next_stage >= plan.stable:
        return f"the gate is open: declare it stable at {percent(gate.next_percent_bp)}"
    verb = "return" if gate.returns else "promote"
    return f"the gate is open: {verb} to {gate.next_name}, {percent(gate.next_percent_bp)}"


def waiting_for(
    state: State, plan: Plan, gate: GateView, reminders: Sequence[ReminderView], misplaced: str = "", changed: str = ""
) -> tuple[str, ...]:
    """What a person has to do, most urgent first."""
    out: list[str] = []
    if misplaced:
        out.append(f"choose the stage (rollout plan adopt --stage N): {misplaced}")
    if state.locked:
        out.append("resume with the cause: " + state.locked)
    if state.held:
        out.append("release the hold, or keep it: " + state.held)
    out += [changed] if changed else []
    out += [f"due: {r.text}" for r in reminders if r.overdue]
    if gate.open:
        out.append(open_gate(plan, gate))
    elif state.stage <= plan.last_stage:
        out += gate.missing
    return tuple(out)


def matrix(plan: Plan, triggers: Sequence[TriggerView]) -> tuple[MatrixView, ...]:
    """The decision matrix with active rows highlighted; `left_s` is the trigger's one timer, shown everywhere."""
    by_id = {t.id: t for t in triggers}
    out = []
    for row in plan.matrix:
        live = by_id.get(row.trigger)
        lit = live is not None and live.verdict == "breach"
        left = live.fires_in_s if lit and live is not None else None
        out.append(MatrixView(row.condition, str(row.severity), row.action, row.timeline, row.trigger, lit, left))
    return tuple(out)


def server_name(api: str, number: int, url: str) -> str:
    """A server's name on every screen: its host, or for servers on this machine its kind and a number."""
    host = urlsplit(url).hostname or url
    return f"{api}-{number}" if host in ("127.0.0.1", "localhost", "::1") else host


def server_sentence(server: ServerView) -> str:
    """ "ollama-1 up, 38 ms, 3 of 8 calls in flight." With the reason if its calls fail."""
    parts = [f"{server.name} {server.state}"]
    if (server.failures or not server.up) and server.error:
        parts.append(server.error)
    if server.latency_ms is not None:
        parts.append(f"{server.latency_ms:.0f} ms")
    if server.learnt:
        parts.append(f"called {server.learnt}")
    if server.window:  # not recorded for the past
        parts.append(f"{server.in_flight} of {server.window:.0f} calls in flight")
    return f"{', '.join(parts)}."


def backlog_words(backlog: Backlog) -> str:
    """What is queued for the LLM, "" while nothing is: "queued for the LLM: 37 of 1,000 interactive"."""
    if not backlog.interactive and not backlog.bulk:
        return ""
    lanes = ((backlog.interactive, "interactive"), (backlog.bulk, "bulk"))
    return "queued for the LLM: " + ", ".join(f"{n:,} of {backlog.limit:,} {lane}" for n, lane in lanes if n)
