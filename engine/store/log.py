"""The decision log: append-only, hash-chained, and the one place where the control state is written.

A commit is one `BEGIN IMMEDIATE` transaction: read the state, decide, append the decision, write the state. A request that is in
the log already is answered from it, because a commit may land unacknowledged; an id that is used for another request is refused,
and a way down is taken all the same.
"""

from __future__ import annotations

import hashlib
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from engine.plan.durations import iso
from engine.rollout.control import DOWN, Decision, Refusal, State, transition, unlawful
from engine.store.database import one_moment
from engine.store.trust import Head, Trust

_encoder = msgspec.json.Encoder(order="sorted")
_state = msgspec.json.Decoder(State)
_decision = msgspec.json.Decoder(Decision)
GENESIS = "0" * 64


class Fenced(Exception):
    """Another engine has taken over: this one may write nothing more."""


class Outcome(Struct, frozen=True):
    """What a commit did. `decision` is None when it was refused (`refusal`) or when there was nothing to do."""

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
    row = conn.execute("SELECT state FROM control WHERE id = 1").fetchone()
    return _state.decode(row[0]) if row else State()


def begin(conn: sqlite3.Connection, token: int | None) -> None:
    """Open a write transaction under a fencing token. Fenced when the token is no longer the current one."""
    conn.execute("BEGIN IMMEDIATE")
    if token is None:
        return
    row = conn.execute("SELECT token FROM lease WHERE id = 1").fetchone()
    if row is None or row[0] != token:
        conn.execute("ROLLBACK")
        current = row[0] if row else "none"
        raise Fenced(f"This engine's token {token} is over (the store's is {current}): another engine has taken over.")


def commit(
    conn: sqlite3.Connection,
    request_id: str,
    decide: Callable[[State], Decision | Refusal | None],
    token: int | None = None,
    also: Callable[[sqlite3.Connection, int], None] | None = None,
    *,
    request: str = "",
    trust: Trust | None = None,
) -> Outcome:
    """Decide and record in one transaction. `also(conn, rev)` writes what belongs to the decision (a restore, a signature).

    `request` is the digest of what is asked under `request_id`. The state decided on is the log's; a control row that differs
    from it (by `trust`, else by the row's own figures) stops a raise and is set right by whatever is recorded. sqlite3.Error and
    Fenced leave nothing behind.
    """
    begin(conn, token)
    try:
        before, untrue = _before(conn, trust)
        known = find(conn, request_id)
        if known is not None and known.request == request and not _needed_again(known, before):
            conn.execute("ROLLBACK")
            return Outcome(before, before, known)
        decision = decide(before)
        if known is not None:
            if not isinstance(decision, Decision) or decision.kind not in DOWN:
                conn.execute("ROLLBACK")
                return Outcome(before, before, None, _used(known))
            decision = replace(decision, request_id=uuid.uuid4().hex)
        if isinstance(decision, Decision):
            refusal = unlawful(before, decision) or _unfounded(before, decision, untrue)
        else:
            refusal = decision
        if refusal is not None or not isinstance(decision, Decision):
            conn.execute("ROLLBACK")
            return Outcome(before, before, None, refusal)
        decision = replace(decision, request=request)
        head = _append(conn, before, decision)
        if also is not None:
            also(conn, head.rev)
        if trust is not None:
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


def find(conn: sqlite3.Connection, request_id: str) -> Decision | None:
    """The decision that was recorded under a request id."""
    row = conn.execute("SELECT body FROM decision WHERE request_id = ?", (request_id,)).fetchone()
    return None if row is None else _decision.decode(row[0])


def _needed_again(known: Decision, now: State) -> bool:
    """A rollback that is no longer in force: a raise came since."""
    return known.kind in DOWN and known.percent_bp < now.percent_bp


def _used(known: Decision) -> Refusal:
    return Refusal(
        f"Not done: this request id was used for another request ({known.sentence}, {iso(known.at)}). Send it under an id of its own."
    )


