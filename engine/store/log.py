"""The decision log: append-only, hash-chained, and the only place where the control state is written.

A commit is one `BEGIN IMMEDIATE` transaction: read the state, decide, append the decision, write the state. A request
already in the log is answered from it, because a commit may land unacknowledged. An id reused for another request is
refused, except for a rollback, which is always carried out.
"""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from engine.decoding import json_decoder
from engine.plan.durations import iso
from engine.rollout.state import DOWN, Decision, Refusal, State, transition, unlawful
from engine.store.database import read_transaction
from engine.store.trust import Head, Trust
from engine.store.verification import (
    DECISION_COLUMNS,
    GENESIS,
    MOST_EPOCHS,
    Verification,
    beside_body,
    chain,
    stored_state,
    verify,
)

T = TypeVar("T")

_encoder = msgspec.json.Encoder(order="sorted")
_state = json_decoder(State)
_decision = json_decoder(Decision)


class Fenced(Exception):
    """Another engine has taken over; this one must not write any more."""


class Outcome(Struct, frozen=True):
    """Result of a commit. `decision` is None when it was refused (`refusal`) or there was nothing to do."""

    state: State
    before: State
    decision: Decision | None = None
    refusal: Refusal | None = None


class Row(Struct, frozen=True):
    """A decision as logged, with its place in the chain."""

    rev: int
    decision: Decision
    percent_from: int
    epoch: int
    prev: str
    hash: str


def read_state(conn: sqlite3.Connection) -> State:
    """The state after the last decision, from the control row; `State()` in a new store."""
    row = conn.execute("SELECT state FROM control WHERE id = 1").fetchone()
    return _state.decode(row[0]) if row else State()


def begin(conn: sqlite3.Connection, token: int | None) -> None:
    """Open a write transaction under a fencing token. Fenced when the token is not the current one any more."""
    conn.execute("BEGIN IMMEDIATE")
    if token is None:
        return
    row = conn.execute("SELECT token FROM lease WHERE id = 1").fetchone()
    if row is None or row[0] != token:
        conn.execute("ROLLBACK")
        current = row[0] if row else "none"
        raise Fenced(
            f"This engine's token {token} has expired (the store's is {current}): another engine has taken over."
        )


def commit(
    conn: sqlite3.Connection,
    request_id: str,
    decide: Callable[[State], Decision | Refusal | None],
    token: int | None = None,
    within: Callable[[sqlite3.Connection, int], object] | None = None,
    *,
    request: str = "",
    trust: Trust | None = None,
) -> Outcome:
    """Decide and record in one transaction. `within(conn, rev)` writes what belongs to the decision (a restore, a
    signature).

    `request` is the digest of what `request_id` asks for. The decision is made on the log's state; a control row that
    differs from it (by `trust`, else by the row's own figures) blocks a raise and is corrected by the next recorded
    decision. sqlite3.Error and Fenced leave the store unchanged.
    """
    begin(conn, token)
    try:
        before, mismatch = _before(conn, trust)
        decision = _to_record(before, mismatch, find(conn, request_id), decide, request)
        if isinstance(decision, Outcome):
            conn.execute("ROLLBACK")
            return decision
        head = _append(conn, before, decision)
        if within is not None:
            within(conn, head.rev)
        if trust is not None:
            if trust.before_commit and (refusal := trust.before_commit(trust.head, decision, head)):
                conn.execute("ROLLBACK")
                return Outcome(before, before, None, refusal)
            trust.announce(head)
        conn.execute("COMMIT")
        if trust is not None:
            trust.settle(done=True)
        return Outcome(head.state, before, decision)
    except BaseException:
        if trust is not None:
            trust.settle(done=False)
        if conn.in_transaction:
            conn.execute("ROLLBACK")
        raise


def _to_record(
    before: State,
    mismatch: str,
    known: Decision | None,
    decide: Callable[[State], Decision | Refusal | None],
    request: str,
) -> Decision | Outcome:
    """The decision to record, or the outcome of a request that records nothing. `known` is what the log has under its
    id."""
    if known is not None and known.request == request and not _needed_again(known, before):
        return Outcome(before, before, known)
    decision = decide(before)
    if known is not None:
        if not isinstance(decision, Decision) or decision.kind not in DOWN:
            return Outcome(before, before, None, _used(known))
        decision = replace(decision, request_id=uuid.uuid4().hex)
    if not isinstance(decision, Decision):
        return Outcome(before, before, None, decision)
    if refusal := unlawful(before, decision) or _unfounded(before, decision, mismatch):
        return Outcome(before, before, None, refusal)
    return replace(decision, request=request)


def find(conn: sqlite3.Connection, request_id: str) -> Decision | None:
    """The decision recorded under a request id."""
    row = conn.execute("SELECT body FROM decision WHERE request_id = ?", (request_id,)).fetchone()
    return None if row is None else _decision.decode(row[0])


def _needed_again(known: Decision, now: State) -> bool:
    """A rollback not in force any more, because a raise followed."""
    return known.kind in DOWN and known.percent_bp < now.percent_bp


