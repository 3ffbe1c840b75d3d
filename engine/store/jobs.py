"""Jobs in the store: where one began, its parts, and what of an open part is written.

A document counts once a job: its key (id and text) is inserted in the same transaction as the document itself, so a
batch that arrives twice, late, or from two workers at the same part writes nothing twice. The keys of a part go when
the part is done; a batch for a part that is done is known as a whole.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Annotated, Literal, NamedTuple

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from engine.decoding import decode, json_decoder
from engine.measures.record import Extraction
from engine.store import documents
from engine.store.documents import DocumentWrite, TextSource
from engine.store.rollup import fold, insert

KEY_BYTES = 12
PARTS_NAMED = 200  # parts whose failed documents are named

Kind = Literal["live", "backfill"]
Method = Literal["auto", "llm", "frequency"]
JobState = Literal["filling", "running", "done", "stopped"]
Count = Annotated[int, Meta(ge=0, le=1 << 40)]


class FilePiece(Struct, frozen=True):
    """A file, or the lines of one: from byte `start` to before `end` (0: the whole file), the first being line
    number `line`. `crc`: of these bytes; `size`: of the file; both as the job found them, None or 0 if unknown."""

    path: str
    start: int = 0
    end: int = 0
    line: int = 1
    crc: int | None = None
    size: int = 0


class JobPart(Struct, frozen=True):
    """What one worker reads at a time: some hundred documents."""

    pieces: tuple[FilePiece, ...]


class PartDocument(NamedTuple):
    """A document of a part as read, or the reason why it cannot be."""

    id: str
    text: str
    title: str = ""
    trouble: str = ""
    source: TextSource | None = None


class SourceGone(Exception):
    """The documents of a part cannot be read now; later they may. The message is a sentence."""


class OutputGone(OSError):
    """The keywords of a part cannot be written now; later they may. The message is a sentence's end."""


class JobRequest(Struct, frozen=True):
    """What a person asks of a job. `root`: ids are paths from there. `kind`: back-fills protect like live work, but do
    not count for a gate, a bake or the A/B test. `output`: where a back-fill's workers write the keywords, one file a
    part; "": the store."""

    sources: str
    root: str
    method: Method = "auto"
    kind: Kind = "live"
    output: str = ""


class Job(Struct, frozen=True):
    """A job in the store; see `JobRequest`."""

    id: int
    at: float
    state: JobState
    actor: str
    sources: str
    root: str
    method: Method
    kind: Kind
    ended: float | None = None
    output: str = ""


class ExtractedItem(Struct, frozen=True):
    """One extracted document. Its times are ages: the engine stamps them. `key` names the document and its text.
    `starved`: the worker's own loop was late, so its figures about the LLM service do not count as evidence."""

    part: Count
    key: str
    age_s: Annotated[float, Meta(ge=0, le=1e9)]
    record: Extraction
    document: DocumentWrite | None = None
    starved: bool = False


class PartEnded(Struct, frozen=True, forbid_unknown_fields=True):
    """A worker has finished a part. `failed` and `empty` documents have no keywords; `troubles` names some of them,
    by reason. `counts`: (by LLM, by frequency, cached, fallback) of a part that its worker wrote to a file."""

    worker: Annotated[str, Meta(max_length=100)]
    job: Count
    part: Count
    failed: Count = 0
    empty: Count = 0
    troubles: dict[str, list[str]] = {}
    counts: tuple[Count, Count, Count, Count] | None = None


class JobTally(Struct, frozen=True):
    """What a job has done so far."""

    parts: int = 0
    done: int = 0
    llm: int = 0
    frequency: int = 0
    cached: int = 0
    fallback: int = 0
    failed: int = 0
    empty: int = 0

    @property
    def documents(self) -> int:
        return self.llm + self.frequency


_parts = json_decoder(JobPart)
_COLUMNS = "id, at, state, actor, sources, root, method, kind, ended, output"


def key(document_id: str, digest: str) -> str:
    """Names a document and its text."""
    whole = f"{document_id}\0{digest}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(whole, digest_size=KEY_BYTES).hexdigest()


def begin(conn: sqlite3.Connection, at: float, actor: str, asked: JobRequest) -> int:
    """The number of a new job, without parts so far."""
    return int(
        conn.execute(
            "INSERT INTO job (at, state, actor, sources, root, method, kind, output) VALUES (?,'filling',?,?,?,?,?,?)",
            (at, actor, asked.sources, asked.root, asked.method, asked.kind, asked.output),
        ).lastrowid
        or 0
    )


