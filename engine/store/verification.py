"""The hash chain of the decision log, and whether a log and its control row are what the engines wrote."""

from __future__ import annotations

import hashlib
import sqlite3
from typing import NamedTuple

import msgspec
from msgspec import Struct

from engine.decoding import json_decoder
from engine.rollout.state import Decision, State, transition
from engine.store.database import read_transaction
from engine.text import percent

GENESIS = "0" * 64
MOST_EPOCHS = 1 << 53  # JSON's integers; a rollout counts a few hundred, and SQLite must hold the next one too
# a row of the log: its place, its body and its links in the chain, then what `beside_body` gives
DECISION_COLUMNS = "rev, body, prev, hash, at, kind, actor, reason, stage, percent_from, percent_to, epoch, request_id"

_state = json_decoder(State)
_decision = json_decoder(Decision)


class Verification(Struct, frozen=True):
    """Whether the log is complete and leads to the stored state."""

    ok: bool
    decisions: int
    head: str
    sentence: str
    chain: bool = True  # whether every hash follows, regardless of the control row


def chain(prev: str, rev: int, body: str) -> str:
    return hashlib.sha256(f"{prev}\n{rev}\n{body}".encode()).hexdigest()


def verify(conn: sqlite3.Connection, head: str = "") -> Verification:
    """Check the numbering, every link of the chain, that columns match bodies, and that a replay gives the stored
    state.

    A log truncated together with the state is still a valid chain. To detect that, pass `head`, a hash noted earlier
    (this function and every backup report it): it must occur in the log. Runs in one read transaction, so an engine
    may write in the meantime.
    """
    with read_transaction(conn):
        return _verify(conn, head)


def _verify(conn: sqlite3.Connection, head: str) -> Verification:
    from engine.store.own_schema import difference  # a rollback starts without it

    log = _replay(conn, head)
    if log.broken:
        return Verification(False, log.decisions, log.head, f"The log is broken: {log.broken}.", chain=False)
    state = log.state
    row = conn.execute("SELECT rev, epoch, percent_bp FROM control WHERE id = 1").fetchone() or (0, 0, 0)
    if stored_state(conn) != state or row != (state.rev, state.epoch, state.percent_bp):
        return Verification(
            False,
            log.decisions,
            log.head,
            f"The log is a chain of {log.decisions} decisions, but the stored state does not match it (the row has "
            f"revision {row[0]}, epoch {row[1]}, {percent(row[2])}; the log leads to {state.rev}, {state.epoch}, "
            f"{percent(state.percent_bp)}): rows are missing at its end, or the state was changed.",
        )
    if altered := difference(conn):
        return Verification(
            False,
            log.decisions,
            log.head,
            f"The log is a chain of {log.decisions} decisions, but someone changed the database's schema: "
            f"{altered.phrase}. An engine that starts drops what was added; what it did until then stays.",
        )
    return Verification(
        True,
        log.decisions,
        log.head,
        f"{log.decisions} decisions, every hash follows, a replay gives the stored state. Head {log.head[:16]}.",
    )


class _Replay(NamedTuple):
    """A log read to its end or to its first fault. `head`: hash of the last decision that follows; `state`: what the
    log leads to up to there. `broken`: the fault as a clause, "" if there is none."""

    decisions: int
    head: str
    state: State
    broken: str = ""


def _replay(conn: sqlite3.Connection, noted: str) -> _Replay:
    """Replay the log. One in which no hash begins with `noted` is broken."""
    prev, state, count, seen = GENESIS, State(), 0, not noted
    for rev, body, was, digest, *stored in conn.execute(f"SELECT {DECISION_COLUMNS} FROM decision ORDER BY rev"):
        count += 1
        if rev != count:
            return _Replay(count, prev, state, f"decision {count} is missing: after {count - 1} comes {rev}")
        if was != prev or chain(prev, rev, body) != digest:
            fault = f"decision {rev} was changed or moved: its hash does not follow from the one before"
            return _Replay(count, prev, state, fault)
        try:
            decision = _decision.decode(body)
        except msgspec.MsgspecError:
            return _Replay(count, prev, state, f"decision {rev} cannot be read")
        after = transition(state, decision)
        if after.epoch > MOST_EPOCHS:
            return _Replay(count, prev, state, f"decision {rev} leads to an impossible epoch")
        if tuple(stored) != beside_body(decision, state, after):
            return _Replay(count, prev, state, f"decision {rev}'s columns do not match its body")
        prev, state = digest, after
        seen = seen or digest.startswith(noted)
    if not seen:
        fault = f"no decision has the hash {noted[:16]}: the log was truncated or rewritten since it was noted"
        return _Replay(count, prev, state, fault)
    return _Replay(count, prev, state)


def beside_body(decision: Decision, before: State, after: State) -> tuple[object, ...]:
    """The columns that repeat what a decision's body says, in the order of DECISION_COLUMNS: the writer stores them, a
    verification compares them."""
    return (
        decision.at,
        decision.kind,
        decision.actor.name,
        decision.reason,
        decision.stage,
        before.percent_bp,
        decision.percent_bp,
        after.epoch,
        decision.request_id,
    )


def stored_state(conn: sqlite3.Connection) -> State | None:
    """The state in the control row, the first one while there is no row; None if it cannot be read."""
    row = conn.execute("SELECT state FROM control WHERE id = 1").fetchone()
    try:
        return _state.decode(row[0]) if row else State()
    except msgspec.MsgspecError:
        return None
