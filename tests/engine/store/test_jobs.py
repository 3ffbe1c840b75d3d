"""A job's documents count once, whatever arrives twice, late, or from two workers."""

from __future__ import annotations

import random
import sqlite3

import pytest

from engine.measures.record import Extraction
from engine.store import jobs, series
from engine.store.documents import DocumentWrite
from engine.store.jobs import ExtractedItem, FilePiece, JobPart, PartEnded


def item(number: int, part: int, text: str = "") -> ExtractedItem:
    name, digest = f"d{number}", f"digest {number} {text}"
    record = Extraction(1000.0 + number, name, "treatment", "llm", 4, 9, attempted=True, ms=10.0)
    document = DocumentWrite(
        name, name, "text", digest, 1000.0 + number, "treatment", "llm", ("a",), (), ("b",), (), 4, 9
    )
    return ExtractedItem(part, jobs.key(name, digest), 0.0, record, document)


def counts(conn: sqlite3.Connection) -> tuple[int, int, int]:
    (documents,) = conn.execute("SELECT count(*) FROM document").fetchone()
    (records,) = conn.execute("SELECT count(*) FROM extraction").fetchone()
    return documents, records, series.since_change(conn, 9).attempts


def begun(conn: sqlite3.Connection, kind: jobs.Kind = "live", parts: int = 4, output: str = "") -> jobs.Job:
    number = jobs.begin(conn, 1.0, "a", jobs.JobRequest("docs", "/", "auto", kind, output))
    jobs.add_parts(conn, number, 0, [JobPart((FilePiece(f"/{n}"),)) for n in range(parts)])
    jobs.run(conn, number, 1.0)
    results = jobs.find(conn, number)
    assert results is not None
    return results


def kept(conn: sqlite3.Connection, job: jobs.Job, items: list[ExtractedItem]) -> list[ExtractedItem]:
    new = jobs.keep(conn, job, items)
    jobs.count(conn, job, new)
    return new


def test_batches_that_repeat_overlap_and_arrive_in_any_order_write_each_document_once(conn: sqlite3.Connection) -> None:
    job = begun(conn)
    draw = random.Random(4)
    items = [item(number, number % 4) for number in range(200)]
    new = 0
    for _ in range(60):
        new += len(kept(conn, job, draw.sample(items, 20)))
    new += len(kept(conn, job, items))
    assert new == 200
    assert counts(conn) == (200, 200, 200)
    assert jobs.tally(conn, job.id).llm == 200
    assert len(jobs.written(conn, job.id, 0)) == 50


def test_documents_of_a_part_whose_file_is_not_written_yet_are_not_counted(conn: sqlite3.Connection) -> None:
    job = begun(conn, "backfill", output="/archive")
    kept(conn, job, [item(number, number % 2) for number in range(10)])
    assert jobs.tally(conn, job.id) == jobs.JobTally(parts=4)
    jobs.end_part(conn, job.id, PartEnded("w", job.id, 0, failed=1, counts=(5, 2, 1, 1)), 2.0)
    assert jobs.tally(conn, job.id) == jobs.JobTally(4, 1, llm=5, frequency=2, cached=1, fallback=1, failed=1)


def test_to_find_the_next_part_takes_no_longer_where_many_are_done(conn: sqlite3.Connection) -> None:
    def steps(done: int) -> int:
        job, taken = begun(conn, parts=done + 5), 0
        conn.execute("UPDATE job_part SET done = 1 WHERE job = ? AND part < ?", (job.id, done))

        def step() -> None:
            nonlocal taken
            taken += 1

        conn.set_progress_handler(step, 1)
        assert jobs.open_parts(conn, job.id, 3) == [done, done + 1, done + 2]
        conn.set_progress_handler(None, 1)
        return taken

    assert steps(2000) == steps(0)


def test_a_late_batch_for_a_part_that_is_done_is_known(conn: sqlite3.Connection) -> None:
    job = begun(conn)
    assert len(kept(conn, job, [item(1, 0)])) == 1
    assert not jobs.end_part(conn, job.id, PartEnded("w", job.id, 0), 2.0)
    assert kept(conn, job, [item(1, 0), item(2, 0), item(3, 99)]) == []
    assert jobs.written(conn, job.id, 0) == (), "its keys are gone"
    assert counts(conn) == (1, 1, 1)


