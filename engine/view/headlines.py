"""The headline of the view: is it healthy? One word and one sentence, which a tired person reads first. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from engine.bounds import FEWEST
from engine.plan.durations import clock as timer
from engine.plan.model import Severity
from engine.rollout.actions import LOWERING
from engine.rollout.state import State
from engine.text import counted, percent
from engine.view.gauge import beside_target, since_change
from engine.view.model import Gauge, Health, TriggerView

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
    unjudged: str = ""  # why a trigger cannot be judged: the engine is late
    misplaced: str = ""  # why a changed plan holds promotion
    refusing: str = ""  # why no document can be stored

    @property
    def breach(self) -> list[TriggerView]:
        return [t for t in self.triggers if t.verdict == "breach"]

    @property
    def worst(self) -> TriggerView | None:
        """The most urgent breach; None at 0 %, where there is nothing to roll back."""
        urgent = [t for t in self.triggers if t.is_urgent] if self.state.percent_bp else []
        return min(urgent, key=urgency, default=None)


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
    return "alert", f"ALERT: {_running(s.worst, s.state)}"


def _locked(s: Situation) -> Headline | None:
    if not s.state.locked:
        return None
    left = (s.state.cooldown_until or 0.0) - s.now
    then = f"locked for {timer(left)} more" if left > 0 else "resume needs the cause"
    cause = f"{s.locked_by or 'a trigger'} fired; {then}"
    return ("locked", f"LOCKED: {cause}") if s.state.percent_bp else ("rolled_back", f"ROLLED BACK: {cause}")


def _refusing(s: Situation) -> Headline | None:
    return ("alert", f"ALERT: documents get 503: {s.refusing}") if s.refusing else None


def _other_breach(s: Situation) -> Headline | None:
    return None if s.worst is None else ("watch", f"WATCH: {_running(s.worst, s.state)}")


def _blind(s: Situation) -> Headline | None:
    return ("blind", f"BLIND: {s.blind}") if s.blind else None


def _held(s: Situation) -> Headline | None:
    if s.misplaced:
        return "held", f"HELD, rollout.toml changed: {s.misplaced}"
    if not s.state.held:
        return None
    if s.state.rolled_back:
        return "rolled_back", f"ROLLED BACK to 0 %, held by {s.state.held}"
    return "held", f"HELD by {s.state.held}"


def _no_traffic(s: Situation) -> Headline | None:
    return ("no_traffic", f"NO TRAFFIC: {s.quiet}") if s.quiet else None


def _unjudged(s: Situation) -> Headline | None:
    return ("watch", f"WATCH: {s.unjudged}") if s.unjudged else None


def _off_target(s: Situation) -> Headline | None:
    missed = next((g for g in s.gauges if g.ok is False), None)
    return None if missed is None or not s.state.percent_bp else ("watch", f"WATCH: {beside_target(missed)}")


def _at_zero(s: Situation) -> Headline | None:
    if s.state.percent_bp:
        return None
    served = "every document gets frequency keywords"
    if s.documents:  # those that a person sends with `--method llm`
        served = f"{counted(s.documents, 'document')} by LLM on request"
    if s.state.rolled_back:
        return "rolled_back", f"ROLLED BACK to 0 %: {served}"
    missed = next((g for g in s.shadow if g.ok is False), None)
    if missed is not None:
        return "watch", f"WATCH: shadow {beside_target(missed)}; none of it is served"
    if s.shadow and s.shadow[0].n:
        return "idle", f"SHADOW at 0 %: {counted(s.shadow[0].n, 'LLM answer')} in 5 minutes, none served"
    if s.breach:
        return "idle", f"IDLE at 0 %; {s.breach[0].headline or s.breach[0].id}"
    return "idle", f"IDLE at 0 %: {served}"


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
    _refusing,
    _other_breach,
    _blind,
    _held,
    _no_traffic,
    _unjudged,
    _off_target,
    _at_zero,
    _capped,
    _healthy,
)


def urgency(trigger: TriggerView) -> tuple[int, bool, float]:
    """Sort key: by severity, then triggers that lower the percentage before those that hold it."""
    rank = {"critical": 0, "high": 1, "medium": 2}[trigger.severity]
    only_holds = trigger.action not in LOWERING
    return rank, only_holds, trigger.fires_in_s if trigger.fires_in_s is not None else 1e9


def _running(trigger: TriggerView, state: State) -> str:
    """A trigger in breach: "errors 12.2 % over 5 %, rolls back in 1:48 (17 of 139 in 5 min)"."""
    left = trigger.fires_in_s
    if left is None:
        when = "not confirmed yet"
    elif left > 0:
        by = f": {trigger.acts_by}" if trigger.acts_by else ""
        when = f"{SOON.get(trigger.action, trigger.action)} in {timer(left)}{by}"
    elif trigger.action == "pause" and not state.held:
        when = ""  # a person has released the hold; the figure stays
    else:
        when = FIRED.get(trigger.action, trigger.action)
    what = f"{trigger.headline or trigger.id}, {when}".removesuffix(", ")
    return what + (f" ({trigger.evidence})" if trigger.evidence else "")