def _used(known: Decision) -> Refusal:
    return Refusal(
        f"Not done: this request id was used for another request ({known.sentence}, {iso(known.at)}). Use a new id."
    )


def _before(conn: sqlite3.Connection, trust: Trust | None) -> tuple[State, str]:
    """The state that the log leads to, and how the control row differs from it ("" when it does not)."""
    if trust is not None:
        mismatch = trust.broken or trust.differs or trust.mismatch(conn)
        return (trust.head.state, "") if not mismatch else (_continued(conn, trust.head.state), mismatch)
    row = conn.execute("SELECT rev, epoch, percent_bp FROM control WHERE id = 1").fetchone() or (0, 0, 0)
    state = stored_state(conn) or State()
    last = conn.execute("SELECT rev, epoch, percent_to FROM decision ORDER BY rev DESC LIMIT 1").fetchone() or (0, 0, 0)
    if row == last == (state.rev, state.epoch, state.percent_bp):
        return state, ""
    return _continued(conn, state), "the control row does not match the last decision"


def _continued(conn: sqlite3.Connection, fallback: State) -> State:
    """State by replaying the log; if it cannot be replayed, the last known state with the next revision and epoch."""
    rev, epoch = conn.execute("SELECT coalesce(max(rev), 0), coalesce(max(epoch), 0) FROM decision").fetchone()
    try:
        state = State()
        for (body,) in conn.execute("SELECT body FROM decision ORDER BY rev").fetchall():
            state = transition(state, _decision.decode(body))
    except (msgspec.MsgspecError, TypeError):
        state = fallback
    return replace(state, rev=rev, epoch=min(max(epoch, state.epoch), MOST_EPOCHS))


def _unfounded(before: State, decision: Decision, mismatch: str) -> Refusal | None:
    raises = decision.kind in UP_OR_RESUME or decision.percent_bp > before.percent_bp
    if not mismatch or not raises:
        return None
    return Refusal(
        f"Not done: {mismatch}. Nothing can be raised until `rollout log --verify` passes and a rollback has "
        "been recorded."
    )


UP_OR_RESUME = frozenset({"promote", "undo_rollback", "resume", "ceiling"})


def append(conn: sqlite3.Connection, before: State, decision: Decision) -> State:
    """Write one decision and the state it leads to, inside the caller's transaction."""
    return _append(conn, before, decision).state


def _append(conn: sqlite3.Connection, before: State, decision: Decision) -> Head:
    after = transition(before, decision)
    text = _encoder.encode(after).decode()
    last = conn.execute("SELECT hash FROM decision ORDER BY rev DESC LIMIT 1").fetchone()
    prev = last[0] if last else GENESIS
    body = _encoder.encode(decision).decode()
    digest = chain(prev, after.rev, body)
    values = after.rev, body, prev, digest, *beside_body(decision, before, after)
    marks = ",".join("?" * len(values))
    conn.execute(f"INSERT INTO decision ({DECISION_COLUMNS}) VALUES ({marks})", values)
    conn.execute(
        "INSERT INTO control VALUES (1,?,?,?,?) ON CONFLICT(id) DO UPDATE SET epoch = excluded.epoch, rev = "
        "excluded.rev, percent_bp = excluded.percent_bp, state = excluded.state",
        (after.epoch, after.rev, after.percent_bp, text),
    )
    return Head(after.rev, digest, after, text)


def trusted(conn: sqlite3.Connection) -> tuple[Trust, Verification]:
    """What an engine may trust at its start: the whole log, verified, and the control row only if it matches the
    log."""
    with read_transaction(conn):
        checked = verify(conn)
        row = conn.execute("SELECT state FROM control WHERE id = 1").fetchone()
        if checked.ok:
            state = read_state(conn)
            return Trust(Head(state.rev, checked.head, state, row[0] if row else "")), checked
        state = _continued(conn, State())
        last = conn.execute("SELECT hash FROM decision ORDER BY rev DESC LIMIT 1").fetchone()
        head = Head(state.rev, last[0] if last else GENESIS, state, _encoder.encode(state).decode())
        trust = Trust(head, "" if checked.chain else checked.sentence)
        trust.differs = checked.sentence
        return trust, checked


def rows(
    conn: sqlite3.Connection, after: int = 0, before: int | None = None, limit: int = 100, newest: bool = True
) -> list[Row]:
    """Decisions with rev in (after, before), newest first by default."""
    order = "DESC" if newest else "ASC"
    where = f"rev > ? AND rev < ? ORDER BY rev {order} LIMIT ?"
    return _rows(conn, where, (after, before if before is not None else 1 << 60, limit))


class Newest(Generic[T]):
    """The newest decisions, each read and shown once: the log only grows, and a view is made every second."""

    def __init__(self, limit: int, show: Callable[[Row], T]) -> None:
        self._limit = limit
        self._show = show
        self._heads: list[tuple[int, str]] = []
        self._shown: tuple[T, ...] = ()

    def read(self, conn: sqlite3.Connection) -> tuple[T, ...]:
        """The newest decisions as shown, newest first."""
        heads = conn.execute("SELECT rev, hash FROM decision ORDER BY rev DESC LIMIT ?", (self._limit,)).fetchall()
        if heads != self._heads:
            self._shown = tuple(self._show(row) for row in rows(conn, limit=self._limit))
            self._heads = heads
        return self._shown


