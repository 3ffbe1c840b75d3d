"""An incident moment by moment: from the first bad document to the proof, the cause and the resume. Read only."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from engine import bounds
from engine.decoding import json_decoder
from engine.measures.attendance import LOOK, Attendance
from engine.plan.durations import format_duration, time_of_day
from engine.report.model import Incident, IncidentMoment
from engine.store import series
from engine.store.each_value import each_value
from engine.store.log import Row
from engine.store.rollup import LEVELS
from engine.text import clean_line, counted, rate_percent
from engine.triggers.wording import Reading

_readings = json_decoder(Reading)
_attendances = json_decoder(Attendance)

MOST = 60  # rows
TEN_S = LEVELS[0]  # the narrowest buckets
HOUR = 3600.0
AFTER_S = 3600.0  # how long an incident that no one resumed is followed
BEFORE_S = 600.0  # how far back to look if its beginning is unknown
SKIPPED = frozenset({"proof", "check", "sign", "start", "stop"})
OTHERWISE = frozenset({"message", "complaint"})  # decisions of these kinds have rows of their own here
MEASURED = frozenset({"first", "seen"})  # read from rows that retention deletes
KEPT = {"kept": "kept, not sent", "waiting": "waiting to be sent", "failed": "FAILED"}


def happened(
    conn: sqlite3.Connection, incident: Incident, rows: Sequence[Row], measured: Sequence[IncidentMoment] | None = None
) -> tuple[IncidentMoment, ...]:
    """Oldest first. `measured`: the moments of kinds `MEASURED`, if they were kept before retention took their rows."""
    start, end = span(incident)
    out = [*_first_failure(conn, incident), *between(conn, start, end, rows, incident.decided)]
    if measured is not None:
        out = [*measured, *(moment for moment in out if moment.kind not in MEASURED)]
        # older versions kept a first bad document where an incident began with a complaint or a trigger
        others = {moment.at for moment in out if moment.kind in ("complaint", "seen")}
        out = [moment for moment in out if moment.kind != "first" or moment.at not in others]
    if incident.effective is not None:
        out.append(IncidentMoment(incident.effective, "proof", incident.proof or "0 % was observed"))
    return tuple(sorted(out, key=lambda moment: moment.at)[:MOST])


def between(
    conn: sqlite3.Connection, start: float, end: float, rows: Sequence[Row], breaches_until: float | None = None
) -> list[IncidentMoment]:
    """What was seen, complained of, looked at, sent and decided in this time, in no order."""
    out = [*_breaches(conn, start, end if breaches_until is None else breaches_until), *_complaints(conn, start, end)]
    out += [*_looks(conn, start, end), *_messages(conn, start, end)]
    for row in rows:
        d = row.decision
        if start <= d.at <= end and d.kind not in SKIPPED | OTHERWISE:
            why = f": {clean_line(d.reason, 200)}" if d.reason and d.reason not in d.sentence else ""
            kind = "fired" if d.kind == "trigger" else "decision"
            out.append(IncidentMoment(d.at, kind, f"{clean_line(d.sentence, 300)}{why}"))
    return out


def span(incident: Incident) -> tuple[float, float]:
    """An incident's time: from its beginning, if known, until promotion was resumed."""
    known = [at for at in (incident.onset, incident.detected) if at is not None]
    start = min([*known, incident.decided]) if known else incident.decided - BEFORE_S
    return start - 1, (incident.resumed or incident.decided + AFTER_S) + 1


class Harm(Struct, frozen=True):
    """Between an incident's beginning, or ten minutes before the decision if that is unknown, and its end: LLM calls,
    those that failed, documents that got LLM keywords."""

    attempts: int
    failed: int
    served: int


def harm(conn: sqlite3.Connection, incident: Incident) -> Harm | None:
    """None if retention took the documents."""
    start, until = span(incident)[0], _ended(incident)
    oldest = conn.execute("SELECT min(at) FROM extraction").fetchone()[0]
    if _trimmed(conn, start, until + TEN_S if oldest is None else oldest):
        return None
    row = conn.execute(
        "SELECT count(*) FILTER (WHERE attempted), count(*) FILTER (WHERE attempted AND error IS NOT NULL), "
        "count(*) FILTER (WHERE method = 'llm') FROM extraction "
        "WHERE arm = 'treatment' AND NOT shadow AND at >= ? AND at <= ?",
        (start, until),
    ).fetchone()
    return Harm(*row)


def _ended(incident: Incident) -> float:
    return incident.effective if incident.effective is not None else incident.decided


def cost(conn: sqlite3.Connection, incident: Incident, done: Harm | None) -> str:
    """An incident's cost to documents and people."""
    start, end = span(incident)
    complained = conn.execute(
        "SELECT count(*) FROM feedback WHERE kind = 'complaint' AND at >= ? AND at <= ?", (start, end)
    ).fetchone()[0]
    users = f"{counted(complained, 'complaint')} from users"
    begun = incident.onset is not None or incident.detected is not None
    if not begun and not incident.automatic:
        known = f"Rolled back manually at {time_of_day(incident.decided)}; no trigger was recorded in breach then. "
    else:
        known = "" if begun else "When it began is not known. "
    if done is None:
        return f"{known}Single documents from that time are no longer kept. {users}."
    if not begun:
        return (
            f"{known}In the {format_duration(BEFORE_S)} before, {done.failed:,} of {done.attempts:,} LLM calls failed; "
            f"{done.served:,} documents got LLM keywords. {users}."
        )
    lasted = format_duration(max(0.0, _ended(incident) - start - 1))
    ended = "it took effect" if incident.percent_to < incident.percent_from else "promotion was held"
    return (
        f"In the {lasted} until {ended}, {done.failed:,} of {done.attempts:,} LLM calls failed and their "
        f"documents got frequency keywords; {done.served:,} documents got LLM keywords. {users}."
    )


