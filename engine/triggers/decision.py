"""What one evaluation says. Deciding costs microseconds; wording costs more, and is done when somebody reads."""

from __future__ import annotations

from functools import cached_property
from typing import Literal

from msgspec import Struct

from engine.plan.model import Action, Trigger
from engine.triggers.evidence import Timer, Timers
from engine.triggers.judge import Finding

Verdict = Literal["ok", "breach", "insufficient", "blind", "muted", "locked", "disabled"]
BLIND = "blind"  # the id under which blindness itself steps down


class Reading(Struct, frozen=True):
    """One rule, ready to show. `fires_in_s` is 0 while it fires, None when nobody can say."""

    id: str
    verdict: Verdict
    value: float | None
    threshold: float | None
    n: int
    k: int | None
    held_s: float
    for_s: float
    rule: str
    sentence: str
    resets_when: str
    fires_in_s: float | None


class Judged(Struct, frozen=True):
    """One rule judged: what it saw, its timer after that, and which detector's time has run out ("" for none)."""

    rule: Trigger
    found: Finding
    timer: Timer
    acted: str
    blind: bool


class Proposal(Struct, frozen=True):
    """What is to be done: at most one a moment. It never raises the percentage."""

    id: str
    action: Action
    stage: int
    percent_bp: int
    held: bool
    rule: str
    sentence: str


class Decision(Struct, frozen=True, dict=True):
    """`firing`: every rule whose time has run out; `fired`: those of them that had not before (log, notify)."""

    judged: tuple[Judged, ...]
    timers: Timers
    firing: tuple[str, ...] = ()
    fired: tuple[str, ...] = ()
    winner: Proposal | None = None
    blind: str = ""  # the sentence; promotion is held while it is not empty
    locked: str = ""
    critical: bool = False  # a critical rule fires: the lower ones are muted

    @cached_property
    def readings(self) -> tuple[Reading, ...]:
        """Every rule in the plan's order, put into words."""
        from engine.triggers.reading import read

        return tuple(read(each, self.critical, self.locked) for each in self.judged)
