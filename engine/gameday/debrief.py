"""The debrief of a game day: the shift according to store and journal, its score, and every moment in plain
words."""

from __future__ import annotations

import sqlite3
import time
import uuid
from collections.abc import Iterable
from itertools import pairwise

from msgspec import Struct

from engine.gameday import journal, scoring
from engine.gameday.journal import JournalEntry
from engine.gameday.scenario import Scenario
from engine.gameday.scoring import Score
from engine.gameday.shift import Act, By, ScreenLook, Shift, Slice
from engine.plan.durations import iso
from engine.plan.model import Plan
from engine.report import incident
from engine.report.model import IncidentMoment
from engine.rollout.actions import LOWERING
from engine.rollout.state import DOWN
from engine.store import log
from engine.store.log import Row
from engine.triggers import history

SLICE_S = 10.0
ACTS = frozenset({"rollback", "trigger", "hold", "resume", "promote", "ack", "undo_rollback", "restore"})
THIN = 0.5  # a slice with less than this share of the usual documents lost the rest
MOST = 80
HIDDEN = frozenset({"fault", "kill", "fill"})  # what no record of the store shows
PASSING_S = 0.2  # of the player's: a screen shown for less was passed on the way to another


class Debrief(Struct, frozen=True):
    """The record of one played game day. `at` is machine time."""

    id: str
    at: float
    who: str
    scenario: str
    title: str
    speed: float
    began: float
    score: Score
    moments: tuple[IncidentMoment, ...]
    truth: str
    best: str

    @property
    def sentence(self) -> str:
        s = self.score
        return f"{self.title}: {s.total} of 100 points, par {s.par}: {'passed' if s.passed else 'not passed'}."

    @property
    def text(self) -> str:
        """The whole debrief, for a terminal or a chat."""
        parts = [f"  {part.name:<12} {_of(part):>8}  {part.sentence}" for part in self.score.parts]
        moments = [f"  {_clock(m.at - self.began, self.speed):>6}  {m.sentence}" for m in self.moments]
        title = f"GAME DAY {iso(self.at)}, {self.who}: {self.sentence}"
        truth = f"What it was: {self.truth}", f"The best:    {self.best}"
        return "\n".join([title, "", *parts, "", *truth, "", "What happened, in your own seconds:", *moments])


def _of(part: scoring.ScorePart) -> str:
    return f"{part.points}/{part.most}" if part.most else str(part.points)


def _clock(seconds: float, speed: float) -> str:
    return f"{seconds / speed:.0f} s"


def debrief(
    conn: sqlite3.Connection, plan: Plan, scenario: Scenario, moments: tuple[JournalEntry, ...], speed: float, who: str
) -> Debrief | None:
    """The debrief; None if the shift did not start."""
    began = journal.first(moments, "begun")
    if began is None:
        return None
    ended = min(began.at + scenario.lasts_s, began.at + (time.time() - began.real) * speed)
    rows = [row for row in log.every(conn) if began.at <= row.decision.at <= ended + 1]
    acts = _acts(log.every(conn), moments, began.at, ended + 1)
    shift = Shift(
        began=began.at,
        ended=ended,
        speed=speed,
        acts=acts,
        looks=_looks(moments, speed),
        slices=slices(conn, scenario, began.at, ended),
        late_s=_late(scenario, moments, began.at),
        breaches=_breaches(conn, plan, began.at, ended),
    )
    made = scoring.score(scenario, shift)
    return Debrief(
        id=uuid.uuid4().hex[:12],
        at=time.time(),
        who=who,
        scenario=scenario.name,
        title=scenario.title,
        speed=speed,
        began=began.at,
        score=made,
        moments=_moments(conn, scenario, shift, rows, moments, made.visible),
        truth=scenario.truth,
        best=scenario.best,
    )


def _acts(rows: Iterable[Row], moments: tuple[JournalEntry, ...], began: float, ended: float) -> tuple[Act, ...]:
    acts = [Act(m.at, "room", "player") for m in moments if m.kind == "room"] + _starts(moments)
    held = locked = ""
    for row in rows:
        d = row.decision
        closed = held or locked
        held = held if d.held is None else d.held
        locked = locked if d.locked is None else d.locked
        if d.kind not in ACTS or not began <= d.at <= ended:
            continue
        by: By = "player"
        if d.actor.kind == "engine":
            by = "trigger"
        elif d.actor.kind != "person" or d.actor.uid < 0:  # the director's people have no account
            by = "colleague"
        lowers = d.kind in DOWN and d.percent_bp < row.percent_from
        acts.append(Act(d.at, "rearm" if d.kind == "resume" and not closed else d.kind, by, lowers))
    return tuple(sorted(acts, key=lambda act: act.at))


def _starts(moments: tuple[JournalEntry, ...]) -> list[Act]:
    """Engines that came to run, at the moment of the key: how long one takes to start is the machine's affair."""
    acts, pressed = [], None
    for moment in moments:
        if moment.kind == "start":
            pressed = pressed or moment
        elif moment.kind == "back":
            at = (pressed or moment).at
            acts.append(Act(at, "start", "player", took_s=moment.at - at))
            pressed = None
    return acts