def test_another_text_of_the_same_document_is_another_one(conn: sqlite3.Connection) -> None:
    job = begun(conn)
    assert len(kept(conn, job, [item(1, 0), item(1, 0, "edited")])) == 2
    assert counts(conn) == (1, 2, 2)


def test_the_last_part_ends_the_job(conn: sqlite3.Connection) -> None:
    job = begun(conn, parts=2)
    assert not jobs.end_part(conn, job.id, PartEnded("w", job.id, 1, failed=2, troubles={"why": ["a"]}), 2.0)
    assert jobs.end_part(conn, job.id, PartEnded("w", job.id, 0), 3.0)
    results = jobs.find(conn, job.id)
    assert results is not None
    assert (results.state, results.ended) == ("done", 3.0)
    assert (jobs.tally(conn, job.id).failed, jobs.troubles(conn, job.id)) == (2, {"why": ["a"]})


@pytest.mark.parametrize("stopped_first", [False, True])
def test_a_job_whose_parts_have_all_ended_is_done_though_it_is_stopped(
    conn: sqlite3.Connection, stopped_first: bool
) -> None:
    job = begun(conn, parts=1)
    assert not stopped_first or jobs.stop(conn, job.id, 2.0)
    jobs.end_part(conn, job.id, PartEnded("w", job.id, 0), 3.0)
    assert not jobs.stop(conn, job.id, 4.0)
    assert _state(conn, job) == "done"


def test_a_stopped_job_that_has_no_open_part_is_done_when_it_is_resumed(conn: sqlite3.Connection) -> None:
    job = begun(conn, parts=1)
    jobs.end_part(conn, job.id, PartEnded("w", job.id, 0), 3.0)
    conn.execute("UPDATE job SET state = 'stopped'")  # as an earlier version left it
    jobs.run(conn, job.id, 5.0)
    assert _state(conn, job) == "done"


def test_a_job_that_is_stopped_while_it_lists_its_files_is_not_continued_with_a_part_of_them(
    conn: sqlite3.Connection,
) -> None:
    number = jobs.begin(conn, 1.0, "a", jobs.JobRequest("docs", "/"))
    first, later = ([JobPart((FilePiece(f"/{n}"),))] for n in range(2))
    jobs.add_parts(conn, number, 0, first)
    assert jobs.stop(conn, number, 2.0)
    jobs.add_parts(conn, number, 1, later)  # it was under way
    assert jobs.tally(conn, number).parts == 0
    assert "stopped before it knew all of its files" in jobs.why_not_resumed(conn, number)


def _state(conn: sqlite3.Connection, job: jobs.Job) -> str:
    return jobs.find(conn, job.id).state  # type: ignore[union-attr]


def test_a_back_fill_is_stored_raw_and_in_no_figure(conn: sqlite3.Connection) -> None:
    job = begun(conn, "backfill")
    kept(conn, job, [item(number, 0) for number in range(10)])
    assert counts(conn) == (10, 10, 0)


def test_only_a_job_that_knows_all_its_files_and_has_parts_left_is_resumed(conn: sqlite3.Connection) -> None:
    number = jobs.begin(conn, 1.0, "a", jobs.JobRequest("docs", "/"))
    jobs.add_parts(conn, number, 0, [JobPart((FilePiece("/0"),))])
    reasons = [jobs.why_not_resumed(conn, number)]
    for change in (
        lambda: jobs.run(conn, number, 2.0),
        lambda: jobs.stop(conn, number, 3.0),
        lambda: jobs.end_part(conn, number, PartEnded("w", number, 0), 4.0),
    ):
        change()
        reasons.append(jobs.why_not_resumed(conn, number))
    assert "does not know all of its files" in reasons[0]
    assert reasons[1:3] == ["", ""]
    assert "nothing is left to resume" in reasons[3]
    assert "There is no job 9" in jobs.why_not_resumed(conn, 9)
