"""The score of a game day: a pure function of what was done in a shift, and of documents in slices of time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from msgspec import Struct

from engine.gameday.scenario import Scenario, Share
from engine.gameday.shift import STOPS, Play, Shift, Slice, play
from engine.text import counted

ACT, NOTICE, TIME, HARM = 40, 15, 15, 30  # points
FINE = 25  # of ACT, for a safe act that is not the best
AFTER_THE_MACHINE = 10  # of ACT, for a player who was watching when a trigger did it
WRONG_MOVE = 15  # points lost for each
PASS = 60
LATE = 4.0  # times par: a slower time earns nothing
LOWERS_NOTHING = frozenset({"hold", "ack"})
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
    done = play(scenario, shift)
    harm = _harm(done)
    act, right = _act(done) if scenario.right else _watch(done)
    parts: tuple[ScorePart, ...] = (_noticed(done), act, _time(done), _harm_part(done, harm))
    lost = WRONG_MOVE * len(done.wrong)
    total = max(0, sum(part.points for part in parts) - lost)
    if done.wrong:
        parts = (*parts, ScorePart("wrong moves", -lost, 0, _wrong_words(done)))
    return Score(
        total=total,
        par=NOTICE + ACT + TIME + harm.saved(harm.at_par),
        passed=right and not done.wrong and total >= PASS,
        parts=parts,
        right=right,
        noticed_s=done.noticed_s,
        acted_s=done.acted_s,
        acted=done.chosen.kind if done.chosen is not None else "",
        harmed=harm.actual,
        best=harm.best,
        at_par=harm.at_par,
        untouched=harm.untouched,
        wrong=done.wrong,
        visible=done.visible,
    )


def _wrong_words(done: Play) -> str:
    hasty = ", ".join(dict.fromkeys(MOVES_DONE[kind] for kind in done.hasty))
    moves = ", ".join(dict.fromkeys(MOVES.get(kind, kind) for kind in done.wrong_during))
    when_during = "During the fault you" if done.scenario.right else "You"
    parts = ((hasty, "Before anything was wrong you"), (moves, when_during))
    return " ".join(f"{when} {what}." for what, when in parts if what)


def _noticed(done: Play) -> ScorePart:
    """A player who acts in time was looking, on whichever screen."""
    par = done.scenario.par
    points = max(_timely(done.noticed_s, par.notice_s, NOTICE), _timely(done.acted_s, par.act_s, NOTICE))
    if done.noticed_s is None:
        sentence = "No screen that shows it was opened since, and no K."
    elif done.watched:
        sentence = "The screen you had open showed it."
    else:
        sentence = f"You noticed it {done.noticed_s:.0f} s after it became visible."
    return ScorePart("noticed", points, NOTICE, sentence)


def _timely(seconds: float | None, par_s: float, most: int) -> int:
    """Full points up to par, none from `LATE` times par on."""
    if seconds is None:
        return 0
    return round(most * max(0.0, min(1.0, (LATE * par_s - seconds) / ((LATE - 1) * par_s))))


def _act(done: Play) -> tuple[ScorePart, bool]:
    """Something was broken."""
    chosen, machine = done.useful, done.machine
    if chosen is None:
        return _no_act(done), False
    moved = MOVES_DONE.get(chosen.kind, chosen.kind)
    if chosen.kind not in done.scenario.right:
        return ScorePart("right act", FINE, ACT, f"You {moved}: safe, but it did not end the fault."), True
    first = machine is not None and machine.at <= chosen.at and chosen.kind in STOPS
    faster = "; a trigger was faster" if first else ""
    return ScorePart("right act", ACT, ACT, f"You {moved}, which was right{faster}."), True


def _no_act(done: Play) -> ScorePart:
    """Why no act of the player's counts."""
    acts = [*done.before, *done.during]
    kinds = {act.kind for act in acts}
    points = 0
    if done.early:
        sentence = "You left the shift without acting."
    elif done.machine is not None:
        points = AFTER_THE_MACHINE if done.noticed is not None else 0
        sentence = "A trigger acted before you did."
    elif "rollback" in done.wrong and not {"undo_rollback", "promote"} & kinds:
        sentence = "At 0 % the fault reached no document: you were not tested."
    elif kinds - {"ack"}:
        sentence = "What you did could not end the fault."
    elif acts:
        sentence = "You acknowledged it, and went no further."
    else:
        sentence = "You did nothing."
    return ScorePart("right act", points, ACT, sentence)


