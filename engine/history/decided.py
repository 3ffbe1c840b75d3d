"""What had been decided at a moment, replayed from the log, and the plan it was decided under."""

from __future__ import annotations

import sqlite3
from functools import lru_cache

import msgspec
from msgspec.structs import replace

from engine.decoding import convert, json_decoder
from engine.plan.durations import iso
from engine.plan.load import parse_plan
from engine.plan.model import Plan
from engine.plan.problems import PlanError
from engine.rollout.state import Decision, State, transition
from engine.store import log, log_times, plans
from engine.view.model import ProofView

LOG_ROWS = 30


class NothingKept(Exception):
    """The store has nothing about that moment; the sentence gives the start of its record."""


def decided(conn: sqlite3.Connection, at: float) -> tuple[State, list[log.Row]]:
    """The state at a moment according to the log, and the newest rows up to it."""
    rev = log_times.last_rev(conn, at)
    if rev is None:
        (first,) = conn.execute("SELECT min(at) FROM decision").fetchone()
        since = f"The store's record starts at {iso(first)}." if first is not None else "Nothing has been decided yet."
        raise NothingKept(f"There are no records for {iso(at)}. {since}")
    return _state(conn, rev), log.rows(conn, before=rev + 1, limit=LOG_ROWS)


CHECKPOINT = 256


_checkpoints: dict[str, State] = {}  # keyed by the hash of the decision that led to it, so that it cannot be stale


def _state(conn: sqlite3.Connection, rev: int) -> State:
    """Replays the log from the last checkpoint before it."""
    state, after = State(), 0
    for known in range(rev - rev % CHECKPOINT, 0, -CHECKPOINT):
        row = conn.execute("SELECT hash FROM decision WHERE rev = ?", (known,)).fetchone()
        if row is not None and row[0] in _checkpoints:
            state, after = _checkpoints[row[0]], known
            break
    query = "SELECT rev, body, hash FROM decision WHERE rev > ? AND rev <= ? ORDER BY rev"
    for number, body, digest in conn.execute(query, (after, rev)).fetchall():
        state = transition(state, _decision.decode(body))
        if number % CHECKPOINT == 0:
            _checkpoints[digest] = state
    return state


_decision = json_decoder(Decision)


def plan_then(conn: sqlite3.Connection, plan: Plan, state: State) -> Plan:
    """The plan that the rollout ran under; today's if the store does not have it."""
    pins = state.pins
    if pins is None or pins.digest == plan.digest:
        return plan
    text = plans.text_of(conn, pins.digest)
    then = _parsed(text, plan.source) if text is not None else None
    return replace(then, digest=pins.digest) if then is not None else plan


@lru_cache(maxsize=8)
def _parsed(text: str, source: str) -> Plan | None:
    try:
        return parse_plan(text, source)
    except PlanError:
        return None


def proof(conn: sqlite3.Connection, state: State) -> ProofView | None:
    row = log.last(conn, ("proof",), before=state.rev + 1)
    if row is None or row.decision.evidence.get("of") != state.last_rev:
        return None
    try:
        return convert(row.decision.evidence, ProofView)
    except msgspec.ValidationError:
        return None
