"""The triggers as last recorded before a moment."""

from __future__ import annotations

import math
import sqlite3

from msgspec import Struct
from msgspec.structs import replace

from engine.plan.durations import format_duration, time_of_day
from engine.plan.model import Plan
from engine.triggers import history
from engine.triggers.history import Gauged, KeptReading
from engine.triggers.wording import Reading
from engine.view.fields import trigger_view
from engine.view.model import TriggerView

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


class Record(Struct, frozen=True):
    """The newest record at a moment: what triggers saw and gauges counted in one second, stored once a minute."""

    at: float  # -inf without one
    gauged: Gauged | None  # None in a store of an earlier version
    readings: dict[str, KeptReading]


def newest(conn: sqlite3.Connection, plan: Plan, at: float) -> Record:
    kept = {rule.id: history.kept_before(conn, rule.id, at) for rule in plan.triggers}
    readings = {rule: one for rule, one in kept.items() if one is not None}
    moment = max((one.at for one in readings.values()), default=-math.inf)
    beside = (one.gauged for one in readings.values() if one.at == moment)
    return Record(moment, next((gauged for gauged in beside if gauged is not None), None), readings)


def recorded(conn: sqlite3.Connection, plan: Plan, record: Record, fired: str, at: float) -> Recorded:
    """`fired`: the rule whose rollback locked promotion."""
    out = []
    for rule in plan.triggers:
        kept = record.readings.get(rule.id)
        age = at - kept.at if kept is not None else math.inf
        if kept is None or age > history.STALE_S:
            nothing = Reading(rule.id, "insufficient", for_s=rule.for_s, sentence=_unwatched(age))
            out.append(trigger_view(rule, nothing, fired, verdict="unknown"))
        else:
            reading = kept.reading if age < SAME_S else _dated(kept.reading, kept.at)
            out.append(trigger_view(rule, reading, fired))
    blind = next((t.sentence for t in out if t.verdict == "blind"), "")
    unwatched = "" if at - record.at <= history.STALE_S else _unwatched(at - record.at)
    return Recorded(tuple(out), unwatched, blind and _unseen(conn, at, blind))


def _unseen(conn: sqlite3.Connection, at: float, sentence: str) -> str:
    """Since when and why, as the log has it; a trigger's own sentence if it does not."""
    row = conn.execute(
        "SELECT at, json_extract(body, '$.evidence.unseen') FROM decision WHERE kind = 'blind' AND at <= ? "
        "ORDER BY rev DESC LIMIT 1",
        (at,),
    ).fetchone()
    return f"since {time_of_day(row[0])}: {row[1]}; timers paused" if row is not None and row[1] else sentence


def _dated(r: Reading, at: float) -> Reading:
    """A reading whose words begin with its moment: its figures, if it has any, are older than the gauges beside it, and
    a screen cuts the end of what is too long."""
    if r.value is None and not r.n:
        return r
    when = f"{time_of_day(at)}: "
    return replace(r, sentence=r.sentence and f"{when}{r.sentence}", evidence=r.evidence and f"{when}{r.evidence}")


def _unwatched(age_s: float) -> str:
    if age_s == math.inf:
        return "no evaluation of the triggers is stored"
    return f"no evaluation of the triggers is stored for the {format_duration(age_s)} before"
