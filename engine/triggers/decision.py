"""The result of one evaluation. Judging costs microseconds; wording costs more, so it is done on first read."""

from __future__ import annotations

from functools import cached_property

from msgspec import Struct

from engine.plan.durations import clock
from engine.plan.model import Action
from engine.triggers.evidence import Timers
from engine.triggers.wording import JudgedRule, Reading, read

BLIND = "blind"  # the id used when blindness lowers the percentage


class ProposedAction(Struct, frozen=True):
    """What to do now: at most one per evaluation. It never raises the percentage."""

    id: str
    action: Action
    stage: int
    percent_bp: int
    held: bool
    rule: str
    sentence: str


class Evaluation(Struct, frozen=True, dict=True):
    """`firing`: every rule past its duration; `fired`: those that were not before (log, notify)."""

    judged: tuple[JudgedRule, ...]
    timers: Timers
    firing: tuple[str, ...] = ()
    fired: tuple[str, ...] = ()
    winner: ProposedAction | None = None
    blind_why: str = ""  # why there are no figures; promotion is held while it is not empty
    blind_step_in_s: float = 0.0  # until it steps one stage back
    locked: str = ""
    critical: bool = False  # a critical rule fires: the others are muted
    idle: bool = False  # at 0 %: no LLM documents are expected
    unjudged: str = ""  # why a rule cannot be judged though calls end: the engine is late
    quiet_detail: str = ""  # why neither arm gets documents; promotion is held, nothing steps down

    @property
    def blind(self) -> str:
        """The sentence while the engine is blind; otherwise "" """
        if not self.blind_why:
            return ""
        return f"blind {clock(self.timers.blind_s)}: {self.blind_why}; promotion is held, timers are paused"

    @property
    def blind_detail(self) -> str:
        """Why, and what follows, for the headline of a narrow screen: what else stops is under what happens next."""
        left = self.blind_step_in_s
        then = f"one stage back in {clock(left)}" if left > 0 else "one stage back"
        return f"{self.blind_why}; {then}" if self.blind_why else ""

    @property
    def quiet(self) -> str:
        """The sentence while neither arm gets documents; otherwise "" """
        return f"no traffic: {self.quiet_detail}" if self.quiet_detail else ""

    @cached_property
    def readings(self) -> tuple[Reading, ...]:
        """Every rule in words, in the plan's order."""
        return tuple(read(judged, self.critical, self.locked, self.idle) for judged in self.judged)
