"""Incidents and their times, from the log and from what triggers measured."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from engine.plan.model import Plan
from engine.report import incident, kept_incidents
from engine.report.model import Incident
from engine.store import log, log_times
from engine.store.log import Row
from engine.text import clean_line

LOOK_BACK_S = 6 * 3600.0


def every(conn: sqlite3.Connection, plan: Plan, rows: Sequence[Row]) -> tuple[Incident, ...]:
    """Rollbacks that lowered the percentage, triggers that acted, holds by triggers; oldest first."""
    starts = [row for row in rows if is_incident(row)]
    ends = [*(row.rev for row in starts[1:]), *([1 << 60] if starts else [])]
    made = [_incident(conn, plan, rows, row, end) for row, end in zip(starts, ends, strict=True)]
    return tuple(_within(one, later) for one, later in zip(made, [*made[1:], None], strict=False))


def keep_incidents(conn: sqlite3.Connection, plan: Plan, raw_until: float) -> None:
    """Store what the rows that retention is about to delete say of incidents, inside the caller's transaction."""
    if not kept_incidents.any_to_keep(conn, raw_until):
        return
    rows = log_times.corrected(list(log.every(conn)))
    starts = [row for row in rows if is_incident(row) and row.decision.at < raw_until + kept_incidents.AHEAD_S]
    kept_incidents.keep(conn, (_incident(conn, plan, rows, row, 1 << 60) for row in starts), raw_until)


def _within(one: Incident, later: Incident | None) -> Incident:
    """Without its moments, if the next incident's include them all: a hold just before a rollback is one event."""
    others = {moment for moment in one.happened if moment.at != one.decided}
    if later is None or not others or not others <= set(later.happened):
        return one
    return replace(one, happened=(), within=later.rev)


def is_incident(row: Row) -> bool:
    d = row.decision
    if d.kind == "trigger":
        return True
    if d.kind == "rollback":
        return d.percent_bp < row.percent_from
    return d.kind == "hold" and d.actor.kind == "engine"


def _incident(conn: sqlite3.Connection, plan: Plan, rows: Sequence[Row], row: Row, end: int) -> Incident:
    d = row.decision
    automatic = d.kind != "rollback" or d.actor.kind == "engine"
    before = next((other.decision.stage for other in rows if other.rev == row.rev - 1), d.stage)
    earlier = (o.decision.at for o in reversed(rows) if o.rev < row.rev and o.percent_from != o.decision.percent_bp)
    trigger, detected = _detected(conn, plan, row, next(earlier, 0.0))
    onset = _onset(conn, plan, trigger, detected, before) if detected is not None else None
    kept = kept_incidents.read(conn, row.rev, d.at)
    if kept is not None:
        onset, detected = kept.onset, kept.detected
    after = [other for other in rows if row.rev < other.rev < end]
    proof = proof_of(row.rev, after)
    ms = proof.get("effective_ms")
    later = [other for other in rows if other.rev > row.rev]
    resumed = next((other for other in later if other.decision.kind in ("resume", "undo_rollback")), None)
    until = next((other.decision.at for other in rows if other.rev == end), math.inf)
    restored = conn.execute(
        "SELECT total(documents) FROM restore WHERE at >= ? AND at < ? AND undone IS NULL", (d.at, until)
    ).fetchone()[0]
    event = Incident(
        rev=row.rev,
        what=clean_line(d.sentence, 600),
        stage=before,
        automatic=automatic,
        trigger=trigger,
        percent_from=row.percent_from,
        percent_to=d.percent_bp,
        onset=onset,
        detected=detected,
        decided=d.at,
        effective=d.at + round(ms) / 1000 if isinstance(ms, int | float) else None,
        proof=clean_line(str(proof.get("sentence", "")), 400),
        cause=cause(row, later),
        resumed=resumed.decision.at if resumed else None,
        restored=int(restored),
    )
    harm = kept.harm if kept is not None else incident.harm(conn, event)
    happened = incident.happened(conn, event, rows, kept.measured if kept is not None else None)
    return replace(event, happened=happened, cost=incident.cost(conn, event, harm))


