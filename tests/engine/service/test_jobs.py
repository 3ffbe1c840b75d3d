"""Which worker has which part of a job."""

from __future__ import annotations

import sqlite3
from types import SimpleNamespace
from typing import Any, cast

from engine.service.jobs import JobDesk
from engine.store import jobs
from engine.store.jobs import FilePiece, JobPart
from engine.worker.messages import PartRequest


def test_a_part_has_one_worker_until_its_lease_ends(conn: sqlite3.Connection) -> None:
    for number in (1, 2):
        assert jobs.begin(conn, 1.0, "a", jobs.JobRequest("docs", "/")) == number
        jobs.add_parts(conn, number, 0, [JobPart((FilePiece(f"/{n}"),)) for n in range(2)])
        jobs.run(conn, number, 1.0)
    living = {"a", "b", "c"}
    leases = SimpleNamespace(lives=living.__contains__)
    desk = JobDesk(cast("Any", SimpleNamespace(conn=conn, leases=leases)))

    def asked(worker: str, job: int, *holds: int) -> int | None:
        return desk.next_part(PartRequest(worker, job, frozenset(holds))).number

    assert (asked("a", 1), asked("b", 1), asked("c", 2)) == (0, 1, 0)
    assert desk.next_part(PartRequest("d", 1)).waits
    assert desk.at_work == {"a": 1, "b": 1, "c": 2}
    living.remove("b")
    assert asked("a", 1) == 0, "it gives its part back by asking for another"
    assert desk.at_work == {"a": 1, "c": 2}
    assert asked("a", 1, 0) == 1, "it keeps what it says it holds"
    assert desk.next_part(PartRequest("d", 1)).waits
    desk = JobDesk(cast("Any", SimpleNamespace(conn=conn, leases=leases)))
    assert asked("a", 1, 0) == 1, "an engine that has just started learns of it"
    assert desk.at_work == {"a": 1}
