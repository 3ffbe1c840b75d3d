"""What a trigger saw at a moment in the past, from stored evidence: why it fired, or why it did not."""

from __future__ import annotations

import sqlite3

import msgspec
from msgspec import Struct

from engine.plan.durations import clock, format_duration, iso
from engine.triggers.wording import Reading

STALE_S = 180.0  # evidence is stored once a minute while the engine runs


class Story(Struct, frozen=True):
    """The evidence nearest before the moment asked for, when the verdict last changed, and the last action before it."""

    asked: float
    at: float
    verdict: str
    reading: Reading
    since: float
    last_acted: float | None
    last_action: str
    lines: tuple[str, ...]


def story(conn: sqlite3.Connection, trigger: str, at: float) -> Story | None:
    """None when nothing is stored at or before `at`."""
    row = conn.execute(
        "SELECT at, verdict, body FROM trigger_evidence WHERE trigger = ? AND at <= ? ORDER BY at DESC LIMIT 1",
        (trigger, at),
    ).fetchone()
    if row is None:
        return None
    seen_at, verdict, body = row
    reading = msgspec.json.decode(body, type=Reading)
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
        "ORDER BY rev DESC LIMIT 1", (at, trigger),
    ).fetchone()  # fmt: skip
    last_acted, action = (acted[0], _sentence(acted[1])) if acted else (None, "")
    lines = (*_told(trigger, at, seen_at, verdict, reading, since), _acted(at, last_acted, action))
    return Story(at, seen_at, verdict, reading, since, last_acted, action, lines)


def _sentence(body: str) -> str:
    return str(msgspec.json.decode(body).get("sentence", ""))


def _told(trigger: str, at: float, seen_at: float, verdict: str, r: Reading, since: float) -> list[str]:
    lines = [f"{iso(seen_at)} {trigger} was {verdict}: {r.sentence.removeprefix(f'{verdict}: ')}"]
    if at - seen_at > STALE_S:
        lines.append(
            f"nothing newer is stored: no engine evaluated it in the {format_duration(at - seen_at)} before {iso(at)}"
        )
    if since < seen_at:
        lines.append(f"it had been {verdict} since {iso(since)}")
    if r.rule:
        lines.append(f"judged by: {r.rule}, n {r.n}" + (f", k {r.k}" if r.k is not None else ""))
    lines.append(_reason(verdict, r))
    if r.resets_when:
        lines.append(f"its timer resets when: {r.resets_when}")
    return lines


def _reason(verdict: str, r: Reading) -> str:
    """Why it acted at that moment, or what it lacked."""
    match verdict:
        case "ok":
            return "it did not fire: what it watches was within bounds"
        case "insufficient":
            return "it did not fire: too little was known, and its timer stood still"
        case "blind":
            return "it did not fire: nothing could be seen, and its timer stood still"
        case "locked":
            return "it did not fire: an automatic rollback had taken everything to 0 %, and the way up was locked"
        case "disabled":
            return "it did not fire: the plan has it switched off"
    held = f"{clock(r.held_s)} of {clock(r.for_s)}"
    if r.fires_in_s == 0:
        return f"it fired: {held} had passed" if r.for_s else "it fired at once"
    if r.fires_in_s is None:
        return f"it did not fire: {held} had passed, but the evidence did not convince"
    return f"it had not fired yet: {held} had passed, {clock(r.fires_in_s)} to go"


def _acted(at: float, last: float | None, action: str) -> str:
    return f"it last acted {iso(last)}: {action}" if last is not None else f"it had not acted up to {iso(at)}"
