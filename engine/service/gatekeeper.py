"""Whether the gate is open: what was measured since the last change of percentage, against the plan."""

from __future__ import annotations

import math
import sqlite3
from typing import Protocol

from msgspec.structs import replace

from engine import bounds
from engine.clock import Clock
from engine.gate import checklist, conditions
from engine.gate import facts as gate_facts
from engine.gate.checklist import CheckResult
from engine.gate.stability import Stability, stability
from engine.measures.bucket import Bucket
from engine.plan.durations import iso
from engine.plan.environment import Ceiling
from engine.plan.model import Plan
from engine.quality import review
from engine.rollout import control
from engine.rollout.calendar import blocked_until
from engine.rollout.state import State
from engine.service.observations import Observations
from engine.service.probes import Probing
from engine.service.watch import Watch
from engine.store import series
from engine.triggers import attempts
from engine.triggers.backtest import rules_digest
from engine.triggers.decision import Evaluation
from engine.triggers.measurement import Error, NoData, Ok, Sample, rate
from engine.view.model import ItemView

MISPLACED = "held since rollout.toml changed: {}; confirm the current stage: rollout plan adopt --stage N"
STABLE_EVERY_S = 30.0
PROVEN_FROM_BP = 1000  # from this percentage on, changed triggers need a backtest
FACTS_EVERY_S = 1.0  # real seconds between two reads of the gate's facts


class Evaluated(Protocol):
    """The last evaluation of the triggers."""

    @property
    def watch(self) -> Watch: ...
    @property
    def verdict(self) -> Evaluation: ...


