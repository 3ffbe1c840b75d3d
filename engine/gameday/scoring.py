"""The score of a game day: a pure function over its events, its decisions, and documents in slices of
time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from msgspec import Struct

from engine.gameday.scenario import Scenario, Share
from engine.text import counted

ACT, NOTICE, TIME, HARM = 40, 15, 15, 30  # points
FINE = 25  # of ACT, for a safe act that is not the best
AFTER_THE_MACHINE = 10  # of ACT, for a player who was watching when a trigger did it
WRONG_MOVE = 15  # points lost for each
PASS = 60
EARLY_S = 30.0  # calendar seconds: leaving this long before the end counts as leaving early
LATE = 4.0  # times par: a slower time earns nothing
SOON = 1.25  # times par: whoever acts within it has acted, even if a trigger was faster

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


class ScorePart(Struct, frozen=True):
    """Points for one thing, with the reason."""

    name: str
    points: int
    most: int
    sentence: str


class Score(Struct, frozen=True):
    """Times are the player's seconds since the fault could be seen; None: never. Documents are whole ones."""

    total: int
    par: int
    passed: bool
    parts: tuple[ScorePart, ...]
    right: bool
    noticed_s: float | None
    acted_s: float | None
    acted: str
    harmed: int
    best: int
    at_par: int
    untouched: int
    wrong: tuple[str, ...]
    visible: float = 0.0  # calendar time from when the screens could show the fault


def score(scenario: Scenario, shift: Shift) -> Score:
    """The points of one shift; deterministic."""
    fault_at = shift.began + scenario.fault_after_s + shift.late_s
    after = [act for act in shift.acts if act.at >= fault_at]
    mine = [act for act in after if act.by == "player"]
    machine = next((act for act in after if act.by == "trigger" and act.lowers), None)
    soon = fault_at + scenario.visible_s + SOON * scenario.par.act_s * shift.speed
    needless = [act for act in mine if machine is not None and _needless(act, machine, soon)]
    chosen = _chosen(scenario, mine, needless)
    visible = _visible(scenario, shift, fault_at, chosen)
    early_acts = [act for act in shift.acts if act.by == "player" and act.at < fault_at]
    hasty = tuple(act.kind for act in early_acts if act.kind in HASTY and not _called_for(act, shift))
    heeded = [act for act in mine if not scenario.right and _called_for(act, shift)]
    wrong = (*hasty, *(act.kind for act in mine if act.kind in scenario.wrong and act not in heeded))
    useful = None if chosen in needless else chosen
    watched = _watched(scenario, shift, visible, useful)
    noticed = visible if watched else _noticed(scenario, shift, mine, visible, chosen)
    done = [*early_acts, *mine]
    harm = _harm(scenario, shift, fault_at, visible, done, chosen)
    seen_s = None if noticed is None else max(0.0, noticed - visible) / shift.speed
    acted_s = None if chosen is None else max(0.0, chosen.at - visible) / shift.speed
    early = shift.ended < shift.began + scenario.lasts_s - EARLY_S
    if scenario.right:
        act, right = _act(scenario, useful, machine, done, wrong, noticed is not None, early)
    else:
        act, right = _watch(useful, wrong, bool(heeded), early, machine is not None)
    parts: tuple[ScorePart, ...] = (
        _noticed_part(scenario, seen_s, acted_s, watched),
        act,
        _time(scenario, acted_s, chosen in needless, wrong),
        _harm_part(scenario, harm, wrong, chosen),
    )
    lost = WRONG_MOVE * len(wrong)
    total = max(0, sum(part.points for part in parts) - lost)
    if wrong:
        when = "During the fault you" if scenario.right else "You"
        parts = (*parts, ScorePart("wrong moves", -lost, 0, _wrong_words(hasty, wrong[len(hasty) :], when)))
    return Score(
        total=total,
        par=NOTICE + ACT + TIME + harm.saved(harm.at_par),
        passed=right and not wrong and total >= PASS,
        parts=parts,
        right=right,
        noticed_s=seen_s,
        acted_s=acted_s,
        acted=chosen.kind if chosen is not None else "",
        harmed=harm.actual,
        best=harm.best,
        at_par=harm.at_par,
        untouched=harm.untouched,
        wrong=wrong,
        visible=visible,
    )


MOVES = {
    "promote": "promoted",
    "undo_rollback": "undid the rollback",
    "resume": "reopened promotion",
    "rollback": "rolled back a healthy service",
    "hold": "held promotion",
    "ack": "acknowledged the alarm",
    "start": "started the engine",
    "room": "freed disk space",
}
MOVES_DONE = MOVES | {"rollback": "rolled back"}
STOPS = frozenset({"rollback", "hold"})  # after a trigger has lowered the percentage, these add nothing
LOWERS_NOTHING = frozenset({"hold", "ack"})
HASTY = frozenset({"rollback", "promote"})  # wrong before anything is


