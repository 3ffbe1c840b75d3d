"""A document's path: reading, routing, the LLM arm or frequency, store. Every document gets keywords; none is lost.

Frequency keywords are computed for every document: they are the control arm, the fallback for every failure, and what a
restore serves again. A document is acknowledged when its record is committed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from concurrent.futures import Future
from typing import Any

from msgspec import Struct

from engine import tracing
from engine.extraction.cache import LlmCache
from engine.extraction.keywords import Budget
from engine.measures.backlog import Backlog
from engine.measures.record import Arm, Extraction
from engine.plan.model import Plan
from engine.rollout.state import State
from engine.routing import buckets, reading
from engine.routing.admission import Busy, LlmBarred, admitted, check
from engine.routing.calls import Calls
from engine.routing.document_run import DocumentRun, Extracted
from engine.routing.ports import Overtaken, Ports, Unconfirmed
from engine.routing.reader_pool import Readers
from engine.routing.reading import TITLE_LIMIT, AskedDocument, BulkDocument, ReadDocument, ReadingFault, UnreadDocument
from engine.routing.shadow import ShadowCalls
from engine.routing.switch import Permit
from engine.routing.treatment import Treatment, budget
from engine.store.documents import DocumentWrite
from engine.text import clean_line

KEPT_WITHIN_S = 5.0  # an engine's and a gateway's
INLINE_CHARS = 20_000  # longer documents are processed in a thread, so that they never delay a key press or a rollback
BULK_AGAIN_S = 5.0  # when rejected bulk work may be retried
NOTED = ("arm", "method", "stage", "epoch", "cached", "fallback", "keywords")  # of a document, in its trace


class Route(Struct, frozen=True):
    """Where a document goes at the percentage in force now."""

    bucket: int
    arm: Arm
    permit: Permit


class Routed(Struct, frozen=True):
    """Documents routed since the engine started, by arm. The difference of two is what happened in between."""

    llm: int = 0
    frequency: int = 0


class Pipeline:
    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._plan = ports.plan
        self._clock = ports.clock
        self.cache = LlmCache(ports.plan.llm.cache_bytes)
        self.calls = Calls(ports.pool, ports.switch, ports.clock)
        self._treatment = Treatment(ports, self.calls, self.cache)
        self.shadows = ShadowCalls(ports, self.calls, self._treatment)
        self._bulk = 0  # bulk documents on their way to the LLM
        self.bulk_refused = 0
        self.readers = Readers()
        self.routed = Routed()
        self.active = 0

    def use(self, plan: Plan) -> None:
        """Use this plan's stages and salt from the next document on."""
        self._plan = plan
        self._treatment.use(plan)

    @property
    def in_flight(self) -> int:
        """How many LLM calls are open."""
        return self.calls.in_flight

    @property
    def backlog(self) -> Backlog:
        """What is queued for the LLM now."""
        return Backlog(self._ports.pool.waiting_interactive, self._bulk, self._plan.llm.max_waiting)

    def cancel_calls(self, why: str = "ended by a rollback") -> int:
        """End every LLM call in flight; their documents are finished by frequency. Return how many there were."""
        return self.calls.cancel(why)

    async def drain(self, timeout_s: float) -> None:
        """Wait for shadow work, then cancel it."""
        await self.shadows.drain(timeout_s)
        self.readers.close()

    # -- one document --------------------------------------------------------------------------------------------------

    async def extract(self, asked: AskedDocument, read: ReadDocument | None = None) -> Extracted:
        """Keywords for one document, stored. Refused when the id or text is not usable, or when `llm` is not allowed
        now; Busy when too many bulk documents are queued; OSError when the store takes no writes (immediately when that
        is already known). `read`: already admitted and read."""
        text = self.admitted(asked.id, asked.text) if read is None else read.text
        self.active += 1
        try:
            with tracing.span("document", bulk=asked.bulk) as span:
                made = await self._extract(asked, text, read)
                span.note(**{name: getattr(made.extraction, name) for name in NOTED})
                if made.extraction.error is not None:
                    span.fail(made.extraction.error)
            return made.extracted()
        finally:
            self.active -= 1

    def admitted(self, document_id: str, text: str) -> str:
        """The text as it is read. Unusable for an id or text that cannot be accepted; OSError when the
        store takes no writes."""
        check(document_id, text)
        if why := self._ports.store.refusing:
            raise OSError(f"{why}; send the document again when that is resolved")
        return admitted(text)

    @property
    def permit(self) -> Permit:
        """What is in force now."""
        return self._ports.switch.read()

    async def read(self, document_id: str, text: str, title: str) -> ReadDocument:
        """A document, admitted and read here."""
        await self._prepared()
        return await self._read(document_id, self.admitted(document_id, text), clean_line(title, TITLE_LIMIT))

    async def read_many(self, documents: Sequence[UnreadDocument]) -> list[ReadDocument]:
        """Admitted documents, read in other processes."""
        return await self.readers.read(documents, self.budget)

    async def extract_many(self, documents: Sequence[BulkDocument]) -> list[Extracted | BaseException]:
        """What `extract` gives for each, in their order; or what it raises. The documents that stay on the frequency
        arm are routed in one step of the loop and stored in one transaction. The others go their own way, and each
        reads the switch for itself."""
        if tracing.in_use():  # each document has a span of its own
            return await asyncio.gather(*map(self._extract_bulk, documents), return_exceptions=True)
        permit, state = self._ports.switch.read(), self._ports.state()
        together: list[tuple[int, DocumentRun]] = []
        alone: list[tuple[int, BulkDocument]] = []
        for place, document in enumerate(documents):
            if document.method != "frequency":
                if document.method == "llm" or self.route(document.id, permit).arm == "treatment":
                    alone.append((place, document))
                    continue
                self._count("control")
            made = self._made(document.id, document.read, "control", permit, state, bulk=True)
            together.append((place, made.serve("frequency", made.plain, ms=document.read.ms)))
        results: list[Extracted | BaseException] = [OSError()] * len(documents)
        self.active += len(together)
        try:
            stored, others = await asyncio.gather(
                self._keep_all([made for _, made in together]),
                asyncio.gather(*(self._extract_bulk(document) for _, document in alone), return_exceptions=True),
                return_exceptions=True,
            )
        finally:
            self.active -= len(together)
        for place, made in together:
            results[place] = made.extracted() if stored is None else stored
            if stored is None and permit.shadow and documents[place].method == "auto" and self._in_shadow(made, state):
                self.shadows.start(made)
        assert isinstance(others, list)
        for (place, _), result in zip(alone, others, strict=True):
            results[place] = result
        return results

    def _extract_bulk(self, document: BulkDocument) -> Coroutine[Any, Any, Extracted]:
        return self.extract(document.asked, document.read)

    async def _extract(self, asked: AskedDocument, text: str, read: ReadDocument | None) -> DocumentRun:
        """`text`: admitted."""
        method, bulk = asked.method, asked.bulk
        if read is None:
            await self._prepared()
            started = self._clock.real()
            read = await self._read(asked.id, text, clean_line(asked.title, TITLE_LIMIT))
            frequency_ms = (self._clock.real() - started) * 1000
        else:
            frequency_ms = read.ms
        route = self.route(asked.id)
        permit, arm = route.permit, route.arm
        state = self._ports.state()
        if method == "llm" and (why := self._why_barred(state, permit)):
            raise LlmBarred(why)
        if method != "auto":
            arm = "treatment" if method == "llm" else "control"
        if bulk and arm == "treatment" and self._bulk >= self._plan.llm.max_waiting:
            self.bulk_refused += 1
            raise Busy(
                f"{self._bulk:,} bulk documents are already queued for the LLM. Send this one again later.",
                BULK_AGAIN_S,
            )
        if method == "auto":
            self._count(arm)
        bucket = route.bucket if method == "auto" else None
        made = self._made(asked.id, read, arm, permit, state, bulk)
        if arm == "treatment":
            self._bulk += bulk
            try:
                made = await self._treatment.treat(made, bucket)
            finally:
                self._bulk -= bulk
        else:
            made = made.serve("frequency", made.plain, ms=frequency_ms)
        try:
            await self._keep(made)
        except Overtaken as overtaken:
            made = made.serve("frequency", made.plain, fallback=True, message=str(overtaken))
        if arm == "control" and method == "auto" and permit.shadow and self._in_shadow(made, state):
            self.shadows.start(made)
        return made

    def _made(
        self, document_id: str, read: ReadDocument, arm: Arm, permit: Permit, state: State, bulk: bool
    ) -> DocumentRun:
        if read.fault:
            self._ports.trouble(ReadingFault(f"document {document_id} was read by counting words alone: {read.fault}"))
        return DocumentRun(
            text=read.text,
            content=read.content,
            title=read.title or document_id,
            plain=read.plain,
            rev=state.rev,
            extraction=Extraction(
                at=0.0, document_id=document_id, arm=arm, method="frequency", stage=state.stage, epoch=permit.epoch
            ),
            bulk=bulk,
        )

    def route(self, document_id: str, permit: Permit | None = None) -> Route:
        """The only place that assigns a document to an arm; a rollback's proof sends its probes through here too.
        `permit`: as the switch was read in this step of the loop."""
        permit = permit or self._ports.switch.read()
        bucket = buckets.bucket(self._plan.salt, document_id)
        return Route(bucket, buckets.arm_of(bucket, permit.percent_bp), permit)

    def _count(self, arm: str) -> None:
        llm, frequency = self.routed.llm, self.routed.frequency
        self.routed = Routed(llm + 1, frequency) if arm == "treatment" else Routed(llm, frequency + 1)

    @property
    def why_barred(self) -> str:
        """Why a document that asks for the LLM would be refused now; "" if it would not."""
        return self._why_barred(self._ports.state(), self._ports.switch.read())

    @staticmethod
    def _why_barred(state: State, permit: Permit) -> str:
        """A person may request the LLM explicitly at Internal's 0 %, but never against the switch."""
        if state.stage == 0:
            return "Stage 0 Preparation makes no LLM call. Pass its gate first, or load with --method frequency."
        if permit.why:
            what_to_do = "`rollout status` shows more; after a rollback, `rollout resume` allows it again"
            return f"No LLM call may be made now: {permit.why}. {what_to_do}."
        return ""

    @property
    def budget(self) -> Budget:
        return budget(self._plan.llm)

    async def _prepared(self) -> None:
        """Load parsers and ranking with the first document."""
        if not reading.is_prepared():
            await asyncio.to_thread(reading.prepare)

    async def _read(self, document_id: str, text: str, title: str) -> ReadDocument:
        """The document in a text, and its keywords by frequency."""
        with tracing.span("frequency keywords", characters=len(text)):
            if len(text) <= INLINE_CHARS:
                return reading.read(document_id, text, title, self.budget)
            return await asyncio.to_thread(reading.read, document_id, text, title, self.budget)

    def _in_shadow(self, made: DocumentRun, state: State) -> bool:
        shadow_bp = self._plan.stages[state.stage].shadow_bp if state.stage < len(self._plan.stages) else 0
        return buckets.in_shadow(self._plan.salt, made.id, shadow_bp) and not self._treatment.is_too_short(made.content)

    async def _keep(self, made: DocumentRun) -> None:
        await self._stored(self._ports.store.append(*self._observed(made, self._clock.now())))

    async def _keep_all(self, several: Sequence[DocumentRun]) -> None:
        if several:
            now = self._clock.now()
            await self._stored(self._ports.store.append_all([self._observed(made, now) for made in several]))

    def _observed(self, made: DocumentRun, now: float) -> tuple[Extraction, DocumentWrite]:
        record = made.record(now)
        self._ports.observe(record)
        return record, made.write(now, keep_text=self._plan.store.texts == "keep")

    async def _stored(self, committed: Future[None]) -> None:
        stored = asyncio.wrap_future(committed)
        try:
            with tracing.span("store commit"):
                async with asyncio.timeout(self._ports.kept_within_s):
                    await stored
        except TimeoutError:
            why = self._ports.store.problem or f"the store has not committed it within {self._ports.kept_within_s:g} s"
            raise Unconfirmed(f"{why}; send the document again") from None
