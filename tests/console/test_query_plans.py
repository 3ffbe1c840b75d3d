"""With millions of documents no screen and no verb reads a whole table to show a page of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from click.testing import CliRunner

from console.app import Console
from console.cli import rollout
from console.link import StoreLink
from engine.store import jobs
from engine.store.jobs import FilePiece, JobPart, JobRequest
from engine.store.rollup import insert_and_fold
from tests.console.screen_walk import pages
from tests.engine.metrics.samples import failed, record
from tests.engine.service.clocked import Clocked
from tests.engine.service.rig import EngineRig
from tests.query_plans import collected, scans

VERBS = (
    "status", "status --json", "check", "gate", "env", "due", "jobs", "query worker", "documents show d", "log --verify",
    "report", "restore --dry-run", "logs analyze", "metrics analyze", "metrics snapshot", "ab-test analyze",
    "triggers list", "triggers backtest", "triggers why error_high", "rollback --dry-run", "promote --dry-run",
    "notify preview",
)  # fmt: skip


@pytest.fixture
def rig(tmp_path: Path) -> EngineRig:
    return asyncio.run(_rolled_back(tmp_path))


async def _rolled_back(root: Path) -> EngineRig:
    """A rollout that was rolled back, with a job; its engine has stopped."""
    async with Clocked(root, ticking=False) as c:
        seen = [made(at=c.clock.now() - n) for n in range(50) for made in (record, failed)]
        c.engine.writer.write(lambda conn: insert_and_fold(conn, seen)).result(60)
        job = c.engine.writer.write(lambda conn: jobs.begin(conn, c.clock.now(), "alice", JobRequest("docs", "/")))
        parts = [JobPart((FilePiece("/docs/a.jsonl"),))] * 3
        c.engine.writer.write(lambda conn: jobs.add_parts(conn, job.result(60), 0, parts)).result(60)
        await c.climb(2)
        await c.passes(120)
        assert (await c.command("rollback", reason="a test")).ok
        await c.passes(60)
        return c.rig


def test_no_verb_that_reads_scans_a_table_that_grows(rig: EngineRig, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = collected(monkeypatch)
    for words in VERBS:
        done = CliRunner().invoke(rollout, [*rig._where, *words.split()])
        assert done.exit_code in (0, 1), (words, done.output)
    monkeypatch.undo()
    assert any("FROM job_part" in sql for sql in asked)
    assert rig.reader.read(lambda conn: scans(conn, asked)) == []


@pytest.mark.anyio
async def test_no_screen_scans_a_table_that_grows(rig: EngineRig, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = collected(monkeypatch)
    app = Console(StoreLink(rig.folder, rig.plan), rig.plan)
    async with app.run_test(size=(80, 24)) as pilot:
        seen = [name async for name, _ in pages(pilot)]
    monkeypatch.undo()
    assert "documents" in seen
    assert any("FROM trigger_evidence" in sql for sql in asked)
    assert rig.reader.read(lambda conn: scans(conn, asked)) == []