def _before(conn: sqlite3.Connection, trust: Trust | None) -> tuple[State, str]:
    """The state that the log leads to, and what is wrong with the row that should say so."""
    if trust is not None:
        untrue = trust.broken or trust.differs or trust.untrue(conn)
        return (trust.head.state, "") if not untrue else (_continued(conn, trust.head.state), untrue)
    row = conn.execute("SELECT rev, epoch, percent_bp FROM control WHERE id = 1").fetchone() or (0, 0, 0)
    state = _stored(conn) or State()
    last = conn.execute("SELECT rev, epoch, percent_to FROM decision ORDER BY rev DESC LIMIT 1").fetchone() or (0, 0, 0)
    if row == last == (state.rev, state.epoch, state.percent_bp):
        return state, ""
    return _continued(conn, state), "the control row is not what the last decision says"


def _continued(conn: sqlite3.Connection, fallback: State) -> State:
    """By a replay of what is in the log; from a log that cannot be replayed, the state last known, with the numbers that go on."""
    rev, epoch = conn.execute("SELECT coalesce(max(rev), 0), coalesce(max(epoch), 0) FROM decision").fetchone()
    try:
        state = State()
        for (body,) in conn.execute("SELECT body FROM decision ORDER BY rev").fetchall():
            state = transition(state, _decision.decode(body))
    except (msgspec.MsgspecError, TypeError):
        state = fallback
    return replace(state, rev=rev, epoch=max(epoch, state.epoch))


def _unfounded(before: State, decision: Decision, untrue: str) -> Refusal | None:
    raises = decision.kind in UP_OR_RESUME or decision.percent_bp > before.percent_bp
    if not untrue or not raises:
        return None
    return Refusal(
        f"Not done: {untrue}. Nothing goes up until `rollout log --verify` passes and a rollback has been recorded."
    )


UP_OR_RESUME = frozenset({"promote", "undo_rollback", "resume", "ceiling"})


def append(conn: sqlite3.Connection, before: State, decision: Decision) -> State:
    """Write one decision and the state it leads to; the caller holds the transaction."""
    return _append(conn, before, decision).state


def _append(conn: sqlite3.Connection, before: State, decision: Decision) -> Head:
    after = transition(before, decision)
    text = _encoder.encode(after).decode()
    last = conn.execute("SELECT hash FROM decision ORDER BY rev DESC LIMIT 1").fetchone()
    prev = last[0] if last else GENESIS
    body = _encoder.encode(decision).decode()
    digest = chain(prev, after.rev, body)
    conn.execute(
        "INSERT INTO decision VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
        (
            after.rev, decision.at, decision.kind, decision.actor.name, decision.reason, decision.stage, before.percent_bp,
            decision.percent_bp, after.epoch, body, decision.request_id, prev, digest,
        ),
    )  # fmt: skip
    conn.execute(
        "INSERT INTO control VALUES (1,?,?,?,?) ON CONFLICT(id) DO UPDATE SET epoch = excluded.epoch, rev = excluded.rev, "
        "percent_bp = excluded.percent_bp, state = excluded.state",
        (after.epoch, after.rev, after.percent_bp, text),
    )
    return Head(after.rev, digest, after, text)


def trusted(conn: sqlite3.Connection) -> tuple[Trust, Verification]:
    """What an engine may believe when it starts: the whole log, verified, and the row only if it is what the log leads to."""
    with one_moment(conn):
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


def chain(prev: str, rev: int, body: str) -> str:
    return hashlib.sha256(f"{prev}\n{rev}\n{body}".encode()).hexdigest()


def rows(
    conn: sqlite3.Connection, after: int = 0, before: int | None = None, limit: int = 100, newest: bool = True
) -> list[Row]:
    """Decisions with rev in (after, before), newest first unless asked otherwise."""
    order = "DESC" if newest else "ASC"
    found = conn.execute(
        f"SELECT rev, body, percent_from, epoch, prev, hash FROM decision WHERE rev > ? AND rev < ? ORDER BY rev {order} LIMIT ?",
        (after, before if before is not None else 1 << 60, limit),
    ).fetchall()
    return [Row(rev, _decision.decode(body), was, epoch, prev, digest) for rev, body, was, epoch, prev, digest in found]


