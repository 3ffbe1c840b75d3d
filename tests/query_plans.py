"""How SQLite carries out what the product asks of a store: which statements read a whole table that grows without end."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable
from typing import Any

import pytest

GROW = (
    "document|document_text|document_source|extraction|rollup|llm_cache|trial_document|trigger_evidence|probe|feedback|job_key"
    "|job_part|gateway_batch|replay"
)
_SCAN = re.compile(rf"SCAN (?:{GROW})\b")
_STATEMENT = re.compile(r"\s*(SELECT|UPDATE|DELETE|WITH|INSERT)\b")


def collected(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The statements of every connection that is opened from now on, as they are sent."""
    asked: set[str] = set()
    connect = sqlite3.connect

    def traced(*args: Any, **options: Any) -> sqlite3.Connection:
        conn = connect(*args, **options)
        conn.set_trace_callback(asked.add)
        return conn

    monkeypatch.setattr(sqlite3, "connect", traced)
    return asked


def scans(conn: sqlite3.Connection, asked: Iterable[str]) -> list[str]:
    """The statements that read every row of a table that grows. With a LIMIT they end early."""
    found = []
    for sql in {re.sub(r"-?\bInf\b", "0", one) for one in asked}:
        if not _STATEMENT.match(sql) or "LIMIT" in sql:
            continue
        plan = [detail for *_, detail in conn.execute(f"EXPLAIN QUERY PLAN {_unaliased(sql)}").fetchall()]
        found += [f"{detail}: {' '.join(sql.split())}" for detail in plan if _SCAN.match(detail)]
    return found


def _unaliased(sql: str) -> str:
    """SQLite's plan names a table by its alias: the tables that grow keep their names."""
    aliases = dict(re.findall(rf"\b(?:FROM|JOIN) ({GROW}) (?:AS )?([a-z]\w?)\b", sql))
    for table, alias in aliases.items():
        sql = re.sub(rf"\b({table}) (?:AS )?{alias}\b", r"\1", sql)
        sql = re.sub(rf"\b{alias}\.", f"{table}.", sql)
    return sql
