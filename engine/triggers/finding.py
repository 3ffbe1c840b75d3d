"""What a rule sees on the evidence of one moment, and what all rules share."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from engine.plan.durations import format_duration
from engine.plan.model import Trigger
from engine.triggers.measurement import Error, NoData, Stale
from engine.triggers.windows import FRESH_S, Attempts, WindowTotals

EARLY_S = 120.0  # an early detector must be in breach this long

Text = str | Callable[[], str]  # composed on demand: most findings are never read


def composed(text: Text) -> str:
    return text if isinstance(text, str) else text()


class Finding(NamedTuple):
    """What one rule sees. `breach` None: insufficient. `text`: the figures; `why`: why it is not judged."""

    breach: bool | None
    rule: str = ""
    value: float | None = None
    threshold: float | None = None
    n: int = 0
    k: int | None = None
    text: Text = ""
    why: Text = ""
    resets: Text = ""
    wait_s: float = 0.0  # added to the rule's duration while the fault may be over
    convinced: bool = True  # False: the rule does not act, however long it is in breach
    early: bool | None = None  # breach of the early detector
    early_rule: str = ""
    early_for_s: float = EARLY_S
    early_text: Text = ""
    early_fresh: bool = True
    unjudged: str = ""  # why it cannot be judged though calls end: the engine is late


def beyond(rule: Trigger, value: float) -> bool:
    """`above` and `below` are strict; the exact value counts only if `inclusive`."""
    if rule.above is not None:
        return value > rule.above or (rule.inclusive and value == rule.above)
    if rule.below is not None:
        return value < rule.below or (rule.inclusive and value == rule.below)
    return False


def limit(rule: Trigger) -> float | None:
    return rule.above if rule.above is not None else rule.below


def nothing(rule: Trigger, sample: NoData | Stale | Error) -> Finding:
    match sample:
        case Stale():
            why = f"the latest figure is {format_duration(sample.age_s)} old"
        case Error():
            why = sample.sentence or "it cannot be measured"
        case _:
            why = "no data"
    return Finding(None, threshold=limit(rule), why=why)


def too_few(rule: Trigger, n: int, need: int, per_min: float, what: str = "LLM documents") -> Finding:
    left = need - n
    if per_min > 0:
        why = f"n = {n} of {need}, about {format_duration(left / per_min * 60)} to go at {per_min:.1f} {what}/min"
    else:
        why = f"n = {n} of {need}"
    return Finding(None, threshold=limit(rule), n=n, why=why)


def unjudged(rule: Trigger, n: int, why: str, attempts: Attempts) -> Finding:
    lasts = attempts.unjudged_s <= FRESH_S
    return Finding(None, threshold=limit(rule), n=n, why=why, unjudged=why if lasts else "")


def span(window: WindowTotals) -> str:
    return format_duration(window.span_s)
