"""What rules would have done: stored attempts through the same pure `evaluate`, every ten seconds, with or without an injected fault."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence

from msgspec import Struct

from engine.plan.durations import parse_duration
from engine.plan.model import Trigger, TriggerSettings
from engine.triggers.evaluate import evaluate
from engine.triggers.evidence import Evidence, Moment, Timers
from engine.triggers.recent import RecentAttempts

TICK_S = 10.0
QUIET_S = 1800.0  # of silence after which time is skipped to the next attempt: nothing is judged in it
_INJECT = re.compile(r"error=(\d{1,3}(?:\.\d+)?)\s*%@t\+(\S+)")


class Attempt(Struct, frozen=True):
    """One stored document of the LLM arm. `t`: epoch seconds; `ms` is None where it says nothing about speed."""

    t: float
    epoch: int
    attempted: bool
    ok: bool
    ms: float | None = None
    lookup: bool = False
    hit: bool = False


class Inject(Struct, frozen=True):
    """A fault: from `after_s` after the first attempt on, this share of the calls fails."""

    share: float
    after_s: float


class Firing(Struct, frozen=True):
    """A rule that fired: when, on what, and how long after the injected fault (None without one, or before it)."""

    t: float
    trigger: str
    action: str
    rule: str
    sentence: str
    delay_s: float | None = None


def parse_inject(text: str) -> Inject:
    """ "error=10%@t+30m". ValueError is a sentence."""
    found = _INJECT.fullmatch(text.strip())
    if found is None or float(found[1]) > 100:
        raise ValueError(
            f'"{text}" is not a fault; write error=10%@t+30m: this share of the calls fails, from 30 minutes on'
        )
    return Inject(float(found[1]) / 100, parse_duration(found[2]))


def backtest(
    rules: tuple[Trigger, ...],
    settings: TriggerSettings,
    attempts: Sequence[Attempt],
    inject: Inject | None = None,
    seed: int = 7,
) -> list[Firing]:
    """Every rule that would have fired, in time's order. Attempts are in order of `t`; the same seed injects the same failures."""
    if not attempts:
        return []
    rng = random.Random(seed)
    begins = attempts[0].t + inject.after_s if inject else None
    recent = RecentAttempts(rules, settings, attempts[0].t)
    by_id = {rule.id: rule for rule in rules}
    timers, fired = Timers(), list[Firing]()
    due, epoch = attempts[0].t + TICK_S, attempts[0].epoch

    def tick(t: float) -> None:
        nonlocal timers
        # at 100 % of one stage above zero every action changes something, so every firing shows
        decision = evaluate(rules, settings, timers, Evidence(recent.at(t)), Moment(t, epoch, 1, 10_000, (0, 10_000)))
        timers = decision.timers
        readings = {reading.id: reading for reading in decision.readings}
        for name in decision.fired:
            if name in by_id:
                delay = t - begins if begins is not None and t >= begins else None
                fired.append(
                    Firing(t, name, str(by_id[name].action), readings[name].rule, readings[name].sentence, delay)
                )

    for each in _injected(attempts, inject, begins, rng):
        if each.epoch != epoch:
            epoch = each.epoch
            recent.reset(each.t)
        if each.t - due > QUIET_S:
            due = each.t
        while due < each.t:
            tick(due)
            due += TICK_S
        if each.lookup:
            recent.look_up(each.t, each.hit)
        if each.attempted:
            recent.add(each.t, each.ok, each.ms, each.ms is not None)
    tick(due)
    return fired


def _injected(
    attempts: Iterable[Attempt], inject: Inject | None, begins: float | None, rng: random.Random
) -> Iterable[Attempt]:
    for each in attempts:
        if (
            inject is not None
            and begins is not None
            and each.t >= begins
            and each.attempted
            and rng.random() < inject.share
        ):
            yield Attempt(each.t, each.epoch, True, False, None, each.lookup, each.hit)
        else:
            yield each
