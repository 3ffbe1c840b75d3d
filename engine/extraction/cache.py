"""The LLM cache: persistent, bounded by bytes, exact.

A key says everything that the answer depends on: the text, the model's digest, the prompt's version, the limits. Only answers of
the LLM are kept; a fallback never is. Reads use the loop's read-only connection, writes ride in the writer's batches.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3

from engine.extraction.keywords import Keywords
from engine.plan.model import Llm


def cache_key(text: str, model_digest: str, prompt_version: str, llm: Llm) -> str:
    limits = f"{llm.max_descriptive}|{llm.max_technical}|{llm.max_total}|{llm.chunk_chars}"
    head = f"{llm.model}|{model_digest}|{prompt_version}|{limits}"
    return hashlib.sha256(f"{head}\0{text}".encode("utf-8", "surrogatepass")).hexdigest()


class LlmCache:
    """`keep`, `touch` and `forget` run in the writer's thread only, `look_up` in the loop's."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._total: int | None = None

    def look_up(self, conn: sqlite3.Connection, key: str) -> Keywords | None:
        row = conn.execute("SELECT body FROM llm_cache WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        ranked, technical = json.loads(row[0])
        return Keywords(tuple(ranked), tuple(technical))

    def keep(self, conn: sqlite3.Connection, key: str, keywords: Keywords, at: float) -> None:
        """Store one answer and drop the least recently used beyond the limit. Inside the caller's transaction."""
        if self._total is None:
            (self._total,) = conn.execute("SELECT coalesce(sum(bytes), 0) FROM llm_cache").fetchone()
        body = json.dumps([list(keywords.ranked), list(keywords.technical)], ensure_ascii=False)
        size = len(body.encode()) + len(key) + 64
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
        """Drop every answer that was made or served since then: what a restore put back is not to come again from here."""
        conn.execute("DELETE FROM llm_cache WHERE used >= ?", (since,))
        self._total = None