def last(conn: sqlite3.Connection, kinds: tuple[str, ...], before: int = 1 << 60) -> Row | None:
    """The latest decision of these kinds with a rev below `before`."""
    marks = ",".join("?" * len(kinds))
    row = conn.execute(
        f"SELECT max(rev) FROM decision WHERE kind IN ({marks}) AND rev < ?", (*kinds, before)
    ).fetchone()
    return None if row[0] is None else rows(conn, after=row[0] - 1, before=row[0] + 1, limit=1)[0]


def began(conn: sqlite3.Connection, epoch: int) -> float:
    """When the rollout came to this epoch; 0 for one before the log."""
    row = conn.execute("SELECT at FROM decision WHERE epoch = ? ORDER BY rev LIMIT 1", (epoch,)).fetchone()
    return float(row[0]) if row else 0.0


def epochs_since(conn: sqlite3.Connection, epoch: int) -> list[str]:
    """The kinds of the decisions that began each later epoch, oldest first."""
    query = "SELECT kind, min(rev) AS first FROM decision WHERE epoch > ? GROUP BY epoch ORDER BY first"
    return [kind for kind, _ in conn.execute(query, (epoch,)).fetchall()]


def moved_by(conn: sqlite3.Connection, epoch: int) -> str:
    """Who did what when the rollout came to this epoch: "bo promoted to stage 3, 25 % (14:03:07Z)"."""
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


class Verification(Struct, frozen=True):
    """Whether the log is whole and leads to the stored state."""

    ok: bool
    decisions: int
    head: str
    sentence: str
    chain: bool = True  # whether every hash follows, whatever the control row says


def verify(conn: sqlite3.Connection, head: str = "") -> Verification:
    """Check the numbering, every link of the chain, that the columns say what the bodies say, and that a replay gives the state.

    A log that was cut off at its end, and the state with it, is still a chain: `head`, a hash noted earlier (as this function and
    every backup say it), must occur in it. Read in one transaction, so that an engine may write meanwhile.
    """
    with one_moment(conn):
        return _verify(conn, head)


def _verify(conn: sqlite3.Connection, head: str) -> Verification:
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
                count, prev, f"decision {rev} was changed or moved: its hash does not follow from what is before it"
            )
        try:
            decision = _decision.decode(body)
        except msgspec.MsgspecError:
            return _broken(count, prev, f"decision {rev} cannot be read")
        after = transition(state, decision)
        told = [
            decision.at, decision.kind, decision.actor.name, decision.reason, decision.stage, state.percent_bp,
            decision.percent_bp, after.epoch, decision.request_id,
        ]  # fmt: skip
        if columns != told:
            return _broken(count, prev, f"decision {rev}'s columns do not say what its body says")
        prev, state = digest, after
        seen = seen or digest.startswith(head)
    if not seen:
        return _broken(
            count, prev, f"no decision has the hash {head[:16]}: the log was cut off or written anew since it was noted"
        )
    row = conn.execute("SELECT rev, epoch, percent_bp FROM control WHERE id = 1").fetchone() or (0, 0, 0)
    if _stored(conn) != state or row != (state.rev, state.epoch, state.percent_bp):
        return Verification(
            False, count, prev,
            f"The log is a chain of {count} decisions, but the stored state is not the one it leads to (the row says revision "
            f"{row[0]}, epoch {row[1]}, {row[2] / 100:g} %; the log leads to {state.rev}, {state.epoch}, "
            f"{state.percent_bp / 100:g} %): rows are missing at its end, or the state was changed.",
        )  # fmt: skip
    return Verification(
        True, count, prev, f"{count} decisions, every hash follows, a replay gives the stored state. Head {prev[:16]}."
    )


def _stored(conn: sqlite3.Connection) -> State | None:
    try:
        return read_state(conn)
    except msgspec.MsgspecError:
        return None


def _broken(count: int, prev: str, what: str) -> Verification:
    return Verification(False, count, prev, f"The log is broken: {what}.", chain=False)


def json_body(value: Any) -> str:
    """Deterministic JSON of structs and plain values, for a TEXT column."""
    return _encoder.encode(value).decode()
