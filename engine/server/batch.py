"""Many documents in one request: processed off the event loop a chunk at a time, stored together, answered as they
complete."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Protocol

import msgspec
from msgspec import Struct, structs

from engine.decoding import UNREADABLE, json_decoder
from engine.routing.admission import Busy, Refused, Unusable
from engine.routing.document_run import Extracted
from engine.routing.pipeline import Pipeline
from engine.routing.ports import Unconfirmed
from engine.routing.reading import TITLE_LIMIT, AskedDocument, BulkDocument, ReadDocument
from engine.server.wire import DocumentLine, ExtractRequest, ProblemLine
from engine.text import clean_line

_requests = json_decoder(ExtractRequest)

CHUNK = 50  # documents per step and per turn of the loop: a rollback never waits for more
CHUNK_BYTES = 400_000  # and at most about this much text
CHUNKS_AHEAD = 16  # with their answers in memory; more wait until the client reads some
STORE_AGAIN_S = 5.0

Line = DocumentLine | ProblemLine
_encoder = msgspec.json.Encoder()


class HttpRefusal(Struct, frozen=True):
    """Why a document is not answered with keywords, with its HTTP status."""

    status: int
    code: str
    sentence: str
    retry_after_s: float | None = None


def refusal_of(error: Busy | Refused | OSError) -> HttpRefusal:
    if isinstance(error, Busy):
        return HttpRefusal(429, "busy", str(error), error.after_s)
    if isinstance(error, Unusable):
        return HttpRefusal(422, "document", str(error))
    if isinstance(error, Refused):
        return HttpRefusal(409, "refused", str(error))
    what = "It may not be stored" if isinstance(error, Unconfirmed) else "Not stored"
    return HttpRefusal(503, "store", f"{what}: {error}.", STORE_AGAIN_S)


class Extractor(Protocol):
    """What makes keywords: the engine, or a gateway. `failed`: where the reason of its own failure is found, with a
    place for what it failed on."""

    @property
    def pipeline(self) -> Pipeline: ...
    @property
    def failed(self) -> str: ...
    def trouble(self, error: BaseException) -> None: ...
    async def extract(self, asked: AskedDocument, read: ReadDocument | None = None) -> Extracted: ...
    async def extract_many(self, documents: Sequence[BulkDocument]) -> list[Extracted | BaseException]: ...


class Batch:
    """The documents of one request, as raw JSON."""

    def __init__(self, extractor: Extractor, raw: Sequence[msgspec.Raw]) -> None:
        self._extractor = extractor
        self._raw = raw

    async def lines(self) -> AsyncIterator[bytes]:
        """Yields JSON lines as documents complete. If the client stops reading, the rest is abandoned."""
        work: set[asyncio.Task[list[Line]]] = set()
        # its own documents alone never fill the LLM's queue, or the rest of them would be refused
        ahead = max(1, min(CHUNKS_AHEAD, self._extractor.pipeline.backlog.limit // CHUNK))
        chunks = self._chunks()
        more = True
        try:
            while more or work:
                while more and len(work) < ahead:
                    chunk = next(chunks, None)
                    more = chunk is not None
                    if chunk is not None:
                        work.add(asyncio.create_task(self._answered(*chunk)))
                if work:
                    done, work = await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
                    for task in done:
                        yield _encoder.encode_lines(task.result())
        finally:
            for task in work:
                task.cancel()

    def _chunks(self) -> Iterator[tuple[int, Sequence[msgspec.Raw]]]:
        """(the first one's index, documents) of about equal work."""
        start, size = 0, 0
        for index, raw in enumerate(self._raw):
            size += len(memoryview(raw))
            if index + 1 - start >= CHUNK or size >= CHUNK_BYTES:
                yield start, self._raw[start : index + 1]
                start, size = index + 1, 0
        if start < len(self._raw):
            yield start, self._raw[start:]

    async def _answered(self, first: int, raw: Sequence[msgspec.Raw]) -> list[Line]:
        """A line for each document, also after an internal fault: the other chunks are answered either way."""
        try:
            return await self._chunk(first, raw)
        except Exception as error:
            return [self._line(index, msgspec.UNSET, error) for index in range(first, first + len(raw))]

    async def _chunk(self, first: int, raw: Sequence[msgspec.Raw]) -> list[Line]:
        lines: list[Line] = []
        asked: list[tuple[int, ExtractRequest]] = []
        for index, one in enumerate(raw, first):
            try:
                request = _requests.decode(one)
                text = self._extractor.pipeline.admitted(request.id, request.text)
                asked.append((index, structs.replace(request, text=text)))
            except UNREADABLE as error:
                lines.append(ProblemLine(index, 422, f"Not usable: {clean_line(str(error))}.", "fields"))
            except (Refused, OSError) as error:
                lines.append(_problem(index, msgspec.UNSET, refusal_of(error)))
        given = [(request.id, request.text, clean_line(request.title, TITLE_LIMIT)) for _, request in asked]
        reads = await self._extractor.pipeline.read_many(given)
        documents = [
            BulkDocument(request.id, request.method, read) for (_, request), read in zip(asked, reads, strict=True)
        ]
        results = await self._extractor.extract_many(documents)
        return lines + [
            self._line(index, request.id, done) for (index, request), done in zip(asked, results, strict=True)
        ]

    def _line(self, index: int, document_id: str | msgspec.UnsetType, result: Extracted | BaseException) -> Line:
        if isinstance(result, Extracted):
            return DocumentLine(**structs.asdict(result), index=index)
        if isinstance(result, Busy | Refused | OSError):
            return _problem(index, document_id, refusal_of(result))
        self._extractor.trouble(result)
        return _problem(index, document_id, HttpRefusal(500, "internal", self._extractor.failed.format("document")))


def _problem(index: int, document_id: str | msgspec.UnsetType, why: HttpRefusal) -> ProblemLine:
    again = msgspec.UNSET if why.retry_after_s is None else why.retry_after_s
    return ProblemLine(index, why.status, why.sentence, why.code, document_id, retry_after_s=again)
