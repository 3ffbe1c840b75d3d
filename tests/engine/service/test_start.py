"""A start scans no large table: with millions of documents that took nine seconds."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.store import documents, future
from engine.store.documents import DocumentWrite
from engine.store.folder import Folder
from engine.store.rollup import insert_and_fold
from tests.engine.metrics.samples import record
from tests.engine.service.clocked import Clocked
from tests.query_plans import collected, scans

pytestmark = pytest.mark.anyio


async def test_a_start_and_its_first_ticks_scan_no_table_that_grows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Clocked(tmp_path) as c:  # a store that is not new
        old = [record(at=c.clock.now() - n) for n in range(50)]
        c.engine.writer.write(lambda conn: insert_and_fold(conn, old)).result(60)
        await c.climb(2)
    asked = collected(monkeypatch)
    async with Clocked(tmp_path) as c:
        await c.passes(30)
        monkeypatch.undo()
        found = scans(c.engine.conn, list(asked))
    assert any("UPDATE OR REPLACE document" in sql for sql in asked)
    assert found == []


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
