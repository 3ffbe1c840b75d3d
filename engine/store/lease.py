"""The lease: which engine may write, and when it last showed that it runs. Written only here."""

from __future__ import annotations

import os
import sqlite3

from msgspec import Struct

from engine.store import database, log
from engine.store.folder import Folder


class Lease(Struct, frozen=True):
    """All but `token` are of the engine before; None for a new store. `heartbeat` is by the machine's wall clock,
    `evaluated` by the engine's calendar, which runs ahead in a rehearsal."""

    token: int
    clean: bool
    heartbeat: float | None
    evaluated: float | None


def take(conn: sqlite3.Connection, pid: int, now: float, beat: float) -> Lease:
    """Bump the fencing token in the caller's transaction: the engine before can write nothing any more."""
    row = conn.execute("SELECT token, clean, heartbeat, evaluated FROM lease WHERE id = 1").fetchone()
    token = (row[0] if row else 0) + 1
    conn.execute(
        "INSERT INTO lease VALUES (1,?,?,?,?,?,0) ON CONFLICT(id) DO UPDATE SET token = excluded.token, pid "
        "= excluded.pid, started = excluded.started, heartbeat = excluded.heartbeat, evaluated = "
        "excluded.evaluated, clean = 0",
        (token, pid, now, beat, now),
    )
    return Lease(token, bool(row[1]), row[2], row[3]) if row else Lease(token, True, None, None)


def taken(folder: Folder, now: float, beat: float) -> Lease:
    """The lease of this process, in a transaction of its own. `now`: the calendar's, `beat`: the machine's time."""
    conn = database.open_writer(folder, "FULL")
    try:
        log.begin(conn, None)
        lease = take(conn, os.getpid(), now, beat)
        conn.execute("COMMIT")
        return lease
    finally:
        conn.close()


def beat(conn: sqlite3.Connection, at: float, evaluated: float) -> None:
    """The engine runs, and has evaluated the triggers."""
    conn.execute("UPDATE lease SET heartbeat = ?, evaluated = ? WHERE id = 1", (at, evaluated))


def ended(conn: sqlite3.Connection) -> None:
    """The engine ends as it should."""
    conn.execute("UPDATE lease SET clean = 1 WHERE id = 1")