def _looks(moments: tuple[JournalEntry, ...], speed: float) -> tuple[ScreenLook, ...]:
    """The screens looked at, without those only passed on the way to another."""
    looks = [ScreenLook(moment.at, moment.text) for moment in moments if moment.kind == "look"]
    passed = {a for a, b in pairwise(looks) if b.at - a.at < PASSING_S * speed}
    return tuple(look for look in looks if look not in passed)


def _breaches(conn: sqlite3.Connection, plan: Plan, began: float, ended: float) -> tuple[float, ...]:
    """When triggers that lower the percentage were in breach, as stored."""
    lowering = [trigger.id for trigger in plan.triggers if trigger.action in LOWERING]
    kept = [reading for rule in lowering for reading in history.readings(conn, rule, began, ended)]
    return tuple(sorted(reading.at for reading in kept if reading.verdict == "breach"))


def _late(scenario: Scenario, moments: tuple[JournalEntry, ...], began: float) -> float:
    step = journal.first(moments, "step")
    planned = began + scenario.fault_after_s + (scenario.steps[0].after_s if scenario.steps else 0.0)
    return 0.0 if step is None else max(0.0, step.at - planned)


# -- documents -------------------------------------------------------------------------------------------------------

_HARMED = {
    "failed": "attempted AND error IS NOT NULL AND arm = 'treatment'",
    "slow": "attempted AND ms > :slow AND arm = 'treatment'",
    "llm": "method = 'llm'",
    "lost": "0",
    "complaints": "0",
}


def slices(conn: sqlite3.Connection, scenario: Scenario, began: float, ended: float) -> tuple[Slice, ...]:
    """The whole shift in equal slices."""
    bad = _HARMED[scenario.harm]
    counted = {
        int(part): (int(n), int(k))
        for part, n, k in conn.execute(
            f"SELECT CAST((at - :began) / :part AS INTEGER) AS slice, count(*), total({bad}) FROM extraction "
            "WHERE NOT shadow AND at >= :began AND at < :ended GROUP BY slice",
            {"began": began, "ended": ended, "part": SLICE_S, "slow": scenario.slow_ms},
        )
    }
    complaints: dict[int, int] = {}
    if scenario.harm == "complaints":
        rows = conn.execute(
            "SELECT at FROM feedback WHERE kind = 'complaint' AND at >= ? AND at < ?", (began, ended)
        ).fetchall()
        for (at,) in rows:
            place = int((at - began) / SLICE_S)
            complaints[place] = complaints.get(place, 0) + 1
    calm = int(scenario.fault_after_s / SLICE_S)
    usual = sum(n for place, (n, _) in counted.items() if place < calm) / max(1, calm)
    out = []
    for place in range(int((ended - began) / SLICE_S)):
        n, k = counted.get(place, (0, 0))
        if scenario.harm == "complaints":
            k = complaints.get(place, 0)
        elif scenario.harm == "lost":
            k = round(usual - n) if place >= calm and n < THIN * usual else 0
        out.append(Slice(began + place * SLICE_S, SLICE_S, n, k))
    return tuple(out)


# -- moments ---------------------------------------------------------------------------------------------------------


def _moments(
    conn: sqlite3.Connection,
    scenario: Scenario,
    shift: Shift,
    rows: list[Row],
    moments: tuple[JournalEntry, ...],
    visible: float,
) -> tuple[IncidentMoment, ...]:
    """Oldest first: what went wrong (hidden until now), what became visible, who looked, what was done."""
    kept = incident.between(conn, shift.began, shift.ended, rows)
    out = [moment for moment in kept if moment.kind not in ("message", "look")]  # the journal has the looks
    screens = ""
    for look in shift.looks:
        if look.screen != screens:
            screens = look.screen
            out.append(IncidentMoment(look.at, "look", f"you opened {look.screen}"))
    if scenario.right and visible <= shift.ended:
        out.append(IncidentMoment(visible, "first", "VISIBLE: par counts from here"))
    for act in shift.acts:
        if act.kind == "start":
            took = f", {act.took_s / shift.speed:.0f} s after it was started" if act.took_s else ""
            out.append(IncidentMoment(act.at + act.took_s, "decision", f"a new engine runs{took}"))
    for moment in moments:
        if moment.kind == "step" and scenario.steps[moment.step].deed in HIDDEN:
            out.append(IncidentMoment(moment.at, "first", f"HIDDEN: {scenario.steps[moment.step].fact}"))
        elif moment.kind == "refused":
            out.append(IncidentMoment(moment.at, "decision", f"{moment.text} tried to promote and was refused"))
        elif moment.kind == "room":
            out.append(IncidentMoment(moment.at, "decision", "the core dump is removed: there is space again"))
    return tuple(sorted(out, key=lambda moment: moment.at)[:MOST])
