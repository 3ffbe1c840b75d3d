"""A worker's store: sends documents to the engine in batches. They count as stored when the engine has committed
them.

While the engine does not answer they wait, at most `KEPT_S`; then they fail, and their part with them.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

import msgspec
from msgspec.structs import replace

from engine.clock import Clock
from engine.decoding import json_decoder
from engine.measures.record import Extraction
from engine.routing.ports import all_of, settle
from engine.store.documents import DocumentWrite, TextSource
from engine.store.jobs import ExtractedItem, as_frequency, key
from engine.worker.line import EngineConnection, EngineRefused, no_answer
from engine.worker.messages import BATCH_CHARS, BATCH_DOCUMENTS, BatchReceipt, WorkerBatch

_receipts = json_decoder(BatchReceipt)

KEPT_S = 600.0  # how long results wait for an engine that does not answer
GATHER_S = 0.2  # how long a document waits for others to fill the batch
AGAIN_S = 0.3
POST_S = 30.0  # for the engine to commit a batch

PART: contextvars.ContextVar[int] = contextvars.ContextVar("part")  # of the document, in its task
NOWHERE: Mapping[str, TextSource] = {}
SOURCES = contextvars.ContextVar("sources", default=NOWHERE)  # where the documents of this task were read, by id


class Batches:
    """Takes the place of `engine.store.writer.Writer` for a pipeline, in the loop. `line` is used in a thread.
    `starved`: whether this process was late while it made the record."""

    def __init__(
        self,
        worker: str,
        job: int,
        line: EngineConnection,
        clock: Clock,
        starved: Callable[[Extraction], bool] = lambda record: False,
    ) -> None:
        self.collected: dict[int, list[ExtractedItem]] | None = None  # by part, for a job whose keywords go elsewhere
        self._worker = worker
        self._job = job
        self._line = line
        self._clock = clock
        self._starved = starved
        self._waiting: deque[tuple[ExtractedItem, float, Future[None]]] = deque()
        self._more, self._full = asyncio.Event(), asyncio.Event()
        self._number = time.time_ns() >> 26  # differs from the numbers of an earlier process of the same name
        self.refusing = ""
        self.problem = ""

    def append(self, record: Extraction, document: DocumentWrite | None = None) -> Future[None]:
        """A worker has no cache: it is the engine's, and was not asked."""
        future: Future[None] = Future()
        if document is not None and (source := SOURCES.get().get(document.id)) is not None:
            document = replace(document, source=source)
        if self.collected is not None and document is not None:
            document = replace(document, text="")  # the engine does not store this text
        name = key(record.document_id, document.digest if document is not None else "")
        item = ExtractedItem(PART.get(), name, 0.0, replace(record, lookup=False), document, self._starved(record))
        self._waiting.append((item, self._clock.real(), future))
        self._more.set()
        if len(self._waiting) >= BATCH_DOCUMENTS:
            self._full.set()
        return future

    def append_all(self, items: Sequence[tuple[Extraction, DocumentWrite | None]]) -> Future[None]:
        return all_of([self.append(record, document) for record, document in items])

    def later(self, job: Callable[[sqlite3.Connection], Any]) -> None:
        """Nothing to do: these jobs concern the cache, which is the engine's."""

    async def send_forever(self) -> None:
        """Send waiting documents a batch at a time, until cancelled."""
        while True:
            await self._more.wait()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GATHER_S):
                    await self._full.wait()
            batch = self._next()
            if len(self._waiting) < BATCH_DOCUMENTS:
                self._full.clear()
            if not self._waiting:
                self._more.clear()
            if batch:
                await self._send(batch)

    def _next(self) -> list[tuple[ExtractedItem, float, Future[None]]]:
        batch: list[tuple[ExtractedItem, float, Future[None]]] = []
        chars = 0
        while self._waiting and len(batch) < BATCH_DOCUMENTS:
            document = self._waiting[0][0].document
            chars += len(document.text) if document is not None else 0
            if batch and chars > BATCH_CHARS:
                break
            batch.append(self._waiting.popleft())
        return batch

    async def _send(self, batch: list[tuple[ExtractedItem, float, Future[None]]]) -> None:
        self._number += 1
        until = self._clock.real() + KEPT_S
        while True:
            now = self._clock.real()
            items = [replace(item, age_s=max(0.0, now - made)) for item, made, _ in batch]
            body = msgspec.json.encode(WorkerBatch(self._worker, self._job, self._number, items))
            try:
                answer = await asyncio.to_thread(self._line.post, "/v1/worker/batch", body, POST_S)
                receipt = _receipts.decode(answer)
            except EngineRefused as refused:
                self.problem = refused.phrase
                if not refused.passing:
                    self.refusing = refused.phrase
            except (OSError, msgspec.MsgspecError) as error:
                self.problem = no_answer(error)
            else:
                self.problem = ""
                self._collect([item for item, _, _ in batch], receipt)
                for _, _, future in batch:
                    settle(future)
                return
            if self.refusing or self._clock.real() > until:
                for _, _, future in batch:
                    settle(future, OSError(self.problem))
                return
            await asyncio.sleep(AGAIN_S)

    def _collect(self, items: list[ExtractedItem], receipt: BatchReceipt) -> None:
        """Keep the keywords that the engine counted, as it counted them, for the part's file."""
        if self.collected is None:
            return
        overtaken = frozenset(receipt.overtaken)
        for place, item in enumerate(items):
            if place in overtaken and item.document is not None:
                record, document = as_frequency(item.record, item.document)
                item = replace(item, record=record, document=document)
            self.collected.setdefault(item.part, []).append(item)
