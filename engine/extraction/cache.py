"""The LLM cache: persistent, bounded by bytes, exact.

A key covers everything the answer depends on: the text, the model and its digest, the prompt's version, the limits.
Only served LLM answers are kept, never a fallback. Each records the revision of the control state it was made under, so
that a rollback can void older ones. Reads use the loop's read-only connection, writes join the writer's batches.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3

from engine.extraction.keywords import Keywords
from engine.plan.model import Llm

ROW_BYTES = 64  # bytes of a row beside its key and body
# answers between two counts of the whole table, since a batch that is rolled back leaves the running total wrong
RECOUNT = 256


def cache_key(text: str, model_digest: str, prompt_version: str, llm: Llm) -> str:
    limits = (llm.max_descriptive, llm.max_technical, llm.max_total, llm.chunk_chars, llm.num_ctx, llm.temperature)
    asked = [] if llm.schema else ["no schema"]
    head = json.dumps([llm.api, llm.model, model_digest, prompt_version, *limits, *asked])
    return hashlib.sha256(f"{head}\0{text}".encode("utf-8", "surrogatepass")).hexdigest()


class LlmCache:
    """`keep`, `touch` and `forget` run only in the writer's thread, `look_up` in the loop's."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._total = 0
        self._kept = 0

    def look_up(self, conn: sqlite3.Connection, key: str, since_rev: int = 0) -> Keywords | None:
        """The cached answer, unless it was made before revision `since_rev`. An unreadable row counts as a miss."""
        try:
            row = conn.execute("SELECT body FROM llm_cache WHERE key = ?", (key,)).fetchone()
            if row is None:
                return None
            ranked, technical, rev = json.loads(row[0])
            return Keywords(tuple(ranked), tuple(technical)) if rev >= since_rev else None
        except (sqlite3.Error, ValueError, TypeError):
            return None

    def keep(self, conn: sqlite3.Connection, key: str, keywords: Keywords, rev: int, at: float) -> None:
        """Store one answer and drop the least recently used ones beyond the limit. Runs inside the caller's
        transaction."""
        if self._kept % RECOUNT == 0:
            (self._total,) = conn.execute("SELECT coalesce(sum(bytes), 0) FROM llm_cache").fetchone()
        self._kept += 1
        body = json.dumps([list(keywords.ranked), list(keywords.technical), rev], ensure_ascii=False)
        size = len(body.encode()) + len(key) + ROW_BYTES
        replaced = conn.execute("DELETE FROM llm_cache WHERE key = ? RETURNING bytes", (key,)).fetchall()
        conn.execute("INSERT INTO llm_cache VALUES (?,?,?,?)", (key, body, size, at))
        self._total += size - sum(old for (old,) in replaced)
        while self._total > self._limit:
            oldest = conn.execute("SELECT key, bytes FROM llm_cache ORDER BY used LIMIT 64").fetchall()
            if not oldest:
                break
            for stale, stale_bytes in oldest:
                conn.execute("DELETE FROM llm_cache WHERE key = ?", (stale,))
                self._total -= stale_bytes
                if self._total <= self._limit:
                    break

    def touch(self, conn: sqlite3.Connection, key: str, at: float) -> None:
        conn.execute("UPDATE llm_cache SET used = ? WHERE key = ?", (at, key))

    def forget(self, conn: sqlite3.Connection, since: float) -> None:
        """Drop every answer made or served since then, so that a restored document does not get its LLM keywords back
        from here."""
        conn.execute("DELETE FROM llm_cache WHERE used >= ?", (since,))
        self._kept = 0
