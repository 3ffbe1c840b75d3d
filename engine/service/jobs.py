"""The engine's side of jobs: which worker has which part, and what happens to the documents it sends.

A claim lasts as long as its worker's lease, so the part of a killed or cut-off worker goes to another one. Two workers
at one part cost calls and no document: the store counts each once (`engine.store.jobs`).
"""

from __future__ import annotations

import asyncio
import math
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, Protocol

from msgspec.structs import replace

from engine.measures.record import Extraction
from engine.routing import buckets
from engine.routing.admission import ID_LIMIT, TEXT_LIMIT
from engine.routing.switch import Permit
from engine.service.seen_batches import SeenBatches
from engine.store import jobs
from engine.store.documents import DocumentWrite
from engine.store.jobs import ExtractedItem, Job, JobPart, JobRequest, PartEnded
from engine.text import unfit_id
from engine.trial import ledger
from engine.worker.messages import BatchReceipt, PartGrant, PartRequest, WorkerBatch

if TYPE_CHECKING:
    import sqlite3

    from engine.clock import Clock
    from engine.cluster.leases import Leases
    from engine.plan.model import Plan
    from engine.routing.pipeline import Pipeline
    from engine.routing.switch import Switch
    from engine.service.monitor import Monitor
    from engine.store.writer import Writer


PIECE = 20  # documents of a batch that are written before the writer looks whether someone waits


