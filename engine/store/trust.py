"""What may be in force: the state that the verified log leads to, kept in memory, regardless of the control row.

Anyone who can write the database file can write the control row too. So the row counts only where it equals what this
engine verified at its start and has decided since. The writer's thread announces a decision before its commit and
settles it after; readers in other threads see one consistent value.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from msgspec import Struct

from engine.rollout.state import Decision, Refusal, State

QUERY = (
    "SELECT percent_bp, epoch, rev, state, (SELECT max(rev) FROM decision), (SELECT token FROM lease WHERE id = 1) "
    "FROM control WHERE id = 1"
)
RETRIES = 10


class Head(Struct, frozen=True):
    """The last decision, the state it leads to, and the control row that must match."""

    rev: int
    hash: str
    state: State
    text: str  # of `state`, as stored in the row

    @property
    def row(self) -> tuple[int, int, int, str, int]:
        """The control row as `QUERY` reads it, without the token."""
        return self.state.percent_bp, self.state.epoch, self.rev, self.text, self.rev


class Trust:
    """One engine's knowledge of the log. `broken`: what is wrong with the log itself; while it is set, 0 % is in
    force."""

    def __init__(self, head: Head, broken: str = "") -> None:
        self._now: tuple[Head, Head | None] = (head, None)
        self._row = head.row
        self.broken = broken
        self.differs = ""  # the difference that was seen, until a decision of this engine corrects the row
        self.before_commit: Callable[[Head, Decision, Head], Refusal | None] | None = None  # may refuse a decision

    @property
    def head(self) -> Head:
        return self._now[0]

    # -- the writer's thread -------------------------------------------------------------------------------------------

    def announce(self, head: Head) -> None:
        """Announce a decision before its commit: from now on readers may see the new row."""
        self._now = (self._now[0], head)

    def settle(self, done: bool) -> None:
        """Settle an announced decision, after its commit has succeeded or failed."""
        known, coming = self._now
        if done and coming is not None:
            self.differs = ""
            self._row = coming.row
            self._now = (coming, None)
        else:
            self._now = (known, None)

    def mismatch(self, conn: sqlite3.Connection) -> str:
        """What is wrong with the row or the last decision, inside a write transaction; "" when both match."""
        head = self.head
        last = conn.execute("SELECT rev, hash FROM decision ORDER BY rev DESC LIMIT 1").fetchone() or (0, head.hash)
        row = conn.execute(QUERY).fetchone()
        if last[0] != head.rev:
            return f"the log has {last[0]} decisions, this engine knows of {head.rev}"
        if last[1] != head.hash:
            return f"decision {head.rev} is not the one that was recorded"
        if row is not None and row[:5] != head.row:
            return _difference(row, head)
        return "the control row is missing" if row is None and head.rev else ""

    def check(self, conn: sqlite3.Connection, token: int) -> str:
        """What is wrong, for a reader, while the writer may commit; also any difference a read has noticed since
        the last decision."""
        now = self._now
        if now[1] is None and not self.differs:
            mismatch = self.mismatch(conn)
            row = conn.execute(QUERY).fetchone()
            if now is self._now and (
                row is None or row[5] == token
            ):  # no commit landed between the two reads, and no other engine wrote
                self.differs = mismatch
        return self.differs

    # -- readers -------------------------------------------------------------------------------------------------------

    def read(self, conn: sqlite3.Connection, token: int) -> tuple[int, int, int]:
        """(percent_bp in force by the log, epoch, fencing token). A row that differs gives 0 % and sets `differs`,
        unless another engine wrote it; then it returns that engine's token."""
        for _ in range(RETRIES):
            now = self._now
            row = conn.execute(QUERY).fetchone()
            if row is None:
                if now[0].rev:
                    self.differs = "the control row is missing"
                return 0, 0, token
            if row[:5] == self._row and now is self._now:
                return min(row[0], now[0].state.ceiling_bp), row[1], row[5]
            if row[5] != token:
                break
            if now[1] is not None and row[:5] in (now[0].row, now[1].row):
                return min(now[0].state.in_force_bp, now[1].state.in_force_bp), row[1], row[5]
            if now is self._now:  # not a commit that landed between the two reads
                self.differs = _difference(row, now[0])
                break
        return 0, row[1], row[5]  # NULL without a lease, which matches no token


def _difference(row: tuple[object, ...], head: Head) -> str:
    names = ("percentage in basis points", "epoch", "revision", "state", "last decision")
    differing = [(name, a, b) for name, a, b in zip(names, row, head.row, strict=False) if a != b]
    parts = [
        f"{name} {a}, the log has {b}" if name != "state" else "its state differs from the log's"
        for name, a, b in differing
    ]
    return "the control row has " + "; ".join(parts) if parts else "the control row differs from the log"