def _chosen(scenario: Scenario, mine: list[Act], needless: list[Act]) -> Act | None:
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


def _wrong_words(before: tuple[str, ...], during: tuple[str, ...], when_during: str) -> str:
    hasty = ", ".join(dict.fromkeys(MOVES_DONE[kind] for kind in before))
    moves = ", ".join(dict.fromkeys(MOVES.get(kind, kind) for kind in during))
    parts = ((hasty, "Before anything was wrong you"), (moves, when_during))
    return " ".join(f"{when} {what}." for what, when in parts if what)


def _visible(scenario: Scenario, shift: Shift, fault_at: float, chosen: Act | None) -> float:
    """When the screens can show the fault: as planned, or once something is harmed if that takes longer. An act
    between the two is correct already."""
    planned = fault_at + scenario.visible_s
    harmed = (part.at + part.seconds for part in shift.slices if part.harmed and part.at + part.seconds > fault_at)
    shown = max(planned, next(harmed, planned))
    return planned if chosen is not None and chosen.at < shown else shown


def _watched(scenario: Scenario, shift: Shift, visible: float, useful: Act | None) -> bool:
    """Whether the fault appeared on the screen that was open, with the player in front of it: they acted on it, or to
    watch was all there was to do."""
    before = [look for look in shift.looks if look.at < visible]
    return bool(before) and before[-1].screen in scenario.screens and (useful is not None or not scenario.right)


def _noticed(scenario: Scenario, shift: Shift, mine: Iterable[Act], visible: float, chosen: Act | None) -> float | None:
    """When the player first noticed it: a look at a screen that shows it, an acknowledgement, or the act."""
    looks = [look.at for look in shift.looks if look.at >= visible and look.screen in scenario.screens]
    acks = [act.at for act in mine if act.kind == "ack"]
    return min([*looks, *acks, *([chosen.at] if chosen is not None else [])], default=None)


def _noticed_part(scenario: Scenario, seen_s: float | None, acted_s: float | None, watched: bool) -> ScorePart:
    """A player who acts in time was looking, on whichever screen."""
    points = max(_timely(seen_s, scenario.par.notice_s, NOTICE), _timely(acted_s, scenario.par.act_s, NOTICE))
    if seen_s is None:
        sentence = "No screen that shows it was opened since, and no K."
    elif watched:
        sentence = "The screen you had open showed it."
    else:
        sentence = f"You noticed it {seen_s:.0f} s after it became visible."
    return ScorePart("noticed", points, NOTICE, sentence)


def _timely(seconds: float | None, par_s: float, most: int) -> int:
    """Full points up to par, none from `LATE` times par on."""
    if seconds is None:
        return 0
    return round(most * max(0.0, min(1.0, (LATE * par_s - seconds) / ((LATE - 1) * par_s))))


def _act(
    scenario: Scenario,
    chosen: Act | None,
    machine: Act | None,
    mine: list[Act],
    wrong: tuple[str, ...],
    noticed: bool,
    early: bool,
) -> tuple[ScorePart, bool]:
    if chosen is not None:
        done = MOVES_DONE.get(chosen.kind, chosen.kind)
        if chosen.kind in scenario.right:
            first = machine is not None and machine.at <= chosen.at and chosen.kind in STOPS
            faster = "; a trigger was faster" if first else ""
            return ScorePart("right act", ACT, ACT, f"You {done}, which was right{faster}."), True
        return ScorePart("right act", FINE, ACT, f"You {done}: safe, but it did not end the fault."), True
    if early:
        return ScorePart("right act", 0, ACT, "You left the shift without acting."), False
    if machine is not None:
        points = AFTER_THE_MACHINE if noticed else 0
        return ScorePart("right act", points, ACT, "A trigger acted before you did."), False
    if "rollback" in wrong and not {"undo_rollback", "promote"} & {act.kind for act in mine}:
        return ScorePart("right act", 0, ACT, "At 0 % the fault reached no document: you were not tested."), False
    if [act for act in mine if act.kind != "ack"]:
        return ScorePart("right act", 0, ACT, "What you did could not end the fault."), False
    if mine:
        return ScorePart("right act", 0, ACT, "You acknowledged it, and went no further."), False
    return ScorePart("right act", 0, ACT, "You did nothing."), False