def during(conn: sqlite3.Connection, since: float, until: float, limit: int, kinds: tuple[str, ...] = ()) -> list[Row]:
    """The newest `limit` decisions with since <= at < until (of these kinds), newest first."""
    of_kinds = f" AND kind IN ({','.join('?' * len(kinds))})" if kinds else ""
    where = f"at >= ? AND at < ?{of_kinds} ORDER BY rev DESC LIMIT ?"
    return _rows(conn, where, (since, until, *kinds, limit))


def _rows(conn: sqlite3.Connection, where: str, values: tuple[object, ...]) -> list[Row]:
    fetched = conn.execute(
        f"SELECT rev, body, percent_from, epoch, prev, hash FROM decision WHERE {where}", values
    ).fetchall()
    return [
        Row(rev, _decision.decode(body), was, epoch, prev, digest) for rev, body, was, epoch, prev, digest in fetched
    ]


def last(conn: sqlite3.Connection, kinds: tuple[str, ...], before: int = 1 << 60) -> Row | None:
    """The latest decision of these kinds with a rev below `before`."""
    marks = ",".join("?" * len(kinds))
    row = conn.execute(
        f"SELECT max(rev) FROM decision WHERE kind IN ({marks}) AND rev < ?", (*kinds, before)
    ).fetchone()
    return None if row[0] is None else rows(conn, after=row[0] - 1, before=row[0] + 1, limit=1)[0]


def rolled_back(conn: sqlite3.Connection) -> bool:
    """Whether the last decision about the armed file was a rollback to 0 %, so that no person has allowed calls
    since."""
    row = last(conn, (*DOWN, "promote", "undo_rollback", "resume"))
    return row is not None and row.decision.kind in DOWN and not row.decision.percent_bp


def locked_by(conn: sqlite3.Connection, state: State) -> str:
    """The trigger whose rollback locked promotion in this state; "" while it is not locked."""
    row = last(conn, ("trigger",), before=state.rev + 1) if state.locked else None
    return str(row.decision.evidence.get("trigger", "")) if row is not None else ""


def held_by(conn: sqlite3.Connection, state: State) -> tuple[str, str]:
    """(the trigger or the person that holds promotion in this state, the person's reason); "" where it is unknown."""
    row = last(conn, ("hold",), before=state.rev + 1) if state.held else None
    if row is None or row.decision.held != state.held:
        return "", ""
    trigger = str(row.decision.evidence.get("trigger", ""))
    return (trigger, "") if trigger else (row.decision.actor.name, row.decision.reason)


def reason_of(conn: sqlite3.Connection, rev: int) -> str:
    """The reason that was given for a decision after it, the newest one; "" for none."""
    row = conn.execute(
        "SELECT json_extract(body, '$.reason') FROM decision WHERE rev > ? AND kind = 'reason' "
        "AND json_extract(body, '$.evidence.of') = ? ORDER BY rev DESC LIMIT 1",
        (rev, rev),
    ).fetchone()
    return str(row[0] or "") if row is not None else ""


def first_at(conn: sqlite3.Connection) -> float | None:
    """When the log began; None while it is empty."""
    (at,) = conn.execute("SELECT min(at) FROM decision").fetchone()
    return None if at is None else float(at)


def began(conn: sqlite3.Connection, epoch: int) -> float:
    """When this epoch began; 0 if that was before the log."""
    row = conn.execute("SELECT at FROM decision WHERE epoch = ? ORDER BY rev LIMIT 1", (epoch,)).fetchone()
    return float(row[0]) if row else 0.0


def epochs_since(conn: sqlite3.Connection, epoch: int) -> list[str]:
    """The kinds of the decisions that began each later epoch, oldest first."""
    query = "SELECT kind, min(rev) AS first FROM decision WHERE epoch > ? GROUP BY epoch ORDER BY first"
    return [kind for kind, _ in conn.execute(query, (epoch,)).fetchall()]


def moved_by(conn: sqlite3.Connection, epoch: int) -> str:
    """Which decision began this epoch: "bo promoted to stage 3, 25 % (14:03:07Z)"."""
    row = conn.execute("SELECT body FROM decision WHERE epoch = ? ORDER BY rev LIMIT 1", (epoch,)).fetchone()
    if row is None:
        return "nothing"
    decision = _decision.decode(row[0])
    return f"{decision.sentence} ({iso(decision.at)})"


def every(conn: sqlite3.Connection) -> Iterator[Row]:
    """The whole log, oldest first, in pages, so that no read transaction stays open."""
    after = 0
    while page := rows(conn, after=after, limit=500, newest=False):
        yield from page
        after = page[-1].rev


def json_body(value: Any) -> str:
    """Deterministic JSON of structs and plain values, for a TEXT column."""
    return _encoder.encode(value).decode()
