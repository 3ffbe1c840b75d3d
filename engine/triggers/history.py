"""What a trigger saw at a past moment, from stored evidence: why it fired, or why not."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import msgspec
from msgspec import Struct
from msgspec.structs import asdict

from engine.decoding import json_decoder
from engine.plan.durations import clock, format_duration, iso
from engine.triggers.windows import WindowTotals
from engine.triggers.wording import Reading

STALE_S = 180.0  # evidence is stored once a minute while the engine runs


class KeptReading(Struct, frozen=True):
    """What the store has of a trigger. `gauged`: what the gauges counted in the same second; one trigger of each record
    has it."""

    at: float
    reading: Reading
    gauged: Gauged | None


class Gauged(Struct, frozen=True):
    """The window of the gauges as triggers count it, of the LLM arm and of shadow."""

    served: WindowTotals
    shadow: WindowTotals


class _Beside(Struct, frozen=True):
    gauged: Gauged | None = None


_readings, _beside = json_decoder(Reading), json_decoder(_Beside)


def keep(conn: sqlite3.Connection, at: float, readings: Sequence[Reading], gauged: Gauged | None = None) -> None:
    """Store what triggers saw and gauges counted, in the caller's transaction."""
    for r in readings:
        body = asdict(r)
        if r is readings[0] and gauged is not None:
            body["gauged"] = gauged
        conn.execute(
            "INSERT INTO trigger_evidence VALUES (?,?,?,?)", (at, r.id, r.verdict, msgspec.json.encode(body).decode())
        )


def kept_before(conn: sqlite3.Connection, trigger: str, at: float) -> KeptReading | None:
    """What was last stored of a trigger at a moment."""
    query = "SELECT at, body FROM trigger_evidence WHERE trigger = ? AND at <= ? ORDER BY at DESC LIMIT 1"
    row = conn.execute(query, (trigger, at)).fetchone()
    return KeptReading(row[0], _readings.decode(row[1]), _beside.decode(row[1]).gauged) if row is not None else None


class TriggerHistory(Struct, frozen=True):
    """The latest evidence at or before the moment asked for, since when its verdict holds, and the last action."""

    asked: float
    at: float
    verdict: str
    reading: Reading
    since: float
    last_acted: float | None
    last_action: str
    lines: tuple[str, ...]


READINGS = 2000  # of one trigger, the newest


class StoredReading(Struct, frozen=True):
    """What a trigger saw at a moment."""

    at: float
    verdict: str
    reading: Reading


def readings(conn: sqlite3.Connection, trigger: str, since: float, until: float) -> list[StoredReading]:
    """A trigger's stored evidence of a time, newest first: once a minute, and whenever its verdict changed."""
    rows = conn.execute(
        "SELECT at, verdict, body FROM trigger_evidence WHERE trigger = ? AND at BETWEEN ? AND ? ORDER BY at "
        "DESC LIMIT ?",
        (trigger, since, until, READINGS),
    )
    return [StoredReading(at, verdict, _readings.decode(body)) for at, verdict, body in rows]


def story(conn: sqlite3.Connection, trigger: str, at: float) -> TriggerHistory | None:
    """A rule's state at `at`; None if nothing is stored at or before then."""
    row = conn.execute(
        "SELECT at, verdict, body FROM trigger_evidence WHERE trigger = ? AND at <= ? ORDER BY at DESC LIMIT 1",
        (trigger, at),
    ).fetchone()
    if row is None:
        return None
    seen_at, verdict, body = row
    reading = _readings.decode(body)
    other = conn.execute(
        "SELECT max(at) FROM trigger_evidence WHERE trigger = ? AND at <= ? AND verdict != ?",
        (trigger, seen_at, verdict),
    ).fetchone()[0]
    since = conn.execute(
        "SELECT min(at) FROM trigger_evidence WHERE trigger = ? AND at > ? AND at <= ?",
        (trigger, other if other is not None else -1.0, seen_at),
    ).fetchone()[0]
    acted = conn.execute(
        "SELECT at, body FROM decision WHERE at <= ? AND reason = ? AND kind IN ('trigger', 'hold', 'investigate') "
        "ORDER BY rev DESC LIMIT 1",
        (at, trigger),
    ).fetchone()
    last_acted, action = (acted[0], _sentence(acted[1])) if acted else (None, "")
    lines = (*_sentences(trigger, at, seen_at, verdict, reading, since), _acted(at, last_acted, action))
    return TriggerHistory(
        asked=at,
        at=seen_at,
        verdict=verdict,
        reading=reading,
        since=since,
        last_acted=last_acted,
        last_action=action,
        lines=lines,
    )


def _sentence(body: str) -> str:
    return str(msgspec.json.decode(body).get("sentence", ""))


def _sentences(trigger: str, at: float, seen_at: float, verdict: str, r: Reading, since: float) -> list[str]:
    lines = [f"{iso(seen_at)} {trigger} was {_in(verdict)}", r.sentence]
    if at - seen_at > STALE_S:
        lines.append(
            f"nothing newer is stored: no evaluation of it for the {format_duration(at - seen_at)} before {iso(at)}"
        )
    if since < seen_at:
        lines.append(f"it had been {_in(verdict)} since {iso(since)}")
    if r.rule:
        lines.append(f"judged by: {r.rule}, n {r.n}" + (f", k {r.k}" if r.k is not None else ""))
    lines.append(_reason(verdict, r))
    if r.resets_when:
        lines.append(f"its timer resets when: {r.resets_when}")
    return lines


def _in(verdict: str) -> str:
    """The verdict after "was"."""
    return {"breach": "in breach", "insufficient": "without enough data"}.get(verdict, verdict)


def _reason(verdict: str, r: Reading) -> str:
    """Why it acted at that moment, or what it lacked."""
    match verdict:
        case "ok":
            return "it did not fire: its metric was within bounds"
        case "insufficient":
            return "it did not fire: there was too little data, and its timer was paused"
        case "blind":
            return "it did not fire: the engine was blind, and its timer was paused"
        case "locked":
            return "it did not fire: an automatic rollback had already set 0 % and locked promotion"
        case "disabled":
            return "it did not fire: the plan disables it"
    held = f"{clock(r.held_s)} of {clock(r.for_s)}"
    if r.fires_in_s == 0:
        return f"it fired: {held} had passed" if r.for_s else "it fired immediately"
    if r.fires_in_s is None:
        return f"it did not fire: {held} had passed, but the evidence was too weak"
    return f"it had not fired yet: {held} had passed, {clock(r.fires_in_s)} to go"


def _acted(at: float, last: float | None, action: str) -> str:
    return f"it last acted at {iso(last)}: {action}" if last is not None else f"it had not acted before {iso(at)}"