def _watch(
    chosen: Act | None, wrong: tuple[str, ...], heeded: bool, early: bool, fired: bool
) -> tuple[ScorePart, bool]:
    """Nothing is broken. `heeded`: the player rolled back for a trigger in breach; `fired`: a trigger lowered the
    percentage all the same, as on a machine that is too busy."""
    if wrong:
        return ScorePart("right act", 0, ACT, "Nothing was broken: to watch was enough."), False
    if heeded:
        return ScorePart("right act", ACT, ACT, "You rolled back with a trigger in breach, which was right."), True
    if early:
        return ScorePart("right act", 0, ACT, "You left before the end of the shift."), False
    if chosen is not None:
        moved = MOVES.get(chosen.kind, chosen.kind)
        return ScorePart("right act", FINE, ACT, f"You {moved}: safe, but not needed."), True
    but = "; a trigger did not" if fired else ""
    return ScorePart("right act", ACT, ACT, f"You left it alone, which was right{but}."), True


def _time(scenario: Scenario, acted_s: float | None, needless: bool, wrong: tuple[str, ...]) -> ScorePart:
    if not scenario.right:
        return ScorePart("in time", 0 if wrong else TIME, TIME, "No rush was needed.")
    if acted_s is None:
        return ScorePart("in time", 0, TIME, f"Par is {scenario.par.act_s:.0f} s.")
    points = 0 if needless else _timely(acted_s, scenario.par.act_s, TIME)
    return ScorePart(
        "in time", points, TIME, f"{acted_s:.0f} s after it became visible; par is {scenario.par.act_s:.0f} s."
    )


# -- documents -------------------------------------------------------------------------------------------------------


class _Harm(NamedTuple):
    """Documents harmed: actually, at best, at par, and if no one had acted."""

    actual: int
    best: int
    at_par: int
    untouched: int

    def saved(self, harmed: int) -> int:
        """Points: all for the best possible outcome, none for the outcome without anyone."""
        if self.untouched <= self.best:
            return HARM
        return round(HARM * max(0.0, min(1.0, (self.untouched - harmed) / (self.untouched - self.best))))


def _harm(
    scenario: Scenario, shift: Shift, fault_at: float, visible: float, mine: list[Act], chosen: Act | None
) -> _Harm:
    """Best and par include the time that an engine took to start on this machine. For a right act that lowers nothing,
    par is what happens without anyone."""
    harmed = sum(part.harmed for part in shift.slices if part.at + part.seconds > fault_at)
    rate = _rate(shift.slices, fault_at)
    soonest = visible - fault_at + (0.0 if chosen is None else chosen.took_s)
    best = _expected(scenario.untouched, rate, soonest)
    at_par = _expected(scenario.untouched, rate, soonest + scenario.par.act_s * shift.speed)
    untouched = _expected(scenario.untouched, rate, max(0.0, shift.began + scenario.lasts_s - fault_at))
    over = shift.ended >= shift.began + scenario.lasts_s - EARLY_S
    if over and not [act for act in mine if act.kind not in ("ack", "resume")]:
        untouched = harmed  # this is what happened
    elif not over and not [act for act in mine if act.kind in scenario.right]:
        harmed = max(harmed, untouched)  # what the rest of the shift would have harmed
    if chosen is not None and chosen.kind in LOWERS_NOTHING and chosen.kind in scenario.right:
        at_par = untouched
    return _Harm(harmed, min(best, untouched), min(at_par, untouched), untouched)


def _rate(slices: Iterable[Slice], until: float) -> float:
    """Documents per calendar second while all was well."""
    calm = [part for part in slices if part.at + part.seconds <= until]
    seconds = sum(part.seconds for part in calm)
    return sum(part.documents for part in calm) / seconds if seconds else 0.0


def _expected(shares: tuple[Share, ...], rate: float, until_s: float) -> int:
    """Documents harmed in the first `until_s` seconds if no one acts."""
    ends = [*(share.after_s for share in shares[1:]), float("inf")]
    spans = ((share.share, min(end, until_s) - share.after_s) for share, end in zip(shares, ends, strict=False))
    return round(sum(rate * share * max(0.0, seconds) for share, seconds in spans))


def _harm_part(scenario: Scenario, harm: _Harm, wrong: tuple[str, ...], chosen: Act | None) -> ScorePart:
    harmed = harm.actual
    if not scenario.right:
        done = f"{counted(harmed, 'document')} harmed by the service, none by you." if harmed else "Nothing was harmed."
        return ScorePart("harm", 0 if wrong else HARM, HARM, done)
    what = counted(harmed, "complaint") if scenario.harm == "complaints" else f"{counted(harmed, 'document')} harmed"
    rest = f", {harm.untouched:,} if no one acted."
    if chosen is not None and chosen.kind in LOWERS_NOTHING:
        rest = f". {'A hold' if chosen.kind == 'hold' else 'K'} lowers nothing."
    sentence = f"{what}; {harm.best:,} at best{rest}"
    return ScorePart("harm", harm.saved(harmed), HARM, sentence)