class GateKeeper:
    def __init__(
        self,
        plan: Plan,
        clock: Clock,
        conn: sqlite3.Connection,
        limits: Ceiling,
        observations: Observations,
        probing: Probing,
        evaluated: Evaluated,
    ) -> None:
        self._plan = plan
        self._clock = clock
        self._conn = conn
        self._limits = limits
        self._observations = observations
        self._probing = probing
        self.rules = rules_digest(plan.triggers, plan.trigger_settings)
        self._evaluated = evaluated
        self.misplaced = ""  # why a person has to confirm the stage
        self._rated: tuple[object, Sample] | None = None  # what it was counted from, and the count
        self._facts: conditions.GateFacts | None = None
        self._facts_at = -math.inf
        self._stable: tuple[int, float, Stability | None] | None = None

    def use(self, plan: Plan) -> None:
        """Other stages are in force."""
        self._plan, self.misplaced = plan, ""
        self.forget()

    def forget(self) -> None:
        """Measure again at the next read."""
        self._facts = self._stable = None

    def facts(self, state: State) -> conditions.GateFacts:
        """Measurements since the last change of percentage, and people's judgements in this stage."""
        if self._facts is not None and self._clock.real() - self._facts_at < FACTS_EVERY_S:
            return self._facts
        bucket = self._evidence(state)
        per_min = self._observations.live.at(self._clock.monotonic()).seen_per_min
        samples = self._samples(state, bucket)
        samples["negative_impacts"], impacts = gate_facts.negative(self._conn, state)
        words = {"negative_impacts": impacts}
        if verdict := gate_facts.tested(self._conn, state):
            words["ab_verdict"] = verdict
        self._facts = conditions.GateFacts(samples, per_min, self._stability(state), sentences=words)
        self._facts_at = self._clock.real()
        return self._facts

    def _evidence(self, state: State) -> Bucket:
        """What a gate judges: everything since the last change of percentage; on the way back only what is recent."""
        back = control.returns(self._plan, state)
        if back is None:
            return series.since_change(self._conn, state.epoch)
        return gate_facts.on_the_way_back(self._conn, self._plan, back, state, self._clock.now() + 10)

    def _stability(self, state: State) -> Stability | None:
        """Reads hours of buckets, so it is read only every half a minute and extended in between."""
        now, real = self._clock.now(), self._clock.real()
        kept = self._stable
        if kept is None or kept[0] != state.rev or real - kept[1] > STABLE_EVERY_S:
            kept = self._stable = (state.rev, real, stability(self._conn, self._plan, state, now))
        measured = kept[2]
        return measured and replace(measured, clean_s=max(0.0, now - measured.since))

    def _satisfaction(self, since: tuple[int, float]) -> Sample:
        """Ratings of a stage since it was entered. Counted again only when new ones exist: there may be many, and a
        tick is a second."""
        newest = self._conn.execute(
            "SELECT (SELECT max(rowid) FROM feedback), (SELECT max(at) FROM feedback WHERE kind = 'rating')"
        ).fetchone()
        if self._rated is None or self._rated[0] != (since, newest):
            self._rated = ((since, newest), gate_facts.rated(self._conn, *since))
        return self._rated[1]

    def _samples(self, state: State, b: Bucket) -> dict[str, Sample]:
        since = (state.stage, state.entered_at)
        reviewed = review.verdict(self._conn, *since)
        samples: dict[str, Sample] = {
            **gate_facts.measured(state, b),
            "complaints": Ok(float(self._observations.complaints), self._observations.complaints),
            "llm_available": NoData() if self._probing.answers is None else Ok(float(self._probing.answers)),
            "critical_incidents": gate_facts.incidents(self._conn, state),
            "quality_score": rate(reviewed.good, reviewed.documents),
            "satisfaction": self._satisfaction(since),
            **{metric: gate_facts.stored(self._conn, metric, state.entered_at) for metric in gate_facts.STORED},
        }
        unread = [metric for metric in gate_facts.OF_THE_TEST if not isinstance(samples[metric], Ok)]
        if unread and not self._limits.may_test:
            samples.update(dict.fromkeys(unread, Error(self._limits.no_test)))
        elif unread:
            waits = self._conn.execute(
                "SELECT json_extract(report, '$.lock.sentence') FROM trial WHERE ended IS NULL"
            ).fetchone()
            if waits is not None and waits[0]:
                samples.update(dict.fromkeys(unread, Error(f"the test has not been read yet, {waits[0]}")))
        return samples

    def report(
        self,
        state: State,
        facts: conditions.GateFacts,
        conn: sqlite3.Connection,
        short: bool = True,
        items: tuple[ItemView, ...] | None = None,
    ) -> conditions.GateReport:
        """`items`: the checklist, if it was just read."""
        items = checklist.read(conn, self._plan, state) if items is None else items
        unproven = self._unproven_rules(state, conn)
        baked = self._evaluated.watch.baked(state)
        if short and control.returns(self._plan, state) is not None:
            baked, facts = self._evaluated.watch.rebaked(state), replace(facts, stability=None)
        stage = control.gate_stage(self._plan, state, short)
        return conditions.assess(stage, facts, items, baked, control.people(state), self.blocked(state), unproven)

    def _unproven_rules(self, state: State, conn: sqlite3.Connection) -> tuple[str, ...]:
        """Triggers that differ from those the rollout began with need a backtest before many documents depend on
        them."""
        if not self.rules_unproven(state, conn):
            return ()
        return (f"the triggers were changed (rules {self.rules}): run `rollout triggers backtest --days 7`",)

    def rules_unproven(self, state: State, conn: sqlite3.Connection) -> bool:
        many = control.next_step(self._plan, state)[1] >= PROVEN_FROM_BP
        return many and attempts.changed_and_not_replayed(conn, self.rules)

    def blocked(self, state: State) -> tuple[str, ...]:
        """Blocks that no override lifts, each with its end."""
        now, verdict = self._clock.now(), self._evaluated.verdict
        out = []
        if self.misplaced:
            out.append(MISPLACED.format(self.misplaced))
        if state.held:
            out.append(f"held by {state.held}; resume first")
        if state.locked:
            cooled_at = state.cooldown_until or 0.0
            until = f", not before {iso(cooled_at)}" if cooled_at > now else ""
            out.append(f"locked; resume with the cause{until}. {state.locked}")
        out += [why for why in (verdict.blind, verdict.quiet) if why]
        if (stop := blocked_until(self._plan.calendar, now)) is not None:
            out.append(f"{stop[1]}, until {iso(stop[0])}")
        return tuple(out)

    def judge(self, metric: str, op: str, value: float) -> CheckResult:
        """A checklist item that requires a metric."""
        sample = self._facts.samples.get(metric, NoData()) if self._facts else NoData()
        if not isinstance(sample, Ok):
            return CheckResult(False, f"{metric}: nothing measured yet")
        met = bounds.compare(sample.value, op, value)
        return CheckResult(met, f"{metric} is {sample.value:g} (n {sample.n}), target {op} {value:g}")

    def baked(self, state: State) -> tuple[float, float]:
        """(seconds of the bake that are done, seconds required)."""
        stage = control.gate_stage(self._plan, state)
        if stage is None:
            return 0.0, 0.0
        if control.returns(self._plan, state) is not None:
            return self._evaluated.watch.rebaked(state), stage.bake_s
        watched = self._evaluated.watch.baked(state)
        return conditions.bake_done(stage, self.facts(state), watched), stage.bake_s
