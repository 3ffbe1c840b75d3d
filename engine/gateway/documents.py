"""A gateway's store: sends documents to the engine as soon as a connection is free. They count as stored when the
engine has committed them.

A document that comes alone is sent at once. Under load a batch waits until it has as many documents as the last one, or
for GATHER_S; while one is under way the next fills. If the engine does not confirm a batch within KEPT_WITHIN_S, the
gateway's clients learn that their documents may not be stored: an engine that is killed may have committed them before
it could answer. A document that a client then sends again is extracted again: a second record, one document.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextvars import ContextVar
from typing import Any

import msgspec
from msgspec.structs import replace

from engine.clock import Clock
from engine.decoding import json_decoder
from engine.measures.record import Extraction
from engine.routing.pipeline import KEPT_WITHIN_S
from engine.routing.ports import Overtaken, Unconfirmed, all_of, settle
from engine.routing.reading import MethodAsked
from engine.store.documents import DocumentWrite
from engine.store.jobs import OVERTAKEN
from engine.worker.line import EngineConnection, EngineRefused, no_answer
from engine.worker.messages import BATCH_CHARS, BATCH_DOCUMENTS, DocumentBatch, DocumentReceipt, ExtractedDocument

_receipts = json_decoder(DocumentReceipt)

SENDERS = 2
GATHER_S = 0.003
AGAIN_S = 0.1
MOST_WAITING = 5000  # documents; more are refused
MOST_CHARS = 64_000_000  # characters of their texts
PATH = "/v1/worker/documents"

ASKED: ContextVar[MethodAsked] = ContextVar("asked", default="auto")  # of the document in this task

Waiting = tuple[ExtractedDocument, float, Future[None]]


class EngineStore:
    """Takes the place of `engine.store.writer.Writer` for a pipeline, in the loop.

    `unattached` gives the reason why the engine can take nothing now; `starved`: whether this record was measured by
    a late loop; `refuses`: refuse documents before any work when the engine can take nothing.
    """

    def __init__(
        self,
        name: str,
        line: Callable[[], EngineConnection],
        clock: Clock,
        unattached: Callable[[], str],
        starved: Callable[[Extraction], bool],
        refuses: bool,
    ) -> None:
        self._name = name
        self._line = line
        self._clock = clock
        self._unattached = unattached
        self._starved = starved
        self._refuses = refuses
        self._waiting: deque[Waiting] = deque()
        self._chars = 0
        self._more = asyncio.Event()
        self._number = 0
        self._last = 0  # documents in the last batch
        self.problem = ""

    @property
    def refusing(self) -> str:
        return self._unattached() if self._refuses else ""

    def append(self, record: Extraction, document: DocumentWrite | None = None) -> Future[None]:
        """A gateway has no cache: it is the engine's, and was not asked."""
        future: Future[None] = Future()
        chars = len(document.text) if document is not None else 0
        full = len(self._waiting) >= MOST_WAITING or (self._waiting and self._chars + chars > MOST_CHARS)
        if why := self._unattached() or ("the engine is not keeping up with this gateway" if full else ""):
            future.set_exception(OSError(why))
            return future
        record = replace(record, lookup=False)
        item = ExtractedDocument(ASKED.get(), 0.0, record, document, self._starved(record))
        self._waiting.append((item, self._clock.real(), future))
        self._chars += chars
        self._more.set()
        return future

    def append_all(self, items: Sequence[tuple[Extraction, DocumentWrite | None]]) -> Future[None]:
        return all_of([self.append(record, document) for record, document in items])

    def later(self, job: Callable[[sqlite3.Connection], Any]) -> None:
        """Nothing to do: these jobs concern the cache, which is the engine's."""

    async def send_forever(self) -> None:
        """Send waiting documents, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(SENDERS):
                group.create_task(self._send_forever(self._line()))

    async def _send_forever(self, line: EngineConnection) -> None:
        while True:
            await self._more.wait()
            if len(self._waiting) < self._last:
                await asyncio.sleep(GATHER_S)
            batch = self._next()
            if not self._waiting:
                self._more.clear()
            if batch:
                self._last = len(batch)
                await self._send(line, batch)

    def _next(self) -> list[Waiting]:
        batch: list[Waiting] = []
        chars = 0
        while self._waiting and len(batch) < BATCH_DOCUMENTS:
            document = self._waiting[0][0].document
            size = len(document.text) if document is not None else 0
            if batch and chars + size > BATCH_CHARS:
                break
            chars += size
            self._chars -= size
            waiting = self._waiting.popleft()
            if not waiting[2].cancelled():
                batch.append(waiting)
        return batch

    async def _send(self, line: EngineConnection, batch: list[Waiting]) -> None:
        self._number += 1
        number, until = self._number, self._clock.real() + KEPT_WITHIN_S
        failure: type[OSError] = OSError
        while True:
            now = self._clock.real()
            items = [replace(item, age_s=max(0.0, now - made)) for item, made, _ in batch]
            body = msgspec.json.encode(DocumentBatch(self._name, number, items))
            try:
                answer = await asyncio.to_thread(line.post, PATH, body, max(0.1, until - now))
                receipt = _receipts.decode(answer)
            except EngineRefused as refused:
                self.problem = refused.phrase
                if not refused.passing:
                    break
                failure = Unconfirmed  # a proxy's 504 is one too
            except (OSError, msgspec.MsgspecError) as error:
                self.problem = no_answer(error)
                failure = Unconfirmed
            else:
                self.problem = ""
                overtaken = frozenset(receipt.overtaken)
                for place, (_, _, future) in enumerate(batch):
                    settle(future, Overtaken(OVERTAKEN) if place in overtaken else None)
                return
            if self._clock.real() + AGAIN_S > until:
                break
            await asyncio.sleep(AGAIN_S)
        for _, _, future in batch:
            settle(future, failure(self.problem))
