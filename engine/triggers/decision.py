"""What one evaluation says. Deciding costs microseconds; wording costs more, and is done when somebody reads."""

from __future__ import annotations

from functools import cached_property

from msgspec import Struct

from engine.plan.model import Action
from engine.triggers.evidence import Timers
from engine.triggers.wording import Judged, Reading, read

BLIND = "blind"  # the id under which blindness itself steps down


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
    idle: bool = False  # at 0 %: no LLM documents are expected
    quiet: str = ""  # the sentence while no document comes on either arm; promotion is held, nothing steps down

    @cached_property
    def readings(self) -> tuple[Reading, ...]:
        """Every rule in the plan's order, put into words."""
        return tuple(read(each, self.critical, self.locked, self.idle) for each in self.judged)
