"""How far old rows may be deleted: only as far as the engine has run, never by one reading of a wall clock."""

from __future__ import annotations

import sqlite3

from engine.clock import Clock


class Retention:
    """A moment that advances with the monotonic clock from where the last engine left it, never later than now.

    A wall clock that is months ahead for a minute thus deletes a minute's worth. Time without an engine does not count:
    data kept for 30 days is kept for 30 days of running.
    """

    def __init__(self, clock: Clock, conn: sqlite3.Connection) -> None:
        self._clock = clock
        row = conn.execute("SELECT reached FROM retention WHERE id = 1").fetchone()
        newest = row or conn.execute("SELECT max(at) FROM extraction").fetchone()
        self._reached = clock.now() if newest[0] is None else float(newest[0])
        self._at = clock.monotonic()

    def reached(self) -> float:
        now = self._clock.monotonic()
        self._reached, self._at = min(self._clock.now(), self._reached + max(0.0, now - self._at)), now
        return self._reached


def keep(conn: sqlite3.Connection, reached: float) -> None:
    """Store how far retention has deleted, inside the caller's transaction."""
    conn.execute(
        "INSERT INTO retention VALUES (1,?) ON CONFLICT(id) DO UPDATE SET reached = excluded.reached", (reached,)
    )