def latest(conn: sqlite3.Connection, plan: Plan) -> Incident | None:
    """The last incident alone."""
    rows = log_times.corrected(list(log.every(conn)))
    last = next((row for row in reversed(rows) if is_incident(row)), None)
    return None if last is None else _incident(conn, plan, rows, last, 1 << 60)


def proof_of(rev: int, after: Sequence[Row]) -> dict[str, Any]:
    """The proof of a rollback; {} if it has none yet."""
    proofs = (row.decision.evidence for row in after if row.decision.kind == "proof")
    return next((evidence for evidence in proofs if evidence.get("of") == rev), {})


def cause(row: Row, after: Sequence[Row]) -> str:
    """The cause as written: the reason given later, or with the resume, or with the rollback."""
    for other in after:
        if other.decision.kind == "reason" and other.decision.evidence.get("of") == row.rev:
            return clean_line(other.decision.reason, 500)
    for other in after:
        if other.decision.kind == "resume" and other.decision.reason:
            return clean_line(other.decision.reason, 500)
    return "" if row.decision.actor.kind == "engine" else clean_line(row.decision.reason, 500)


def _detected(conn: sqlite3.Connection, plan: Plan, row: Row, since: float) -> tuple[str, float | None]:
    """(trigger, start of its unbroken breach up to the decision, after the change at `since`)."""
    d = row.decision
    known = {t.id for t in plan.triggers}
    names = [d.reason] if d.actor.kind == "engine" and d.reason in known else sorted(known)
    first: tuple[str, float | None] = (names[0] if len(names) == 1 else "", None)
    for name in names:
        start: float | None = None
        for at, verdict in conn.execute(
            "SELECT at, verdict FROM trigger_evidence WHERE trigger = ? AND at <= ? AND at > ? "
            "ORDER BY at DESC LIMIT 2000",
            (name, d.at + 1, max(since, d.at - LOOK_BACK_S)),
        ).fetchall():
            if verdict not in ("breach", "muted"):
                break
            start = at
        if start is not None and (first[1] is None or start < first[1]):
            first = (name, start)
    reading = d.evidence.get("reading")
    held = reading.get("held_s") if isinstance(reading, dict) else None
    if len(names) == 1 and isinstance(held, int | float):
        first = (first[0], min(d.at - held, first[1] if first[1] is not None else d.at))
    return first


def _onset(conn: sqlite3.Connection, plan: Plan, name: str, detected: float, stage: int) -> float | None:
    """The first failure (slow answer, complaint) of the run of bad minutes before the breach. None: unknown."""
    trigger = next((t for t in plan.triggers if t.id == name), None)
    if trigger is None:
        return None
    if trigger.metric == "complaints":
        first_bad = conn.execute(
            "SELECT min(at) FROM feedback WHERE kind = 'complaint' AND stage = ? AND at <= ?", (stage, detected)
        ).fetchone()[0]
        return float(first_bad) if first_bad is not None else None
    if trigger.metric in ("error_rate", "error_creep", "llm_available"):
        limit = trigger.above if trigger.metric == "error_rate" and trigger.above is not None else 0.03
        value, bad = "total(error IS NOT NULL) / count(*)", "error IS NOT NULL"
    elif trigger.metric == "latency_mean" and trigger.above is not None:
        limit, value, bad = trigger.above, "avg(ms)", f"ms > {trigger.above:f}"
    else:
        return None
    minutes = conn.execute(
        f"SELECT CAST(at / 60 AS INTEGER) AS minute, {value}, min(CASE WHEN {bad} THEN at END) FROM extraction "
        "WHERE attempted AND NOT shadow AND at > ? AND at <= ? GROUP BY minute ORDER BY minute DESC",
        (detected - LOOK_BACK_S, detected + 60),
    ).fetchall()
    onset: float | None = None
    last = int(detected // 60)
    for minute, level, first in minutes:
        if level <= limit and minute >= last - 1:
            continue  # the breach may be seen before its own minute is full
        if level <= limit or last - minute > 10:
            break
        onset, last = first, minute
    return None if onset is None else min(float(onset), detected)
