"""An engine for jobs, and what the tests of jobs ask of its store."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from engine.store import jobs
from tests.engine.service.rig import EngineRig

TEXT = (
    "The scheduler assigns each task to a worker pool and retries failed tasks with exponential backoff. "
    "The broker keeps an offset for partition {0} and compacts segment {0} of the commit log. "
) * 3


@contextlib.contextmanager
def at_half(root: Path, llm_url: str) -> Iterator[EngineRig]:
    """A running engine at 50 %."""
    settings = {"http.port": 0, "environment": "test", "llm.url": llm_url}
    with EngineRig(root, speed=None, settings=settings) as made:
        made.engine()
        made.climb(4)
        yield made


def begun(rig: EngineRig, name: str, parts: int, method: str = "frequency", output: str = "") -> int:
    """A running job whose parts have their number for a path."""
    kind = "backfill" if output else "live"
    fields = {"sources": name, "root": "/", "method": method, "kind": kind, "output": output}
    job = int(rig.client.command("job_begin", **fields).data["job"])
    pieces = [{"pieces": [{"path": str(number)}]} for number in range(parts)]
    assert rig.client.command("job_parts", job=job, first=0, parts=pieces).ok
    assert rig.client.command("job_run", job=job).ok
    return job


def state(rig: EngineRig, job: int) -> str:
    known = rig.reader.read(lambda conn: jobs.find(conn, job))
    assert known is not None
    return known.state


def stored(rig: EngineRig, name: str) -> tuple[int, int]:
    """(documents, extractions) of a load."""

    def count(conn: sqlite3.Connection) -> tuple[int, int]:
        begin, end = f"{name}/", f"{name}0"
        (documents,) = conn.execute("SELECT count(*) FROM document WHERE id >= ? AND id < ?", (begin, end)).fetchone()
        (records,) = conn.execute(
            "SELECT count(*) FROM extraction WHERE document_id >= ? AND document_id < ?", (begin, end)
        ).fetchone()
        return documents, records

    return rig.reader.read(count)
