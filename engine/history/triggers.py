"""The triggers as last recorded before a moment."""

from __future__ import annotations

import math
import sqlite3

from msgspec import Struct
from msgspec.structs import replace

from engine.decoding import json_decoder
from engine.plan.durations import format_duration, time_of_day
from engine.plan.model import Plan
from engine.triggers.history import STALE_S
from engine.triggers.wording import Reading
from engine.view.fields import trigger_view
from engine.view.model import TriggerView

_readings = json_decoder(Reading)

SAME_S = 5.0  # evidence this fresh is of the moment itself


class Recorded(Struct, frozen=True):
    """Each rule as last recorded. `unwatched`: why they were not evaluated at that moment; "" if they were."""

    triggers: tuple[TriggerView, ...]
    unwatched: str
    unseen: str = ""  # why they were blind

    @property
    def blind(self) -> str:
        """Why the triggers saw nothing; "" if they did."""
        return self.unseen or self.unwatched


def recorded(conn: sqlite3.Connection, plan: Plan, fired: str, at: float) -> Recorded:
    """`fired`: the rule whose rollback locked promotion."""
    out = []
    newest = math.inf
    for rule in plan.triggers:
        row = conn.execute(
            "SELECT at, body FROM trigger_evidence WHERE trigger = ? AND at <= ? ORDER BY at DESC LIMIT 1",
            (rule.id, at),
        ).fetchone()
        age = at - row[0] if row is not None else math.inf
        newest = min(newest, age)
        if age > STALE_S:
            nothing = Reading(
                rule.id, "insufficient", None, None, 0, None, 0.0, rule.for_s, "", _unwatched(age), "", None
            )
            out.append(trigger_view(rule, nothing, fired, verdict="unknown"))
        else:
            reading = _later(_readings.decode(row[1]), age)
            out.append(trigger_view(rule, _dated(reading, row[0]) if age >= SAME_S else reading, fired))
    blind = next((t.sentence for t in out if t.verdict == "blind"), "")
    return Recorded(tuple(out), "" if newest <= STALE_S else _unwatched(newest), blind and _unseen(conn, at, blind))


def _unseen(conn: sqlite3.Connection, at: float, sentence: str) -> str:
    """Since when and why, as the log has it; a trigger's own sentence if it does not."""
    row = conn.execute(
        "SELECT at, json_extract(body, '$.evidence.unseen') FROM decision WHERE kind = 'blind' AND at <= ? "
        "ORDER BY rev DESC LIMIT 1",
        (at,),
    ).fetchone()
    return f"since {time_of_day(row[0])}: {row[1]}; timers paused" if row is not None and row[1] else sentence


def _later(r: Reading, age: float) -> Reading:
    """A rule in breach whose timer has kept running since it was stored: a change of verdict would have been stored."""
    if r.verdict != "breach" or not r.for_s or r.fires_in_s is None:
        return r
    passed = min(age, r.fires_in_s)
    return replace(r, held_s=r.held_s + passed, fires_in_s=r.fires_in_s - passed)


def _dated(r: Reading, at: float) -> Reading:
    """A reading whose words begin with its moment: its figures, if it has any, are older than the gauges beside it, and
    a screen cuts the end of what is too long."""
    if r.value is None and not r.n:
        return r
    when = f"{time_of_day(at)}: "
    return replace(r, sentence=r.sentence and f"{when}{r.sentence}", evidence=r.evidence and f"{when}{r.evidence}")


def _unwatched(age_s: float) -> str:
    if age_s == math.inf:
        return "no engine had evaluated the triggers yet"
    return f"no engine evaluated the triggers in the {format_duration(age_s)} before"
