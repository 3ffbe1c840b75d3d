"""A worker's work: parts of a job, one after the other, through the product's own pipeline under a lease."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from engine.clock import SystemClock
from engine.decoding import json_decoder
from engine.plan.model import Plan
from engine.routing.admission import LlmBarred, Refused
from engine.routing.reading import AskedDocument, BulkDocument
from engine.store.documents import TextSource
from engine.store.jobs import ExtractedItem, Job, JobPart, OutputGone, PartDocument, PartEnded, SourceGone, key
from engine.text import clean_line, digest, spoken
from engine.worker.batches import KEPT_S, NOWHERE, PART, SOURCES, Batches
from engine.worker.leased import LeasedPipeline
from engine.worker.line import EngineConnection, EngineRefused, no_answer
from engine.worker.messages import REASON_CHARS, PartGrant, PartRequest

_parts = json_decoder(PartGrant)

START_S = 30.0  # for an engine that has not answered yet: its address may be wrong
GRANT_S = 10.0  # for the first answer to a renewal
AT_ONCE = 250  # documents in progress: each waits for its commit
HELD_PARTS = 4  # of a worker at once: the one that it reads, and those whose last documents are being stored
SOURCE_AGAIN_S = 5.0  # after a source, or an output, that cannot be reached
WAIT_S = 0.5  # while other workers have the rest of the job
ASK_S = 10.0
TROUBLES = 50  # failed documents that a part names
EMPTY = "empty"
# Documents read at once. Handing over each one separately costs a twentieth of its extraction; more would keep the
# loop from a rollback for over 20 ms.
AHEAD_DOCUMENTS = 16
AHEAD_CHARS = 30_000


class SteadyClock(SystemClock):
    """Wall time that no clock change moves: from the start on it follows the machine's monotonic clock, so ages are
    true."""

    def __init__(self) -> None:
        self._began = time.time() - self.real()

    def now(self) -> float:
        return self._began + self.real()


class WorkerFailed(Exception):
    """The worker cannot continue. The message is a sentence."""


class Worker:
    """`read` returns a part's documents, or raises SourceGone; `write` puts a part's keywords where the job wants
    them, if not in the store, or raises OutputGone. Both run in a thread. `line` opens a connection to the engine.
    `started` is called once the lease's threads run: what it does to this thread, such as a nice value, does not
    concern them."""

    def __init__(
        self,
        name: str,
        plan: Plan,
        job: int,
        line: Callable[[], EngineConnection],
        read: Callable[[Job, JobPart], Iterator[PartDocument]],
        api_key: str = "",
        write: Callable[[Job, int, Sequence[ExtractedItem]], None] | None = None,
        started: Callable[[], object] = lambda: None,
    ) -> None:
        self._write = write
        self._started = started
        self.name = name
        self._plan = plan
        self._job = job
        self._line = line
        self._read = read
        self._clock = SteadyClock()
        self._asking = line()
        self._asks = asyncio.Lock()
        self._is_answered = False
        self._batches = Batches(name, job, line(), self._clock, lambda record: self._leased.starved(record))
        self._api_key = api_key
        self._room = asyncio.Semaphore(max(1, min(AT_ONCE, plan.llm.max_waiting)))
        self._room_together = asyncio.Semaphore(AT_ONCE // AHEAD_DOCUMENTS)
        self._held: set[int] = set()
        self._part_ended = asyncio.Event()
        self._gone_since: float | None = None  # since when no source could be reached
        self._unreachable = ""  # why sources, or the output, cannot be reached now
        self._barred = asyncio.Lock()  # held by the document that looks when the LLM may be called again
        self._why_ended = ""
        self._troubles: set[type[BaseException]] = set()

    async def run(self) -> None:
        """Work until the job has nothing left for this worker. Raises WorkerFailed if it cannot continue."""
        job = (await self._next()).job
        if job.output:
            self._batches.collected = {}
        self._leased = leased = LeasedPipeline(
            name=self.name,
            plan=self._plan,
            line=self._line,
            clock=self._clock,
            store=self._batches,
            kept_within_s=KEPT_S + 60.0,
            ended=self._end,
            trouble=self._trouble,
            api_key=self._api_key,
            backfill=job.kind == "backfill",
            calls=job.method != "frequency",  # importing httpx takes half a second
        )
        self._pipeline = leased.pipeline
        self._current = asyncio.current_task()
        leased.start()
        self._started()
        sending = asyncio.create_task(self._batches.send_forever())
        try:
            if not await leased.granted(GRANT_S):
                raise WorkerFailed(self._why_ended or f"The engine granted no lease within {GRANT_S:g} s.")
            await self._work()
        except asyncio.CancelledError:
            if self._why_ended:
                raise WorkerFailed(self._why_ended) from None
            raise
        finally:
            await leased.stop()
            sending.cancel()

    # -- parts ---------------------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        """Take parts until the job has none left. The next one is read while the last documents of a part wait for the
        LLM or for their commit."""
        async with asyncio.TaskGroup() as parts:
            while (given := await self._next()).job.state == "running":
                if given.part is not None and given.number is not None:
                    self._held.add(given.number)
                    started = asyncio.Event()
                    parts.create_task(self._do(given.job, given.number, given.part, frozenset(given.written), started))
                    await started.wait()
                elif not given.waits:
                    break
                if given.part is None or len(self._held) >= HELD_PARTS:
                    await self._until_a_part_ends(None if given.part is not None else WAIT_S)

    async def _until_a_part_ends(self, timeout_s: float | None) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._part_ended.wait()

    async def _do(self, job: Job, number: int, part: JobPart, written: frozenset[str], started: asyncio.Event) -> None:
        """`started`: set when every document of the part has been started."""
        tally, counts = _Tally(), None
        if job.output:
            written = frozenset()  # the part's file is rewritten whole
        async with asyncio.TaskGroup() as group:
            gone = await self._start_all(group, job, number, part, written, tally)
            if gone:
                await asyncio.sleep(SOURCE_AGAIN_S)
            started.set()
        if gone:
            self._give_back(number, gone)
            return
        self._gone_since, self._unreachable = None, ""
        if self._batches.collected is not None and self._write is not None:
            items = self._batches.collected.pop(number, [])
            await self._put(self._write, job, number, items)
            counts = counted(items)
        ended = PartEnded(self.name, self._job, number, tally.failed, tally.empty, tally.troubles, counts)
        await self._post("part-ended", msgspec.json.encode(ended))
        self._leave(number)

    async def _start_all(
        self, group: asyncio.TaskGroup, job: Job, number: int, part: JobPart, written: frozenset[str], tally: _Tally
    ) -> str:
        """Start each document of a part that is not written yet; return why the rest cannot be read now, or ""."""
        documents = self._read(job, part)
        while True:
            try:
                some = await asyncio.to_thread(_some, documents)
            except SourceGone as gone:
                return str(gone)
            if not some:
                return ""
            new = [source for source in some if self._is_new(source, written, tally)]
            if self._makes_no_call(job):
                await self._room_together.acquire()
                group.create_task(self._extract_together(job, number, new, tally))
                continue
            for source in new:
                await self._room.acquire()
                group.create_task(self._extract(job, number, source, tally))
                await asyncio.sleep(0)  # a rollback waits for one document, not for all of these

    async def _put(
        self,
        write: Callable[[Job, int, Sequence[ExtractedItem]], None],
        job: Job,
        number: int,
        items: Sequence[ExtractedItem],
    ) -> None:
        """Write a part's keywords, and wait for a service that cannot be reached. Raises OSError."""
        until = self._clock.real() + KEPT_S
        while True:
            try:
                await asyncio.to_thread(write, job, number, items)
            except OutputGone as gone:
                if self._clock.real() > until:
                    raise
                self._unreachable = f"{gone}."
            else:
                self._unreachable = ""
                return
            await asyncio.sleep(SOURCE_AGAIN_S)

    def _give_back(self, number: int, why: str) -> None:
        """The part stays open, and its documents that are stored are known: whoever gets it next reads it again."""
        if self._batches.collected is not None:
            self._batches.collected.pop(number, None)
        now = self._clock.real()
        self._gone_since, self._unreachable = self._gone_since or now, why
        if now - self._gone_since > KEPT_S:
            raise WorkerFailed(why)
        self._leave(number)

    def _leave(self, number: int) -> None:
        self._held.discard(number)
        self._part_ended.set()

    def _is_new(self, source: PartDocument, written: frozenset[str], tally: _Tally) -> bool:
        """Whether a document is to be extracted: it could be read, is accepted, and its name and text are not stored
        yet."""
        if source.trouble:
            tally.skip(source.id, source.trouble)
            return False
        try:
            text = self._pipeline.admitted(source.id, source.text)
        except Refused as refused:
            tally.skip(source.id, str(refused))
            return False
        return not written or key(source.id, digest(text)) not in written

    def _sources(self, documents: Sequence[PartDocument]) -> Mapping[str, TextSource]:
        """Where the documents' texts are, by id, for a store that keeps references."""
        if self._plan.store.texts != "reference":
            return NOWHERE
        return {document.id: document.source for document in documents if document.source is not None}

    def _makes_no_call(self, job: Job) -> bool:
        """Whether every document that starts now is extracted by frequency. At a percentage each is routed alone."""
        return job.method == "frequency" or (job.method == "auto" and not self._pipeline.permit.percent_bp)

    async def _extract_together(self, job: Job, number: int, sources: list[PartDocument], tally: _Tally) -> None:
        PART.set(number)  # of this task
        SOURCES.set(self._sources(sources))
        try:
            documents = [
                BulkDocument(source.id, job.method, await self._pipeline.read(source.id, source.text, source.title))
                for source in sources
            ]
            for source, result in zip(sources, await self._pipeline.extract_many(documents), strict=True):
                if isinstance(result, Refused):
                    tally.skip(source.id, str(result))
                elif isinstance(result, BaseException):
                    raise result
        finally:
            self._room_together.release()

    async def _extract(self, job: Job, number: int, source: PartDocument, tally: _Tally) -> None:
        PART.set(number)  # of this task
        SOURCES.set(self._sources([source]))
        try:
            while True:
                with contextlib.suppress(LlmBarred):
                    asked = AskedDocument(source.id, source.text, source.title, job.method, bulk=True)
                    await self._pipeline.extract(asked)
                    return
                await self._until_permitted()
        except Refused as refused:
            tally.skip(source.id, str(refused))
        finally:
            self._room.release()

    async def _until_permitted(self) -> None:
        """Wait while the LLM, which the job's documents ask for, may not be called: a lease that lapsed is renewed, and
        after a rollback a person may raise the percentage again. Raises WorkerFailed after `KEPT_S`."""
        async with self._barred:
            until = self._clock.real() + KEPT_S
            while why := self._pipeline.why_barred:
                if self._clock.real() > until:
                    raise WorkerFailed(f"{why} The job's documents waited {KEPT_S / 60:g} minutes for it.")
                await asyncio.sleep(WAIT_S)

    async def _next(self) -> PartGrant:
        self._part_ended.clear()  # the engine does not know yet of a part that ends from here on
        why = clean_line(self._unreachable, REASON_CHARS)
        asks = PartRequest(self.name, self._job, frozenset(self._held), why)
        return _parts.decode(await self._post("part", msgspec.json.encode(asks)))

    async def _post(self, kind: str, body: bytes) -> bytes:
        """Ask the engine, and wait for one that does not answer. Raises WorkerFailed if it refuses."""
        began = self._clock.real()
        while True:
            try:
                async with self._asks:
                    answer = await asyncio.to_thread(self._asking.post, f"/v1/worker/{kind}", body, ASK_S)
                self._is_answered = True
                return answer
            except EngineRefused as refused:
                self._is_answered = True
                if not refused.passing:
                    raise WorkerFailed(str(refused)) from None
                why = str(refused)
            except OSError as error:
                if isinstance(error, ssl.SSLCertVerificationError) and not self._is_answered:
                    raise WorkerFailed(
                        f"{spoken(no_answer(error))} Give the name that is in it as the address, and set "
                        "SSL_CERT_FILE if an authority of your own issued it."
                    ) from None
                why = spoken(no_answer(error))
            if self._clock.real() - began > (KEPT_S if self._is_answered else START_S):
                raise WorkerFailed(why)
            await asyncio.sleep(WAIT_S)

    # -- what the lease brings -----------------------------------------------------------------------------------------

    def _end(self, why: str) -> None:
        """Stop: the engine will never grant this worker a lease."""
        self._why_ended = why
        if self._current is not None:
            self._current.cancel()

    def _trouble(self, error: BaseException) -> None:
        """Print the first fault of each kind: nothing reads this process's output until it ends, and a full pipe would
        stop it."""
        if type(error) in self._troubles:
            return
        self._troubles.add(type(error))
        print(f"trouble: {type(error).__name__}: {clean_line(str(error), 500)}", flush=True)