class NoJob(Exception):
    """No such job, or it accepts no more work. The message is a sentence; `code` is for programs."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class JobHost(Protocol):
    """What the desk needs of its engine."""

    @property
    def plan(self) -> Plan: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def conn(self) -> sqlite3.Connection: ...
    @property
    def leases(self) -> Leases: ...
    @property
    def pipeline(self) -> Pipeline: ...
    @property
    def switch(self) -> Switch: ...
    @property
    def monitor(self) -> Monitor: ...
    @property
    def writer(self) -> Writer: ...


class JobDesk:
    def __init__(self, engine: JobHost) -> None:
        self._engine = engine
        self._claims: dict[tuple[int, int], str] = {}
        self._unreachable: dict[str, str] = {}  # by worker
        self._seen = SeenBatches()

    # -- people's side -------------------------------------------------------------------------------------------------

    async def begin(self, actor: str, asked: JobRequest) -> int:
        now = self._engine.clock.now()
        self._refuse_barred(asked.method)
        return int(await self._write(lambda conn: jobs.begin(conn, now, actor, asked)))

    async def add_parts(self, job: int, first: int, parts: list[JobPart]) -> None:
        self._known(job, ("filling",))
        await self._write(lambda conn: jobs.add_parts(conn, job, first, parts))

    async def run(self, job: int) -> None:
        """All its parts are known, or it is continued."""
        known = self._known(job, None)
        if known.state != "filling" and (why := jobs.why_not_resumed(self._engine.conn, job)):
            raise NoJob("job_state", why)
        self._refuse_barred(known.method)
        if known.state != "running":
            now = self._engine.clock.now()
            await self._write(lambda conn: jobs.run(conn, job, now))

    async def stop(self, job: int) -> bool:
        """Returns whether it was still to be stopped."""
        self._known(job, None)
        now = self._engine.clock.now()
        stopped = bool(await self._write(lambda conn: jobs.stop(conn, job, now)))
        if self._known(job, None).state == "done":
            raise NoJob("job_state", f"Job {job} is already done: there is nothing to stop.")
        return stopped

    @property
    def at_work(self) -> dict[str, int]:
        """The job of each worker that has a part."""
        return {worker: job for (job, _), worker in self._claims.items()}

    def unreachable(self, worker: str) -> str:
        """Why a worker cannot read its sources or write its output, as it last said; "" if it can."""
        return self._unreachable.get(worker, "")

    def waits(self, job: int) -> str:
        """Why the documents of a job wait for a person; "" if they do not."""
        why = self._engine.pipeline.why_barred
        known = jobs.find(self._engine.conn, job) if why else None
        return why if known is not None and known.method == "llm" else ""

    # -- the workers' side ---------------------------------------------------------------------------------------------

    def next_part(self, asks: PartRequest) -> PartGrant:
        """A part that no living worker has. What the worker does not say that it holds, it has given up."""
        engine = self._engine
        job = self._known(asks.job, None)
        if job.state != "running":
            return PartGrant(job)
        leases = engine.leases
        self._unreachable = {worker: why for worker, why in self._unreachable.items() if leases.lives(worker)}
        self._unreachable[asks.worker] = asks.unreachable
        self._claims = {
            at: worker for at, worker in self._claims.items() if worker != asks.worker and leases.lives(worker)
        }
        for number in asks.holds:
            self._claims.setdefault((job.id, number), asks.worker)
        left = jobs.open_parts(engine.conn, job.id, 1 + len(self._claims))
        for number in left:
            if (job.id, number) not in self._claims:
                self._claims[job.id, number] = asks.worker
                part = jobs.part(engine.conn, job.id, number)
                return PartGrant(job, False, number, part, jobs.written(engine.conn, job.id, number))
        return PartGrant(job, bool(left))

    async def take(self, batch: WorkerBatch) -> BatchReceipt:
        """Store a worker's documents and show its attempts to the triggers; returns when they are committed."""
        engine = self._engine
        job = self._known(batch.job, ("running",))
        now, permit = engine.clock.now(), engine.switch.read()
        items = [self._stamped(item, job, now) for item in batch.items]
        if self._seen.is_new(batch.worker, batch.number):
            for item in items:
                engine.monitor.observations.add(item.record, here=False, starved=item.starved)
        came, items = items, [self._overtaken(item, job, permit) for item in items]

        def keep(piece: list[ExtractedItem], conn: sqlite3.Connection) -> list[ExtractedItem]:
            return jobs.keep(conn, job, piece)

        def count(conn: sqlite3.Connection, kept: list[list[ExtractedItem]]) -> None:
            new = list(chain.from_iterable(kept))
            jobs.count(conn, job, new)
            if job.kind == "live":
                ledger.fold(conn, [item.record for item in new])

        pieces = [partial(keep, items[at : at + PIECE]) for at in range(0, len(items), PIECE)]
        kept = await asyncio.wrap_future(engine.writer.bulk(*pieces, end=count))
        written = sum(len(new) for new in kept)
        overtaken = tuple(place for place, item in enumerate(items) if item is not came[place])
        return BatchReceipt(written, len(items) - written, overtaken)

    async def end_part(self, ended: PartEnded) -> None:
        self._known(ended.job, None)
        now = self._engine.clock.now()
        await self._write(lambda conn: jobs.end_part(conn, ended.job, ended, now))
        self._claims.pop((ended.job, ended.part), None)

    # -- inside --------------------------------------------------------------------------------------------------------

    def _known(self, job: int, states: tuple[jobs.JobState, ...] | None) -> Job:
        known = jobs.find(self._engine.conn, job)
        if known is None:
            raise NoJob("no_job", jobs.why_not_resumed(self._engine.conn, job))
        if states is not None and known.state not in states:
            raise NoJob("job_state", f"Job {job} is {known.state}.")
        return known

    def _refuse_barred(self, method: jobs.Method) -> None:
        """NoJob for a job whose documents could only wait."""
        if method == "llm" and (why := self._engine.pipeline.why_barred):
            raise NoJob("refused", why)

    async def _write(self, change: Any) -> Any:
        return await asyncio.wrap_future(self._engine.writer.write(change))

    def _stamped(self, item: ExtractedItem, job: Job, now: float) -> ExtractedItem:
        """Stamp ages with times of the engine's clock. NoJob for anything a worker of this version does not send."""
        record, document = item.record, item.document
        if not is_sound(record, document):
            raise NoJob(
                "document", f"A document of part {item.part} cannot be stored: its id, its text or a figure is invalid."
            )
        at = now - min(item.age_s, max(0.0, now - job.at))
        return replace(
            item,
            record=replace(record, at=at, backfill=job.kind == "backfill"),
            document=None if document is None else replace(document, at=at),
        )

    def _overtaken(self, item: ExtractedItem, job: Job, permit: Permit) -> ExtractedItem:
        record, document = by_frequency(item.record, item.document, job.method, permit, self._engine.plan.salt)
        return item if document is item.document else replace(item, record=record, document=document)


def by_frequency(
    record: Extraction, document: DocumentWrite | None, asked: jobs.Method, permit: Permit, salt: str
) -> tuple[Extraction, DocumentWrite | None]:
    """An LLM answer that arrives after the fall is stored as frequency; anything else comes back as it is."""
    if document is None or document.method != "llm":
        return record, document
    arm = "treatment" if asked == "llm" else buckets.arm(salt, document.id, permit.percent_bp)
    if permit.open and arm == "treatment":
        return record, document
    return jobs.as_frequency(record, document)


def is_sound(record: Extraction, document: DocumentWrite | None) -> bool:
    """Whether a worker of this version could have sent it."""
    if not all(math.isfinite(figure) for figure in (record.ms, record.queue_ms)) or record.shadow:
        return False
    if document is None:
        return True
    text_fits = len(document.text) <= TEXT_LIMIT
    return document.id == record.document_id and text_fits and not unfit_id(document.id, ID_LIMIT)