def add_parts(conn: sqlite3.Connection, job: int, first: int, parts: Sequence[JobPart]) -> None:
    """Numbered from `first`; the same parts again change nothing, nor do those of a job that was stopped meanwhile."""
    known = find(conn, job)
    if known is None or known.state != "filling":
        return
    conn.executemany(
        "INSERT OR IGNORE INTO job_part (job, part, body) VALUES (?,?,?)",
        [(job, number, msgspec.json.encode(part).decode()) for number, part in enumerate(parts, first)],
    )


def run(conn: sqlite3.Connection, job: int, at: float) -> None:
    """Let workers have its parts. One without an open part is done."""
    state, ended = ("running", None) if open_parts(conn, job, 1) else ("done", at)
    conn.execute("UPDATE job SET state = ?, ended = ? WHERE id = ? AND state <> 'done'", (state, ended, job))


def stop(conn: sqlite3.Connection, job: int, at: float) -> bool:
    """Returns whether it was still to be stopped. One that is still listing its files keeps no part: it could not be
    continued with all of them."""
    known = find(conn, job)
    if known is not None and known.state == "filling":
        conn.execute("DELETE FROM job_part WHERE job = ?", (job,))
    stopped = "UPDATE job SET state = 'stopped', ended = ? WHERE id = ? AND state IN ('filling', 'running')"
    return conn.execute(stopped, (at, job)).rowcount > 0


def find(conn: sqlite3.Connection, job: int) -> Job | None:
    """A job; None if there is none of this number."""
    row = conn.execute(f"SELECT {_COLUMNS} FROM job WHERE id = ?", (job,)).fetchone()
    return Job(*row) if row is not None else None


def why_not_resumed(conn: sqlite3.Connection, job: int) -> str:
    """Why a job cannot be continued, as a sentence; "" if it can."""
    known = find(conn, job)
    if known is None:
        return f"There is no job {job}. `rollout jobs` lists them."
    if known.state == "done":
        return f"Job {job} is done: nothing is left to resume. To load what changed since, load its files again."
    if known.state == "filling":
        return (
            f"Job {job} does not know all of its files: its command is still listing them, or ended before it had. "
            "In that case load the files again."
        )
    if known.state == "stopped" and not tally(conn, job).parts:
        return f"Job {job} was stopped before it knew all of its files. Load the files again."
    return ""


def listed(conn: sqlite3.Connection, limit: int = 50) -> list[tuple[Job, JobTally]]:
    """The latest jobs, newest first."""
    rows = conn.execute(f"SELECT {_COLUMNS} FROM job ORDER BY id DESC LIMIT ?", (limit,)).fetchall()
    return [(Job(*row), tally(conn, row[0])) for row in rows]


def tally(conn: sqlite3.Connection, job: int) -> JobTally:
    """Of a job whose keywords go to files, a part counts when its file is written."""
    row = conn.execute(
        "SELECT count(*), coalesce(sum(done), 0), coalesce(sum(llm * kept), 0), coalesce(sum(frequency * kept), 0), "
        "coalesce(sum(cached * kept), 0), coalesce(sum(fallback * kept), 0), coalesce(sum(failed), 0), "
        "coalesce(sum(empty), 0) "
        "FROM (SELECT *, done OR (SELECT output FROM job WHERE id = ?) = '' AS kept FROM job_part WHERE job = ?)",
        (job, job),
    ).fetchone()
    return JobTally(*row)


def troubles(conn: sqlite3.Connection, job: int) -> dict[str, list[str]]:
    """Named documents without keywords, by reason, of the first parts that have any."""
    out: dict[str, list[str]] = {}
    for (body,) in conn.execute(
        "SELECT troubles FROM job_part WHERE job = ? AND troubles <> '{}' ORDER BY part LIMIT ?", (job, PARTS_NAMED)
    ):
        for why, names in decode(body, dict[str, list[str]]).items():
            out.setdefault(why, []).extend(names)
    return out


