"""What a report needs of an incident after retention has deleted the rows that it was read from: a few lines each, kept
for good."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from msgspec import MsgspecError, Struct

from engine.decoding import json_decoder
from engine.measures import stored
from engine.report.incident import MEASURED, Harm, harm
from engine.report.model import Incident, IncidentMoment

KIND = "incident"
AHEAD_S = 8 * 3600.0  # a beginning is looked for in the six hours before the first breach
_OLD = (
    "SELECT 1 FROM decision d WHERE at < ? AND (kind = 'trigger' OR (kind = 'rollback' AND percent_to < percent_from) "
    "OR (kind = 'hold' AND json_extract(body, '$.actor.kind') = 'engine')) "
    "AND NOT EXISTS (SELECT 1 FROM measure m WHERE m.kind = 'incident' AND m.at = d.at) LIMIT 1"
)


class KeptIncident(Struct, frozen=True):
    """Of the decision `rev`: its beginning, the moments of kinds `MEASURED`, and what it did to documents."""

    rev: int
    onset: float | None
    detected: float | None
    measured: tuple[IncidentMoment, ...] = ()
    harm: Harm | None = None


_kept = json_decoder(KeptIncident)


def any_to_keep(conn: sqlite3.Connection, raw_until: float) -> bool:
    """Whether rows of an incident that is not kept yet may be deleted soon; retention deletes up to `raw_until`."""
    return conn.execute(_OLD, (raw_until + AHEAD_S,)).fetchone() is not None


def keep(conn: sqlite3.Connection, incidents: Iterable[Incident], raw_until: float) -> None:
    """Store those whose rows may be deleted soon, inside the caller's transaction."""
    for one in incidents:
        if one.decided < raw_until + AHEAD_S and read(conn, one.rev, one.decided) is None:
            measured = tuple(moment for moment in one.happened if moment.kind in MEASURED)
            kept = KeptIncident(one.rev, one.onset, one.detected, measured, harm(conn, one))
            stored.keep(conn, one.decided, KIND, kept)


def read(conn: sqlite3.Connection, rev: int, at: float) -> KeptIncident | None:
    for (body,) in conn.execute("SELECT body FROM measure WHERE kind = ? AND at = ?", (KIND, at)):
        try:
            one = _kept.decode(body)
        except MsgspecError:  # of another version
            continue
        if one.rev == rev:
            return one
    return None