def _watch(done: Play) -> tuple[ScorePart, bool]:
    """Nothing was broken. A trigger may have lowered the percentage all the same, as on a machine that is too busy."""
    if done.wrong:
        return ScorePart("right act", 0, ACT, "Nothing was broken: to watch was enough."), False
    if done.heeded:
        return ScorePart("right act", ACT, ACT, "You rolled back with a trigger in breach, which was right."), True
    if done.early:
        return ScorePart("right act", 0, ACT, "You left before the end of the shift."), False
    if done.useful is not None:
        moved = MOVES.get(done.useful.kind, done.useful.kind)
        return ScorePart("right act", FINE, ACT, f"You {moved}: safe, but not needed."), True
    but = "; a trigger did not" if done.machine is not None else ""
    return ScorePart("right act", ACT, ACT, f"You left it alone, which was right{but}."), True


def _time(done: Play) -> ScorePart:
    par_s = done.scenario.par.act_s
    if not done.scenario.right:
        return ScorePart("in time", 0 if done.wrong else TIME, TIME, "No rush was needed.")
    if done.acted_s is None:
        return ScorePart("in time", 0, TIME, f"Par is {par_s:.0f} s.")
    points = 0 if done.needless else _timely(done.acted_s, par_s, TIME)
    return ScorePart("in time", points, TIME, f"{done.acted_s:.0f} s after it became visible; par is {par_s:.0f} s.")


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


def _harm(done: Play) -> _Harm:
    """Best and par include the time that an engine took to start on this machine. For a right act that lowers nothing,
    par is what happens without anyone."""
    scenario, shift, chosen = done.scenario, done.shift, done.chosen
    acts = {act.kind for act in (*done.before, *done.during)}
    harmed = sum(part.harmed for part in shift.slices if part.at + part.seconds > done.fault_at)
    rate = _rate(shift.slices, done.fault_at)
    soonest = done.visible - done.fault_at + (0.0 if chosen is None else chosen.took_s)
    best = _expected(scenario.untouched, rate, soonest)
    at_par = _expected(scenario.untouched, rate, soonest + scenario.par.act_s * shift.speed)
    untouched = _expected(scenario.untouched, rate, max(0.0, shift.began + scenario.lasts_s - done.fault_at))
    if not done.early and not acts - {"ack", "resume"}:
        untouched = harmed  # this is what happened
    elif done.early and not acts & set(scenario.right):
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


def _harm_part(done: Play, harm: _Harm) -> ScorePart:
    harmed, chosen = harm.actual, done.chosen
    if not done.scenario.right:
        sentence = "Nothing was harmed."
        if harmed:
            sentence = f"{counted(harmed, 'document')} harmed by the service, none by you."
        return ScorePart("harm", 0 if done.wrong else HARM, HARM, sentence)
    complaints = done.scenario.harm == "complaints"
    what = counted(harmed, "complaint") if complaints else f"{counted(harmed, 'document')} harmed"
    rest = f", {harm.untouched:,} if no one acted."
    if chosen is not None and chosen.kind in LOWERS_NOTHING:
        rest = f". {'A hold' if chosen.kind == 'hold' else 'K'} lowers nothing."
    return ScorePart("harm", harm.saved(harmed), HARM, f"{what}; {harm.best:,} at best{rest}")