def open_parts(conn: sqlite3.Connection, job: int, limit: int) -> list[int]:
    """Numbers of parts that are not done, lowest first."""
    # without the name SQLite takes the primary key, and looks at every part that is done: 36 ms for 200,000
    query = "SELECT part FROM job_part INDEXED BY job_part_open WHERE job = ? AND NOT done ORDER BY part LIMIT ?"
    rows = conn.execute(query, (job, limit))
    return [number for (number,) in rows]


def part(conn: sqlite3.Connection, job: int, number: int) -> JobPart:
    """What a part holds: files, or pieces of files."""
    (body,) = conn.execute("SELECT body FROM job_part WHERE job = ? AND part = ?", (job, number)).fetchone()
    return _parts.decode(body)


def written(conn: sqlite3.Connection, job: int, number: int) -> tuple[str, ...]:
    """Keys (`key`) of a part's documents that are stored."""
    rows = conn.execute("SELECT key FROM job_key WHERE job = ? AND part = ?", (job, number))
    return tuple(key for (key,) in rows)


def keep(conn: sqlite3.Connection, job: Job, items: Iterable[ExtractedItem]) -> list[ExtractedItem]:
    """Store what is new of them, inside the caller's transaction, and return it: `count` it in the same transaction. Of
    a job whose keywords go elsewhere only the documents' keys are stored."""
    parts: dict[int, dict[str, ExtractedItem]] = {}
    for item in items:
        parts.setdefault(item.part, {}).setdefault(item.key, item)
    new: list[ExtractedItem] = []
    for number, unwritten in parts.items():
        row = conn.execute("SELECT done FROM job_part WHERE job = ? AND part = ?", (job.id, number)).fetchone()
        if row is None or row[0]:
            continue
        known = f"SELECT key FROM job_key WHERE job = ? AND part = ? AND key IN ({','.join('?' * len(unwritten))})"
        for (name,) in conn.execute(known, (job.id, number, *unwritten)).fetchall():
            del unwritten[name]
        conn.executemany("INSERT INTO job_key VALUES (?,?,?)", [(job.id, number, name) for name in unwritten])
        new += unwritten.values()
    if new and not job.output:
        insert(conn, [item.record for item in new])
        documents.write(conn, [item.document for item in new if item.document is not None])
    return new


def count(conn: sqlite3.Connection, job: Job, new: Sequence[ExtractedItem]) -> None:
    """Count what `keep` has stored, in its transaction: in the buckets and in the job's parts. A back-fill's records
    are in no bucket, so no gate, bake or figure counts them."""
    if job.kind == "live" and not job.output:
        fold(conn, [item.record for item in new])
    for number in {item.part for item in new}:
        mine = [item.record for item in new if item.part == number]
        llm = sum(record.method == "llm" for record in mine)
        conn.execute(
            "UPDATE job_part SET llm = llm + ?, frequency = frequency + ?, cached = cached + ?, "
            "fallback = fallback + ? WHERE job = ? AND part = ?",
            (llm, len(mine) - llm, sum(r.cached for r in mine), sum(r.fallback for r in mine), job.id, number),
        )


OVERTAKEN = "the percentage was lowered before the answer arrived"


def as_frequency(record: Extraction, document: DocumentWrite) -> tuple[Extraction, DocumentWrite]:
    """An LLM answer that arrived after the fall: frequency keywords are kept for it."""
    served = len(document.frequency)
    return (
        replace(record, method="frequency", fallback=True, message=OVERTAKEN, keywords=served),
        replace(document, method="frequency", llm=None, llm_technical=()),
    )


def end_part(conn: sqlite3.Connection, job: int, ended: PartEnded, at: float) -> bool:
    """Close a part; return whether it was the job's last."""
    conn.execute(
        "UPDATE job_part SET done = 1, failed = ?, empty = ?, troubles = ? WHERE job = ? AND part = ?",
        (ended.failed, ended.empty, msgspec.json.encode(ended.troubles).decode(), job, ended.part),
    )
    if ended.counts is not None:
        conn.execute(
            "UPDATE job_part SET llm = ?, frequency = ?, cached = ?, fallback = ? WHERE job = ? AND part = ?",
            (*ended.counts, job, ended.part),
        )
    conn.execute("DELETE FROM job_key WHERE job = ? AND part = ?", (job, ended.part))
    if open_parts(conn, job, 1):
        return False
    conn.execute("UPDATE job SET state = 'done', ended = ? WHERE id = ? AND state <> 'done'", (at, job))
    return True