class _Tally:
    def __init__(self) -> None:
        self.failed = self.empty = 0
        self.troubles: dict[str, list[str]] = {}

    def skip(self, name: str, why: str) -> None:
        if why == EMPTY:
            self.empty += 1
        else:
            self.failed += 1
        if sum(map(len, self.troubles.values())) < TROUBLES:
            self.troubles.setdefault(clean_line(why, 300), []).append(clean_line(name, 300))


def _some(documents: Iterator[PartDocument]) -> list[PartDocument]:
    """The next few documents; [] after the last."""
    some: list[PartDocument] = []
    chars = 0
    while len(some) < AHEAD_DOCUMENTS and chars < AHEAD_CHARS:
        document = next(documents, None)
        if document is None:
            break
        some.append(document)
        chars += len(document.text)
    return some


def counted(items: Sequence[ExtractedItem]) -> tuple[int, int, int, int]:
    """Count results: (by LLM, by frequency, cached, fallback)."""
    records = [item.record for item in items]
    llm = sum(record.method == "llm" for record in records)
    cached, fallback = sum(record.cached for record in records), sum(record.fallback for record in records)
    return llm, len(records) - llm, cached, fallback


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Turn an error that ends a worker into a WorkerFailed with a sentence."""
    try:
        yield
    except* WorkerFailed as several:
        raise WorkerFailed(str(_first(several))) from None
    except* OSError as several:
        raise WorkerFailed(f"Results could not be stored: {_first(several)}.") from None


def _first(several: BaseExceptionGroup[BaseException]) -> BaseException:
    one: BaseException = several
    while isinstance(one, BaseExceptionGroup):
        one = one.exceptions[0]
    return one
