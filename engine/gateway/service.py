"""A gateway: documents in, keywords out, everything stored by the engine.

It has no state. It obeys its lease: without one it runs at 0 %. Without its engine it refuses documents, or, if it is
`alone`, returns frequency keywords that are not stored.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from msgspec import Struct

from engine.gateway.documents import ASKED, EngineStore
from engine.measures.record import Extraction
from engine.plan.model import Plan
from engine.routing import reading
from engine.routing.document_run import Extracted
from engine.routing.pipeline import KEPT_WITHIN_S
from engine.routing.ports import Unconfirmed
from engine.routing.reading import TITLE_LIMIT, AskedDocument, BulkDocument, ReadDocument
from engine.service.notices import FaultLog
from engine.text import clean_line, percent
from engine.worker.core import SteadyClock
from engine.worker.leased import LeasedPipeline
from engine.worker.line import EngineConnection

LOOK_S = 1.0

log = logging.getLogger("rollout.gateway")


class Readiness(Struct, frozen=True):
    ready: bool
    sentence: str


class Gateway:
    """`ended` is set when the engine will never grant this gateway a lease; `why_ended` gives the reason."""

    failed = "The gateway failed on this {}; the reason is in its log."

    def __init__(
        self, name: str, plan: Plan, line: Callable[[], EngineConnection], api_key: str = "", alone: bool = False
    ) -> None:
        self.plan = plan
        self.ended = asyncio.Event()
        self.why_ended = ""
        self.stopping = False
        self._alone = alone
        self._attached = False  # whether the first lease has started the LLM client
        self._reached = False  # whether the engine could store documents when that was last looked at
        self._clock = SteadyClock()
        self._faults = FaultLog(log, lambda text: self._leased.pool.redactor.text(text))
        self._store = EngineStore(name, line, self._clock, self.unattached, self._starved, refuses=not alone)
        self._leased = LeasedPipeline(
            name=name,
            plan=plan,
            line=line,
            clock=self._clock,
            store=self._store,
            kept_within_s=KEPT_WITHIN_S,
            ended=self._end,
            trouble=self.trouble,
            api_key=api_key,
        )
        self.pipeline = self._leased.pipeline

    async def run(self) -> None:
        """Keep the lease and send documents to the engine, until cancelled."""
        self._leased.start()
        async with asyncio.TaskGroup() as group:
            for work in (self._store.send_forever(), self._attach()):
                group.create_task(work)

    async def stop(self) -> None:
        """Return the lease. Call it when requests have ended."""
        await self.pipeline.drain(0.0)
        await self._leased.stop()

    def cancel_calls(self) -> None:
        """End LLM calls in flight; their documents finish with frequency keywords."""
        self.pipeline.cancel_calls("ended with the gateway")

    # -- documents -----------------------------------------------------------------------------------------------------

    async def extract(self, asked: AskedDocument, read: ReadDocument | None = None) -> Extracted:
        """Keywords for one document. Returns when the engine has stored them. Raises Refused, Busy, or OSError
        without an engine."""
        ASKED.set(asked.method)  # of this request's task
        why = self._lacks()
        if not why:
            try:
                return await self.pipeline.extract(asked, read)
            except OSError as error:
                if not self._alone or asked.method == "llm":
                    raise
                perhaps = "perhaps " if isinstance(error, Unconfirmed) else ""
                note = f"{perhaps}not stored: {error}"
        elif not self._alone or asked.method == "llm":
            raise OSError(f"{why}; send the document again")
        else:
            note = f"not stored: {why}"
        return await self._unstored(asked, note, read)

    async def extract_many(self, documents: Sequence[BulkDocument]) -> list[Extracted | BaseException]:
        """The same for the documents of a batch. An error that `extract` would raise becomes that document's result."""
        if len({one.method for one in documents}) == 1 and not self._alone and not self.unattached():
            ASKED.set(documents[0].method)
            return await self.pipeline.extract_many(documents)
        several = (self.extract(one.asked, one.read) for one in documents)
        return await asyncio.gather(*several, return_exceptions=True)

    async def _unstored(self, asked: AskedDocument, note: str, read: ReadDocument | None) -> Extracted:
        """Frequency keywords that the engine has not stored, as far as this gateway knows."""
        if read is None:
            text, title = self.pipeline.admitted(asked.id, asked.text), clean_line(asked.title, TITLE_LIMIT)
            read = await asyncio.to_thread(reading.read, asked.id, text, title, self.pipeline.budget)
        if read.fault:
            self.trouble(reading.ReadingFault(read.fault))
        made = read.plain
        return Extracted(
            id=asked.id,
            keywords=made.ranked,
            descriptive=made.descriptive,
            technical=made.technical,
            method="frequency",
            cached=False,
            fallback=False,
            epoch=self._leased.keeper.held.terms.epoch,
            ms=round(read.ms, 3),
            note=note,
            stored=False,
        )

    # -- the engine ----------------------------------------------------------------------------------------------------

    def unattached(self) -> str:
        """Why the engine can store nothing now, as a phrase; "" while the lease lasts."""
        held = self._leased.keeper.held
        if held.until > self._clock.real():
            return "" if self._attached else "this gateway is starting"
        return self.why_ended.rstrip(".") or self._leased.keeper.problem or self._store.problem or held.ended

    def readiness(self) -> Readiness:
        """Readiness: whether a load balancer should send documents here, and why not."""
        if self.stopping:
            return Readiness(False, "This gateway is stopping.")
        if why := self._lacks():
            return Readiness(self._alone, f"No engine: {why}; {self._without_engine}.")
        permit = self._leased.switch.read()
        return Readiness(True, f"Attached, at {percent(permit.percent_bp)}{f': {permit.why}' if permit.why else ''}.")

    @property
    def _without_engine(self) -> str:
        return "documents get frequency keywords and are not stored" if self._alone else "documents are refused"

    async def _attach(self) -> None:
        logged = ""
        while not await self._leased.granted(LOOK_S):
            if (why := self.unattached()) != logged:
                logged = why
                log.warning("not attached: %s", why)
        self._attached = self._reached = True
        log.info("attached to the engine")
        while True:
            await asyncio.sleep(LOOK_S)
            self._leased.follow_salt()
            self._lacks()

    def _lacks(self) -> str:
        """What `unattached` gives. The log has each change, also one that only a client saw."""
        why = self.unattached()
        if self._attached and self._reached == bool(why):
            self._reached = not why
            if why:
                log.warning("no engine: %s; %s", why, self._without_engine)
            else:
                log.info("attached to the engine again")
        return why

    def _starved(self, record: Extraction) -> bool:
        return self._leased.starved(record)

    def _end(self, why: str) -> None:
        self.why_ended = why
        self.ended.set()

    def trouble(self, error: BaseException) -> None:
        """Log an internal fault."""
        self._faults.add(error)
