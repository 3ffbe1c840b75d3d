"""Every extraction raw, and folded in the same transaction into buckets of 10 s, 1 min and 1 h by arm, method, stage and epoch."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from engine.metrics.bucket import Bucket
from engine.store.records import Extraction

LEVELS = (10, 60, 3600)

_INSERT = (
    "INSERT INTO extraction (at, document_id, arm, method, stage, epoch, attempted, cached, lookup, fallback, skipped, shadow, "
    "error, message, ms, queue_ms, keywords, proposed, ungrounded, server) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
)
_READ = "SELECT body FROM rollup WHERE level = ? AND t = ? AND arm = ? AND method = ? AND stage = ? AND epoch = ?"
_WRITE = "INSERT OR REPLACE INTO rollup VALUES (?,?,?,?,?,?,?)"


def insert_and_fold(conn: sqlite3.Connection, records: Sequence[Extraction]) -> None:
    """Inside the caller's transaction; each bucket touched is read and written once a flush."""
    conn.executemany(
        _INSERT,
        [
            (
                r.at, r.document_id, r.arm, r.method, r.stage, r.epoch, r.attempted, r.cached, r.lookup, r.fallback, r.skipped,
                r.shadow, r.error, r.message, r.ms, r.queue_ms, r.keywords, r.proposed, r.ungrounded, r.server,
            )
            for r in records
        ],
    )  # fmt: skip
    made: dict[tuple[int, int, str, str, int, int], Bucket] = {}
    for r in records:
        made.setdefault((10, int(r.at // 10) * 10, r.arm, r.method, r.stage, r.epoch), Bucket()).add(r)
    for level in LEVELS[1:]:
        for (_, t, *series), bucket in [item for item in made.items() if item[0][0] == 10]:
            key = (level, t // level * level, *series)
            made.setdefault(key, Bucket()).merge(bucket)  # type: ignore[arg-type]
    for key, bucket in made.items():
        row = conn.execute(_READ, key).fetchone()
        if row is not None:
            bucket.merge(Bucket.decode(row[0]))
        conn.execute(_WRITE, (*key, bucket.encode()))


def retain(conn: sqlite3.Connection, now: float, raw_s: float, ten_s: float, minute_s: float, limit: int = 500) -> int:
    """Delete at most `limit` old rows of each kind, inside the caller's transaction; how many. Hours stay for ever."""
    gone = conn.execute(
        "DELETE FROM extraction WHERE id IN (SELECT id FROM extraction WHERE at < ? ORDER BY at LIMIT ?)", (now - raw_s, limit)
    ).rowcount
    for level, keep in ((10, ten_s), (60, minute_s)):
        old = conn.execute(
            "SELECT level, t, arm, method, stage, epoch FROM rollup WHERE level = ? AND t < ? LIMIT ?", (level, int(now - keep), limit)
        ).fetchall()
        conn.executemany("DELETE FROM rollup WHERE level = ? AND t = ? AND arm = ? AND method = ? AND stage = ? AND epoch = ?", old)
        gone += len(old)
    return gone
