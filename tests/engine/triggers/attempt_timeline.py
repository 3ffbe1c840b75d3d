"""Attempts in time and an evaluation every ten seconds, for tests of the triggers."""

from __future__ import annotations

import math
from typing import Any

from msgspec.structs import replace

from engine.plan.load import default_plan_text, parse_plan
from engine.plan.model import Metric, Mode
from engine.triggers.decision import Evaluation
from engine.triggers.evaluate import evaluate
from engine.triggers.evidence import Evidence, Moment, Probes, Timers
from engine.triggers.measurement import Sample
from engine.triggers.windows import Attempts, RecentAttempts, WindowTotals
from engine.triggers.wording import Reading

PLAN = parse_plan(default_plan_text())
PERCENTS = tuple(stage.percent_bp for stage in PLAN.stages)
TICK = 10.0


class Scene:
    """Attempts in time, an evaluation every ten seconds."""

    def __init__(self, stage: int = 4, mode: Mode = "guarded") -> None:
        self.settings = replace(PLAN.trigger_settings, mode=mode)
        self.recent = RecentAttempts(PLAN.triggers, self.settings, 0.0)
        self.percent_bp = PERCENTS[stage]
        self.epoch, self.held_back, self.locked, self.unseen, self.unseen_s = 1, False, "", "", 0.0
        self.timers = Timers()
        self.t = 0.0
        self.stage = stage
        self.samples: dict[Metric, Sample] = {}
        self.failed_probes = 0
        self.last: Evaluation | None = None
        self.winners: list[tuple[float, str]] = []

    def run(
        self,
        seconds: float,
        per_min: float = 60.0,
        failing: float = 0.0,
        ms: float = 1000.0,
        hits: float = 0.3,
        late: bool = False,
    ) -> Scene:
        """Evenly spread attempts, of which every so many fails; a winner is recorded and the scene continues. `late`:
        the engine is, so a failure is not judged and an answer has no time."""
        end, due, failed = self.t + seconds, self.t, 0.0
        while self.t < end:
            self.t += TICK
            while per_min and due < self.t:
                due += 60.0 / per_min
                failed += failing
                bad = failed >= 1 - 1e-9
                failed -= bad
                if late:
                    self.recent.discard(due, not bad)
                if not (late and bad):
                    self.recent.add(due, not bad, None if bad or late else ms, not bad)
                self.recent.look_up(due, hits > 0.2)
            self.evaluate()
        return self

    def evaluate(self) -> Evaluation:
        probes = Probes(self.failed_probes, 2)
        evidence = Evidence(self.recent.at(self.t), probes, self.samples, self.unseen, self.unseen_s)
        moment = Moment(self.t, self.epoch, self.stage, self.percent_bp, PERCENTS, self.held_back, self.locked)
        self.last = evaluate(PLAN.triggers, self.settings, self.timers, evidence, moment)
        self.timers = self.last.timers
        if self.last.winner is not None:
            self.winners.append((self.t, self.last.winner.id))
        return self.last

    def reading(self, rule: str) -> Reading:
        assert self.last is not None
        return next(r for r in self.last.readings if r.id == rule)

    def verdict(self, rule: str) -> str:
        return self.reading(rule).verdict

    def first(self, rule: str) -> float:
        """When a rule was the winner for the first time; infinite when never."""
        return next((t for t, winner in self.winners if winner == rule), math.inf)

    def held(self, rule: str) -> float:
        """Seconds that the window's own timer has counted; the early detector has another."""
        return self.timers.rules[rule].held_s


def seen(**changes: Any) -> Attempts:
    """Attempts at one moment: 20 of the last 100 failed, just now."""
    nothing = WindowTotals(300.0, 0, 0)
    last = WindowTotals(300.0, 100, 20)
    given: dict[str, Any] = {
        "t": 0.0, "n": 100, "k": 20, "windows": {}, "last": last, "slow": nothing, "latest": nothing,
        "failures_in_row": 0, "failures_span_s": 0.0, "burst": 0, "burst_ago_s": 0.0, "clean_in_row": 0, "clean_s": 0.0, "unjudged_s": math.inf, "levels": {},
        "per_min": 60.0, "seen_per_min": 60.0,
    }  # fmt: skip
    return Attempts(**(given | changes))
