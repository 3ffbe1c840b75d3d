"""The hash chain of the decision log, and whether a log and its control row are what the engines wrote."""

from __future__ import annotations

import hashlib
import sqlite3

import msgspec
from msgspec import Struct

from engine.rollout.state import Decision, State, transition
from engine.store.database import one_moment
from engine.text import percent

GENESIS = "0" * 64
MOST_EPOCHS = 1 << 53  # JSON's integers; a rollout counts a few hundred, and SQLite must hold the next one too

_state = msgspec.json.Decoder(State)
_decision = msgspec.json.Decoder(Decision)


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
    may write meanwhile.
    """
    with one_moment(conn):
        return _verify(conn, head)


def _verify(conn: sqlite3.Connection, head: str) -> Verification:
    from engine.store.own_schema import difference  # a rollback starts without it

    prev, state, count, seen = GENESIS, State(), 0, not head
    for rev, body, was, digest, *columns in conn.execute(
        "SELECT rev, body, prev, hash, at, kind, actor, reason, stage, percent_from, percent_to, epoch, request_id "
        "FROM decision ORDER BY rev"
    ):
        count += 1
        if rev != count:
            return _broken(count, prev, f"decision {count} is missing: after {count - 1} comes {rev}")
        if was != prev or chain(prev, rev, body) != digest:
            return _broken(
                count, prev, f"decision {rev} was changed or moved: its hash does not follow from the one before"
            )
        try:
            decision = _decision.decode(body)
        except msgspec.MsgspecError:
            return _broken(count, prev, f"decision {rev} cannot be read")
        after = transition(state, decision)
        logged = [
            decision.at,
            decision.kind,
            decision.actor.name,
            decision.reason,
            decision.stage,
            state.percent_bp,
            decision.percent_bp,
            after.epoch,
            decision.request_id,
        ]
        if after.epoch > MOST_EPOCHS:
            return _broken(count, prev, f"decision {rev} leads to an impossible epoch")
        if columns != logged:
            return _broken(count, prev, f"decision {rev}'s columns do not match its body")
        prev, state = digest, after
        seen = seen or digest.startswith(head)
    if not seen:
        return _broken(
            count, prev, f"no decision has the hash {head[:16]}: the log was truncated or rewritten since it was noted"
        )
    row = conn.execute("SELECT rev, epoch, percent_bp FROM control WHERE id = 1").fetchone() or (0, 0, 0)
    if stored_state(conn) != state or row != (state.rev, state.epoch, state.percent_bp):
        return Verification(
            False,
            count,
            prev,
            f"The log is a chain of {count} decisions, but the stored state does not match it (the row has "
            f"revision {row[0]}, epoch {row[1]}, {percent(row[2])}; the log leads to {state.rev}, {state.epoch}, "
            f"{percent(state.percent_bp)}): rows are missing at its end, or the state was changed.",
        )
    if altered := difference(conn):
        return Verification(
            False,
            count,
            prev,
            f"The log is a chain of {count} decisions, but someone changed the database's schema: {altered.phrase}. An "
            "engine that starts drops what was added; what it did until then stays.",
        )
    return Verification(
        True, count, prev, f"{count} decisions, every hash follows, a replay gives the stored state. Head {prev[:16]}."
    )


def stored_state(conn: sqlite3.Connection) -> State | None:
    """The state in the control row, the first one while there is no row; None if it cannot be read."""
    row = conn.execute("SELECT state FROM control WHERE id = 1").fetchone()
    try:
        return _state.decode(row[0]) if row else State()
    except msgspec.MsgspecError:
        return None


def _broken(count: int, prev: str, what: str) -> Verification:
    return Verification(False, count, prev, f"The log is broken: {what}.", chain=False)
