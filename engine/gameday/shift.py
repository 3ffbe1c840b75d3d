"""A shift of a game day, and what the player did in it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from msgspec import Struct

from engine.gameday.scenario import Scenario

EARLY_S = 30.0  # calendar seconds: leaving this long before the end counts as leaving early
SOON = 1.25  # times par: whoever acts within it has acted, even if a trigger was faster
STOPS = frozenset({"rollback", "hold"})  # after a trigger has lowered the percentage, these add nothing
HASTY = frozenset({"rollback", "promote"})  # wrong before anything is

By = Literal["player", "trigger", "colleague"]


class Act(Struct, frozen=True):
    """A decision of the log, or another act: `start` of an engine, `room` on the disk, `rearm` (a resume that lifts
    no hold and no lock). `lowers`: the percentage fell. `took_s`: calendar seconds until an engine that was started
    ran, which no player can shorten."""

    at: float
    kind: str
    by: By
    lowers: bool = False
    took_s: float = 0.0


class ScreenLook(Struct, frozen=True):
    at: float
    screen: str


class Slice(Struct, frozen=True):
    """Documents that arrived from `at` on, and how many of them were harmed by the scenario's definition."""

    at: float
    seconds: float
    documents: int
    harmed: int


class Shift(Struct, frozen=True):
    """The input of the score. Moments are calendar time; `speed` calendar seconds pass per player second. `late_s`: how
    much later than planned the scenario's first step came: every shift draws a delay, and a busy machine adds to it.
    `breaches`: when triggers that lower the percentage were in breach."""

    began: float
    ended: float
    speed: float
    acts: tuple[Act, ...] = ()
    looks: tuple[ScreenLook, ...] = ()
    slices: tuple[Slice, ...] = ()
    late_s: float = 0.0
    breaches: tuple[float, ...] = ()


class Play(NamedTuple):
    """What the player did in a shift, and what triggers did. Moments are calendar time."""

    scenario: Scenario
    shift: Shift
    fault_at: float
    visible: float  # from when the screens could show the fault
    before: tuple[Act, ...]  # the player's acts before the fault,
    during: tuple[Act, ...]  # and since
    machine: Act | None  # the first trigger that lowered the percentage
    chosen: Act | None  # the act that counts
    needless: bool  # a trigger had done the same before
    hasty: tuple[str, ...]  # wrong moves before the fault,
    wrong_during: tuple[str, ...]  # and since
    heeded: bool  # nothing was broken, and the player rolled back for a trigger in breach

    @property
    def wrong(self) -> tuple[str, ...]:
        return (*self.hasty, *self.wrong_during)

    @property
    def useful(self) -> Act | None:
        return None if self.needless else self.chosen

    @property
    def early(self) -> bool:
        """The player left before the end."""
        return self.shift.ended < self.shift.began + self.scenario.lasts_s - EARLY_S

    @property
    def watched(self) -> bool:
        """Whether the fault appeared on the screen that was open, with the player in front of it: they acted on it, or
        to watch was all there was to do."""
        before = [look for look in self.shift.looks if look.at < self.visible]
        shown = bool(before) and before[-1].screen in self.scenario.screens
        return shown and (self.useful is not None or not self.scenario.right)

    @property
    def noticed(self) -> float | None:
        """When the player first noticed it: a look at a screen that shows it, an acknowledgement, or the act."""
        if self.watched:
            return self.visible
        screens = self.scenario.screens
        looks = [look.at for look in self.shift.looks if look.at >= self.visible and look.screen in screens]
        acks = [act.at for act in self.during if act.kind == "ack"]
        return min([*looks, *acks, *([self.chosen.at] if self.chosen is not None else [])], default=None)

    @property
    def noticed_s(self) -> float | None:
        return self.seconds(self.noticed)

    @property
    def acted_s(self) -> float | None:
        return self.seconds(None if self.chosen is None else self.chosen.at)

    def seconds(self, at: float | None) -> float | None:
        """The player's seconds since the fault could be seen."""
        return None if at is None else max(0.0, at - self.visible) / self.shift.speed


def play(scenario: Scenario, shift: Shift) -> Play:
    """What was done in a shift of this scenario."""
    fault_at = shift.began + scenario.fault_after_s + shift.late_s
    mine = [act for act in shift.acts if act.by == "player"]
    before = tuple(act for act in mine if act.at < fault_at)
    during = tuple(act for act in mine if act.at >= fault_at)
    lowered = (act for act in shift.acts if act.at >= fault_at and act.by == "trigger" and act.lowers)
    machine = next(lowered, None)
    soon = fault_at + scenario.visible_s + SOON * scenario.par.act_s * shift.speed
    needless = [act for act in during if machine is not None and _needless(act, machine, soon)]
    chosen = _chosen(scenario, during, needless)
    heeded = [act for act in during if not scenario.right and _called_for(act, shift)]
    return Play(
        scenario=scenario,
        shift=shift,
        fault_at=fault_at,
        visible=_visible(scenario, shift, fault_at, chosen),
        before=before,
        during=during,
        machine=machine,
        chosen=chosen,
        needless=chosen in needless,
        hasty=tuple(act.kind for act in before if act.kind in HASTY and not _called_for(act, shift)),
        wrong_during=tuple(act.kind for act in during if act.kind in scenario.wrong and act not in heeded),
        heeded=bool(heeded),
    )


def _chosen(scenario: Scenario, mine: Sequence[Act], needless: Sequence[Act]) -> Act | None:
    """The act that counts: a right one that a trigger had not made needless, then any right one, then a safe one."""
    right = [act for act in mine if act.kind in scenario.right]
    needed = [act for act in right if act not in needless]
    safe = [act for act in mine if act.kind in scenario.fine]
    return next(iter([*needed, *right, *safe]), None)


def _needless(act: Act, machine: Act, soon: float) -> bool:
    """Whether a trigger had done the same before. Up to `soon` the player acts on what both saw."""
    return machine.at <= act.at and act.at > soon and act.kind in STOPS


def _called_for(act: Act, shift: Shift) -> bool:
    """Whether a trigger was in breach when the player rolled back: a machine that is too busy makes faults of its
    own."""
    return act.kind == "rollback" and any(at <= act.at for at in shift.breaches)


def _visible(scenario: Scenario, shift: Shift, fault_at: float, chosen: Act | None) -> float:
    """When the screens can show the fault: as planned, or once something is harmed if that takes longer. An act
    between the two is correct already."""
    planned = fault_at + scenario.visible_s
    harmed = (part.at + part.seconds for part in shift.slices if part.harmed and part.at + part.seconds > fault_at)
    shown = max(planned, next(harmed, planned))
    return planned if chosen is not None and chosen.at < shown else shown
