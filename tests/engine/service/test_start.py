"""A start scans no large table: with millions of documents that took nine seconds."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from engine.store import documents, future
from engine.store.documents import DocumentWrite
from engine.store.folder import Folder
from engine.store.rollup import insert_and_fold
from tests.engine.metrics.samples import record
from tests.engine.service.clocked import Clocked

pytestmark = pytest.mark.anyio
GROW = "document|document_text|extraction|rollup|llm_cache|trial_document|trigger_evidence|probe|feedback|job_key"
SCAN = re.compile(rf"SCAN ({GROW})\b")


async def test_a_start_and_its_first_ticks_scan_no_table_that_grows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: set[str] = set()
    connect = sqlite3.connect

    def traced(*args: Any, **options: Any) -> sqlite3.Connection:
        conn = connect(*args, **options)
        conn.set_trace_callback(asked.add)
        return conn

    async with Clocked(tmp_path) as c:  # a store that is not new
        old = [record(at=c.clock.now() - n) for n in range(50)]
        c.engine.writer.write(lambda conn: insert_and_fold(conn, old)).result(60)
        await c.climb(2)
    monkeypatch.setattr(sqlite3, "connect", traced)
    async with Clocked(tmp_path) as c:
        await c.passes(30)
        monkeypatch.undo()
        scans = [
            f"{detail}: {' '.join(sql.split())}"
            for sql in [re.sub(r"-?\bInf\b", "0", sql) for sql in list(asked)]
            if re.match(r"\s*(SELECT|UPDATE|DELETE|WITH|INSERT)\b", sql) and "LIMIT" not in sql
            for *_, detail in c.engine.conn.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall()
            if SCAN.match(detail)
        ]
    assert any("UPDATE OR REPLACE document" in sql for sql in asked)
    assert scans == []


def test_records_of_the_future_come_back_in_every_table(conn: sqlite3.Connection) -> None:
    now, later = time.time(), time.time() + 86400.0
    insert_and_fold(conn, [record(at=later), record(at=now)])
    documents.write(
        conn, [DocumentWrite("a", "", "text", "digest", later, "treatment", "llm", ("a",), (), ("b",), (), 2, 2)]
    )
    for trigger in ("error_high", "error_critical"):
        conn.execute("INSERT INTO trigger_evidence VALUES (?,?,'ok','{}')", (later, trigger))
    conn.execute(
        "INSERT INTO trial_document (trial, document_id, arm, at) VALUES (1,'a','control',?), (7,'a','control',?)",
        (later, later),
    )
    moved = future.bring_back(conn, now)
    times = conn.execute(
        "SELECT at FROM extraction UNION ALL SELECT updated FROM document UNION ALL SELECT llm_at FROM document "
        "UNION ALL SELECT at FROM trigger_evidence UNION ALL SELECT at FROM trial_document"
    ).fetchall()
    assert moved == 7
    assert {at for (at,) in times} == {now}
    assert conn.execute("SELECT count(*) FROM rollup WHERE t > ?", (now,)).fetchone() == (0,)


def test_a_store_of_this_version_is_opened_without_the_library_that_migrates(folder: Folder) -> None:
    program = (
        "import pathlib, sys; from engine.store import database; from engine.store.folder import Folder; "
        f"database.create(Folder(pathlib.Path({str(folder.path)!r}))); sys.exit('sqlite_utils' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
