"""The debrief of a game day: the shift according to store and journal, its score, and every moment in plain
words."""

from __future__ import annotations

import sqlite3
import time
import uuid

from msgspec import Struct

from engine.gameday import journal, scoring
from engine.gameday.director import DAY_SHIFT
from engine.gameday.journal import JournalEntry
from engine.gameday.scenario import Scenario
from engine.gameday.scoring import Act, Score, ScreenLook, Shift, Slice
from engine.plan.durations import iso
from engine.report import incident
from engine.report.model import Happened
from engine.rollout.state import DOWN
from engine.store import log
from engine.store.log import Row

SLICE_S = 10.0
ACTS = frozenset({"rollback", "trigger", "hold", "resume", "promote", "ack", "undo_rollback", "restore"})
THIN = 0.5  # a slice with less than this share of the usual documents lost the rest
MOST = 80
HIDDEN = frozenset({"fault", "kill", "fill"})  # what no record of the store shows


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
    moments: tuple[Happened, ...]
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
        return "\n".join(
            [
                f"GAME DAY {iso(self.at)}, {self.who}: {self.sentence}",
                "",
                *parts,
                "",
                f"What it was: {self.truth}",
                f"The best:    {self.best}",
                "",
                "What happened, in your own seconds:",
                *moments,
            ]
        )


def _of(part: scoring.ScorePart) -> str:
    return f"{part.points}/{part.most}" if part.most else str(part.points)


def _clock(seconds: float, speed: float) -> str:
    return f"{seconds / speed:.0f} s"


def debrief(
    conn: sqlite3.Connection, scenario: Scenario, moments: tuple[JournalEntry, ...], speed: float, who: str
) -> Debrief | None:
    """None if the shift did not start."""
    began = journal.first(moments, "begun")
    if began is None:
        return None
    ended = min(began.at + scenario.lasts_s, began.at + (time.time() - began.real) * speed)
    rows = [row for row in log.every(conn) if began.at <= row.decision.at <= ended + 1]
    cast = {DAY_SHIFT.name, *(step.who for step in scenario.steps)}
    shift = Shift(
        began.at,
        ended,
        speed,
        _acts(rows, moments, cast),
        tuple(ScreenLook(moment.at, moment.text) for moment in moments if moment.kind == "look"),
        slices(conn, scenario, began.at, ended),
    )
    return Debrief(
        uuid.uuid4().hex[:12],
        time.time(),
        who,
        scenario.name,
        scenario.title,
        speed,
        began.at,
        scoring.score(scenario, shift),
        _moments(conn, scenario, shift, rows, moments),
        scenario.truth,
        scenario.best,
    )


def _acts(rows: list[Row], moments: tuple[JournalEntry, ...], cast: set[str]) -> tuple[Act, ...]:
    acts = [Act(m.at, "start" if m.kind == "back" else "room", "player") for m in moments if m.kind in ("back", "room")]
    for row in rows:
        d = row.decision
        if d.kind not in ACTS:
            continue
        by: scoring.By = "player"
        if d.actor.kind == "engine":
            by = "trigger"
        elif d.actor.name in cast or d.actor.kind != "person":
            by = "colleague"
        lowers = d.kind in DOWN and d.percent_bp < row.percent_from
        acts.append(Act(d.at, d.kind, by, lowers))
    return tuple(sorted(acts, key=lambda act: act.at))


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
    conn: sqlite3.Connection, scenario: Scenario, shift: Shift, rows: list[Row], moments: tuple[JournalEntry, ...]
) -> tuple[Happened, ...]:
    """Oldest first: what went wrong (hidden until now), what became visible, who looked, what was done."""
    out = [h for h in incident.between(conn, shift.began, shift.ended, rows) if h.kind != "message"]
    screens = ""
    for moment in moments:
        if moment.kind == "step" and scenario.steps[moment.step].deed in HIDDEN:
            out.append(Happened(moment.at, "first", f"HIDDEN: {moment.text}"))
        elif moment.kind == "look" and moment.text != screens:
            screens = moment.text
            out.append(Happened(moment.at, "look", f"you opened {moment.text}"))
        elif moment.kind == "back":
            out.append(Happened(moment.at, "decision", "a new engine runs"))
        elif moment.kind == "room":
            out.append(Happened(moment.at, "decision", "the core dump is removed: there is space again"))
    return tuple(sorted(out, key=lambda moment: moment.at)[:MOST])