def _trimmed(conn: sqlite3.Connection, start: float, oldest: float) -> bool:
    """Whether retention took rows between two moments: more documents were counted in their hours than have rows. In a
    young store there simply were none before the first."""
    if start - start % TEN_S >= oldest - oldest % TEN_S:
        return False
    begin, end = start - start % HOUR, oldest - oldest % HOUR + HOUR
    query = "SELECT count(*) FROM extraction WHERE at >= ? AND at < ? AND NOT shadow"
    rows: int = conn.execute(query, (begin, end)).fetchone()[0]
    return series.between(conn, begin, end).n > rows


def _first_failure(conn: sqlite3.Connection, incident: Incident) -> list[IncidentMoment]:
    if incident.onset is None:
        return []
    of_users = "SELECT 1 FROM feedback WHERE kind = 'complaint' AND at = ?"
    if conn.execute(of_users, (incident.onset,)).fetchone() is not None:
        return []  # it began with a complaint, which has a row of its own
    row = conn.execute(
        "SELECT at, document_id, error, message, ms FROM extraction WHERE attempted AND at >= ? AND at <= ? "
        "AND (error IS NOT NULL OR at <= ?) ORDER BY error IS NULL, at LIMIT 1",
        (incident.onset - 0.001, incident.onset + 1, incident.onset + 0.001),
    ).fetchone()
    if row is None:
        (oldest,) = conn.execute("SELECT min(at) FROM extraction").fetchone()
        if oldest is not None and oldest <= incident.onset:
            return []  # a trigger saw it before a document did
        return [IncidentMoment(incident.onset, "first", "first bad document; its row is no longer kept")]
    at, document, error, message, ms = row
    what = f"{error}{f', {clean_line(message, 120)}' if message else ''}" if error else f"took {ms / 1000:.2f} s"
    return [IncidentMoment(at, "first", f"first bad document {clean_line(document, 80)}: {what}")]


def _breaches(conn: sqlite3.Connection, start: float, end: float) -> list[IncidentMoment]:
    """When each trigger went into breach, with value, n and bound at that time."""
    was: dict[str, str] = {}
    out = []
    for at, trigger, verdict, body in conn.execute(
        "SELECT at, trigger, verdict, body FROM trigger_evidence WHERE at >= ? AND at <= ? AND trigger IN "
        f"({each_value('trigger_evidence', 'trigger')}) ORDER BY at",
        (start, end),
    ).fetchall():
        if verdict == "breach" and was.get(trigger) != "breach":
            out.append(IncidentMoment(at, "seen", f"{trigger} in breach: {_reading(body)}"))
        was[trigger] = verdict
    return out


def _reading(body: str) -> str:
    try:
        r = _readings.decode(body)
    except msgspec.MsgspecError:
        return "its evidence is unreadable"
    rate = r.k is not None and r.n
    bound = f", at most {rate_percent(bounds.rate_upper(r.k, r.n), 1)}" if rate and r.k is not None else ""
    return f"{clean_line(r.headline or r.sentence, 200)} (n {r.n}{bound})"


def _complaints(conn: sqlite3.Connection, start: float, end: float) -> list[IncidentMoment]:
    rows = conn.execute(
        "SELECT at, text FROM feedback WHERE kind = 'complaint' AND at >= ? AND at <= ? ORDER BY at LIMIT 20",
        (start, end),
    ).fetchall()
    return [IncidentMoment(at, "complaint", f"complaint: {clean_line(text, 160) or 'no text'}") for at, text in rows]


def _looks(conn: sqlite3.Connection, start: float, end: float) -> list[IncidentMoment]:
    """Who opened a console and who closed it."""
    out = []
    for at, body in conn.execute(
        "SELECT at, body FROM measure WHERE kind = ? AND at >= ? AND at <= ? ORDER BY at LIMIT 40", (LOOK, start, end)
    ).fetchall():
        look = _attendances.decode(body)
        where = f" ({clean_line(look.terminal, 40)})" if look.terminal else ""
        verb = "opened a console" if look.what == "came" else "closed a console"
        out.append(IncidentMoment(at, "look", f"{clean_line(look.name, 60)} {verb}{where}"))
    return out


def _messages(conn: sqlite3.Connection, start: float, end: float) -> list[IncidentMoment]:
    rows = conn.execute(
        "SELECT at, message, state FROM outbox WHERE at >= ? AND at <= ? ORDER BY at LIMIT 20", (start, end)
    ).fetchall()
    return [
        IncidentMoment(at, "message", f"message {clean_line(name, 40)}: {KEPT.get(state, state)}")
        for at, name, state in rows
    ]
