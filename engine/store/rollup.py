"""Stores every extraction raw and adds it, in the same transaction, to buckets by stage and epoch, each with both
arms.

Widths range from 10 s to 6 h, for windows and curves. One bucket covers all time (`ALL`), so totals, a stage's table
and the A/B test cost the same after a year as on day one. A bucket counts by method internally (`Bucket.llm`,
`frequency`, `fallbacks`).
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Sequence

import msgspec
from msgspec.structs import astuple, replace

from engine.measures.bucket import Arms, Stored
from engine.measures.record import Extraction

LEVELS = (10, 60, 600, 3600, 21600)
ALL = 0

Key = tuple[int, int, int, int]  # level, t, stage, epoch

_COLUMNS = Extraction.__struct_fields__  # a column each, of the same name
_INSERT = f"INSERT INTO extraction ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"
_READ = "SELECT body FROM rollup WHERE level = ? AND t = ? AND stage = ? AND epoch = ?"
_WRITE = "INSERT OR REPLACE INTO rollup VALUES (?,?,?,?,?)"


def insert_and_fold(conn: sqlite3.Connection, records: Sequence[Extraction]) -> None:
    """Store raw rows and update buckets, inside the caller's transaction. Reads and writes each affected bucket
    once per call."""
    insert(conn, records)
    fold(conn, records)


def insert(conn: sqlite3.Connection, records: Sequence[Extraction]) -> None:
    """The raw rows alone."""
    conn.executemany(_INSERT, [astuple(_finite(r)) for r in records])


def fold(conn: sqlite3.Connection, records: Sequence[Extraction]) -> None:
    """The second half of `insert_and_fold` alone: the buckets."""
    finest: dict[tuple[int, int, int], Arms] = {}
    width = LEVELS[0]
    for r in records:
        key = (int(r.at // width) * width, r.stage, r.epoch)
        arms = finest.get(key)
        if arms is None:
            arms = finest[key] = Arms()
        arms.add(r)
    touched: dict[Key, Arms] = {}
    for (t, stage, epoch), arms in finest.items():
        for level in (*LEVELS, ALL):
            whole = (level, t // level * level if level else 0, stage, epoch)
            if whole not in touched:
                touched[whole] = Arms()
            touched[whole].merge(arms)
    conn.executemany(_WRITE, [(*key, _with(conn, key, arms)) for key, arms in touched.items()])


def _with(conn: sqlite3.Connection, key: Key, more: Arms) -> bytes:
    """The stored bucket plus `more`. An unreadable bucket restarts empty: its counts are still in the raw rows, and
    extraction continues."""
    row = conn.execute(_READ, key).fetchone()
    try:
        return Stored.decode(row[0]).plus(more) if row is not None else more.encode()
    except msgspec.DecodeError:
        return more.encode()


def bring_back(conn: sqlite3.Connection, now: float, latest: float, step_s: float) -> None:
    """Merge buckets that begin after `latest` into those at their time moved by `step_s`, at most the current ones."""
    later = "SELECT level, t, stage, epoch, body FROM rollup WHERE level = ? AND t > ?"
    rows = []
    for level in LEVELS:
        rows += conn.execute(later, (level, latest)).fetchall()
    for level, t, stage, epoch, body in rows:
        conn.execute(
            "DELETE FROM rollup WHERE level = ? AND t = ? AND stage = ? AND epoch = ?", (level, t, stage, epoch)
        )
        key = (level, int(min(now, t + step_s) // level) * level, stage, epoch)
        try:
            conn.execute(_WRITE, (*key, _with(conn, key, Arms.decode(body))))
        except msgspec.DecodeError:  # its counts are still in the raw rows
            continue


def _finite(r: Extraction) -> Extraction:
    """With 0 for a time that is not finite: SQLite stores NaN as NULL, which the column refuses, at the cost of a
    batch."""
    if math.isfinite(r.ms) and math.isfinite(r.queue_ms):
        return r
    ms, queue_ms = (value if math.isfinite(value) else 0.0 for value in (r.ms, r.queue_ms))
    return replace(r, ms=ms, queue_ms=queue_ms)


def retain(conn: sqlite3.Connection, now: float, raw_s: float, ten_s: float, minute_s: float, limit: int = 500) -> int:
    """Delete at most about `limit` old rows of each kind, oldest first, inside the caller's transaction; return how
    many.

    Raw rows (extractions, probes, trigger evidence) are kept for `raw_s` seconds, 10 s buckets for `ten_s`, those of 1
    and 10 min for `minute_s`; hourly ones forever. Call again until it returns 0.
    """
    raw = "DELETE FROM extraction WHERE id IN (SELECT id FROM extraction WHERE at < ? ORDER BY at LIMIT ?)"
    gone = conn.execute(raw, (now - raw_s, limit)).rowcount
    for table in ("probe", "trigger_evidence"):  # written in time order, so the oldest have the lowest rowid
        oldest = f"DELETE FROM {table} WHERE rowid IN (SELECT rowid FROM {table} ORDER BY rowid LIMIT ?) AND at < ?"
        gone += conn.execute(oldest, (limit, now - raw_s)).rowcount
    for level, keep in ((10, ten_s), (60, minute_s), (600, minute_s)):
        gone += _delete_before(conn, level, now - keep - level, limit)
    return gone


def _delete_before(conn: sqlite3.Connection, level: int, end: float, limit: int) -> int:
    """Deletes whole time steps only, so that no partial step remains."""
    query = "SELECT t FROM rollup WHERE level = ? AND t <= ? ORDER BY t LIMIT 1 OFFSET ?"
    first = conn.execute(query, (level, end, 0)).fetchone()
    if first is None:
        return 0
    beyond = conn.execute(query, (level, end, limit)).fetchone()
    last = end if beyond is None else max(first[0], beyond[0] - level)
    return conn.execute("DELETE FROM rollup WHERE level = ? AND t <= ?", (level, last)).rowcount
