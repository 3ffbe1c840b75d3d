"""What the rules would have done: replays stored attempts through the same pure `evaluate`, every ten seconds, with
or without injected faults.

A replay takes attempts one by one, in time order: a week of a million documents needs no memory, and one pass over the
store can replay several plans.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Struct

from engine.plan.durations import parse_duration
from engine.plan.model import Metric, Trigger, TriggerSettings
from engine.triggers.evaluate import evaluate
from engine.triggers.evidence import Evidence, Moment, Timers
from engine.triggers.measurement import Ok, Sample
from engine.triggers.windows import RecentAttempts
from engine.triggers.wording import read

TICK_S = 10.0
QUIET_S = 1800.0  # a longer silence is skipped: there is nothing to judge
_INJECT = re.compile(r"(error|latency)=(\S+?)\s*(%?)@t\+(\S+?)(?:\.\.t\+(\S+))?")


class Attempt(Struct, frozen=True):
    """One stored document of the LLM arm. `t`: epoch seconds; `ms`: latency, None where it does not count."""

    t: float
    epoch: int
    attempted: bool
    ok: bool
    ms: float | None = None
    lookup: bool = False
    hit: bool = False


class Inject(Struct, frozen=True):
    """A fault between two times (seconds after the first attempt): `share` of the calls fails, or calls take `ms`."""

    after_s: float
    until_s: float
    share: float = 0.0
    ms: float | None = None


class Firing(Struct, frozen=True):
    """A rule that fired: when, why, and how long after the injected fault began (None before it, or without one)."""

    t: float
    trigger: str
    action: str
    rule: str
    sentence: str
    delay_s: float | None = None


class Complaints(Struct, frozen=True):
    """The stage's count of complaints from `t` on; 0 when a stage begins."""

    t: float
    count: int


def parse_inject(text: str) -> Inject:
    """ "error=10%@t+30m", "error=100%@t+30m..t+31m", "latency=4s@t+1h". ValueError is a sentence."""
    match = _INJECT.fullmatch(text.strip())
    try:
        if match is None:
            raise ValueError
        kind, amount, unit, after, until = match.groups()
        begins, ends = parse_duration(after), parse_duration(until) if until else float("inf")
        if ends <= begins or (kind == "error") != bool(unit):
            raise ValueError
        if kind == "latency":
            return Inject(begins, ends, ms=parse_duration(amount) * 1000)
        share = float(amount) / 100
        if not 0 < share <= 1:
            raise ValueError
        return Inject(begins, ends, share)
    except ValueError:
        raise ValueError(
            f'"{text}" is not a fault; write error=10%@t+30m (10 % of the calls fail from minute 30), '
            "error=100%@t+30m..t+31m (all of them, for one minute), or latency=4s@t+30m (calls take 4 s)"
        ) from None


def rules_digest(rules: Sequence[Trigger], settings: TriggerSettings) -> str:
    """Twelve characters that change when a trigger would act differently; its wording does not count."""
    plain = [msgspec.to_builtins(rule) | {"text": ""} for rule in rules]
    body = msgspec.json.encode([plain, msgspec.to_builtins(settings)], order="deterministic")
    return hashlib.sha256(body).hexdigest()[:12]


def backtest(
    rules: tuple[Trigger, ...],
    settings: TriggerSettings,
    attempts: Iterable[Attempt],
    injects: Sequence[Inject] = (),
    complaints: Sequence[Complaints] = (),
    seed: int = 7,
) -> list[Firing]:
    """Every rule that would have fired, in time order. The same seed injects the same failures."""
    replay = Replay(rules, settings, injects, complaints, seed)
    for attempt in attempts:
        replay.feed(attempt)
    return replay.end()


class Replay:
    """Runs one plan's rules over attempts, fed in time order."""

    def __init__(
        self,
        rules: tuple[Trigger, ...],
        settings: TriggerSettings,
        injects: Sequence[Inject],
        complaints: Sequence[Complaints],
        seed: int = 7,
    ) -> None:
        self._rules, self._settings, self._injects = rules, settings, injects
        self._complaints, self._heard, self._counted = complaints, 0, 0
        self._rng = random.Random(seed)
        self._recent: RecentAttempts | None = None
        self._start = self._due = 0.0
        self._epoch = -1
        self._timers = Timers()
        self.fired: list[Firing] = []

    def feed(self, attempt: Attempt) -> None:
        t = attempt.t
        recent = self._recent
        if recent is None:
            recent = self._recent = RecentAttempts(self._rules, self._settings, t)
            self._start, self._due, self._epoch = t, t + TICK_S, attempt.epoch
        if attempt.epoch != self._epoch:
            self._epoch = attempt.epoch
            recent.reset(t)
        if t - self._due > QUIET_S:
            self._due = t
        while self._due < t:
            self._tick(recent, self._due)
            self._due += TICK_S
        if attempt.lookup:
            recent.look_up(t, attempt.hit)
        if attempt.attempted:
            ok, ms = self._after_faults(attempt)
            recent.add(t, ok, ms, ms is not None)

    def end(self) -> list[Firing]:
        """Evaluate once more, then return what fired."""
        if self._recent is not None:
            self._tick(self._recent, self._due)
        return self.fired

    def _after_faults(self, attempt: Attempt) -> tuple[bool, float | None]:
        ok, ms = attempt.ok, attempt.ms
        since = attempt.t - self._start
        for fault in self._injects:
            if fault.after_s <= since < fault.until_s:
                if fault.ms is not None:
                    ms = fault.ms if ms is not None else None
                elif self._rng.random() < fault.share:
                    ok, ms = False, None
        return ok, ms

    def _tick(self, recent: RecentAttempts, t: float) -> None:
        while self._heard < len(self._complaints) and self._complaints[self._heard].t <= t:
            self._counted = self._complaints[self._heard].count
            self._heard += 1
        samples: dict[Metric, Sample] = {"complaints": Ok(float(self._counted), self._counted)}
        # at 100 %, one stage above zero, every action changes something, so every firing shows
        moment = Moment(t, self._epoch, 1, 10_000, (0, 10_000))
        decision = evaluate(self._rules, self._settings, self._timers, Evidence(recent.at(t), samples=samples), moment)
        self._timers = decision.timers
        for judged in decision.judged if decision.fired else ():
            if judged.rule.id in decision.fired:
                reading = read(judged)
                self.fired.append(
                    Firing(
                        t,
                        reading.id,
                        str(judged.rule.action),
                        reading.rule,
                        reading.sentence,
                        self._delay(t - self._start),
                    )
                )

    def _delay(self, since: float) -> float | None:
        """Seconds since the fault that began last."""
        return min((since - fault.after_s for fault in self._injects if fault.after_s <= since), default=None)
