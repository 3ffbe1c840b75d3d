"""A worker's sources and outputs: read ahead, waited for while they cannot be reached, named when they stay away."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence

import pytest

from engine.store import jobs
from engine.store.jobs import ExtractedItem, Job, JobPart, OutputGone, PartDocument, SourceGone
from engine.worker.core import Worker, WorkerFailed, explained
from engine.worker.line import EngineConnection
from tests.engine.service.rig import EngineRig
from tests.engine.worker.job_rig import TEXT, at_half, begun, state, stored
from tests.engine.worker.llm import Llm
from tests.machine import crowd


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineRig]:
    with Llm() as llm, at_half(tmp_path_factory.mktemp("sources"), llm.url) as made:
        yield made


def test_the_next_part_is_read_while_the_last_documents_of_one_are_stored(rig: EngineRig) -> None:
    class Line(EngineConnection):
        """The first batch leaves when the next part has been read."""

        def post(self, path: str, body: bytes, timeout_s: float) -> bytes:
            if path.endswith("/batch") and not in_time:
                in_time.append(ahead.wait(5.0 * crowd()))
            return super().post(path, body, timeout_s)

    def read(job: Job, part: JobPart) -> Iterator[PartDocument]:
        (piece,) = part.pieces
        if piece.path == "1":
            ahead.set()
        yield PartDocument(f"ahead/{piece.path}", TEXT.format(piece.path))

    in_time: list[bool] = []
    ahead = threading.Event()
    job = begun(rig, "ahead", 12)
    asyncio.run(Worker("ahead", rig.plan, job, lambda: Line(str(rig.folder.path)), read).run())
    assert in_time == [True]
    assert stored(rig, "ahead") == (12, 12)
    assert state(rig, job) == "done"


def test_a_source_that_cannot_be_reached_for_a_while_costs_no_document(
    rig: EngineRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.worker.core.SOURCE_AGAIN_S", 0.1)

    def read(job: Job, part: JobPart) -> Iterator[PartDocument]:
        (piece,) = part.pieces
        for number in range(100):
            if number == 60 and piece.path not in gone:
                gone.add(piece.path)
                raise SourceGone("the bucket cannot be reached.")
            yield PartDocument(f"gone/{piece.path}/{number}", TEXT.format(number))

    gone: set[str] = set()
    job = begun(rig, "gone", 3)
    worker = Worker("gone", rig.plan, job, lambda: EngineConnection(str(rig.folder.path)), read)
    asyncio.run(worker.run())
    assert gone == {"0", "1", "2"}
    assert stored(rig, "gone") == (300, 300)
    assert state(rig, job) == "done"
    assert rig.reader.read(lambda conn: jobs.tally(conn, job)).failed == 0


def test_an_output_that_cannot_be_reached_for_a_while_costs_no_document(
    rig: EngineRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.worker.core.SOURCE_AGAIN_S", 0.1)

    def read(job: Job, part: JobPart) -> Iterator[PartDocument]:
        yield from (PartDocument(f"kept/{part.pieces[0].path}/{n}", TEXT.format(n)) for n in range(20))

    def write(job: Job, number: int, items: Sequence[ExtractedItem]) -> None:
        tries.append(number)
        if tries.count(number) < 3 or number == gone:
            raise OutputGone("s3://b cannot be written: Service Unavailable")
        kept[number] = len(items)

    def worker(job: int) -> Worker:
        return Worker("kept", rig.plan, job, lambda: EngineConnection(str(rig.folder.path)), read, write=write)

    tries: list[int] = []
    kept: dict[int, int] = {}
    gone = 1
    job = begun(rig, "kept", 3, output="s3://b")
    monkeypatch.setattr("engine.worker.core.KEPT_S", 1.0)
    with pytest.raises(WorkerFailed, match="could not be stored: s3://b cannot be written: Service"), explained():
        asyncio.run(worker(job).run())
    assert (state(rig, job), 1 in kept) == ("running", False)
    gone = -1
    asyncio.run(worker(job).run())
    assert (state(rig, job), kept) == ("done", {0: 20, 1: 20, 2: 20})
    assert rig.reader.read(lambda conn: jobs.tally(conn, job)).documents == 60


def test_a_source_that_stays_away_ends_the_worker_with_its_name_and_the_job_stays_open(
    rig: EngineRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.worker.core.SOURCE_AGAIN_S", 0.1)

    def read(job: Job, part: JobPart) -> Iterator[PartDocument]:
        if part.pieces:
            raise SourceGone("s3://b cannot be read: no connection.")
        yield PartDocument("away", "")

    async def run() -> None:
        working = asyncio.create_task(worker.run())
        why = "it waits: s3://b cannot be read: no connection."
        shown = await asyncio.to_thread(rig.until, lambda: working.done() or why in rig.cli("jobs").stdout, 20)
        assert (shown, working.done()) == (True, False), "while it tries"
        assert "; s3://b cannot be read: no connection\n" in (await asyncio.to_thread(rig.cli, "status")).stdout
        monkeypatch.setattr("engine.worker.core.KEPT_S", 0.1)
        await working

    job = begun(rig, "away", 1)
    worker = Worker("away", rig.plan, job, lambda: EngineConnection(str(rig.folder.path)), read)
    with pytest.raises(WorkerFailed, match=r"^s3://b cannot be read: no connection\.$"), explained():
        asyncio.run(run())
    assert state(rig, job) == "running"
