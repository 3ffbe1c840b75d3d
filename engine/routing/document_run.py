"""A document in progress, from its route to its record, and the answer that its client gets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import replace

from engine.extraction.keywords import Keywords
from engine.extraction.llm import NO_ATTEMPT, LlmAnswer, LlmFailure
from engine.measures.record import Extraction, Method
from engine.store.documents import DocumentWrite
from engine.text import clean_line, digest


class Extracted(Struct, frozen=True):
    """The answer for one document, as POST /v1/extract returns it."""

    id: str
    keywords: tuple[str, ...]
    descriptive: tuple[str, ...]
    technical: tuple[str, ...]
    method: str
    cached: bool
    fallback: bool
    epoch: int
    ms: float
    note: str = ""
    stored: Annotated[
        bool | UnsetType, Meta(description="False: a gateway made these and its engine has not confirmed them.")
    ] = UNSET


class DocumentRun(Struct, frozen=True):
    """A document in progress: what it is, and its results so far."""

    text: str  # as it came
    content: str  # what both methods read
    title: str
    plain: Keywords
    rev: int  # of the control state that routed it
    extraction: Extraction  # what will be recorded, so far; its time comes with `record`
    keywords: Keywords = Keywords()
    bulk: bool = False  # no client is waiting for it

    @property
    def id(self) -> str:
        return self.extraction.document_id

    def serve(self, method: Method, keywords: Keywords, **facts: object) -> DocumentRun:
        extraction = replace(self.extraction, method=method, keywords=len(keywords), **facts)
        return replace(self, keywords=keywords, extraction=extraction)

    def answered(self, answer: LlmAnswer, keywords: Keywords, short: str, **facts: object) -> DocumentRun:
        """Record an answer of the LLM from a fresh call. `short` describes what it lacks; "" if nothing."""
        return self.serve(
            "llm",
            keywords,
            attempted=True,
            short=bool(short),
            message=short or None,
            proposed=answer.proposed,
            ungrounded=answer.dropped_ungrounded,
            server=answer.server,
            tries=answer.attempts,
            **self._times(answer.ms, answer.queue_ms, facts),
            **facts,
        )

    def failed(self, method: Method, keywords: Keywords, failure: LlmFailure, **facts: object) -> DocumentRun:
        """The LLM was asked, or would have been without its open breakers, and returned nothing usable. A document that
        gave up waiting for the model to load is not an attempt."""
        return self.serve(
            method,
            keywords,
            attempted=failure.kind not in NO_ATTEMPT,
            error=str(failure.kind),
            message=clean_line(failure.message, 300),
            server=failure.server or None,
            answer=failure.answer or None,
            tries=failure.attempts,
            **self._times(failure.ms, failure.queue_ms, facts),
            **facts,
        )

    def _times(self, service_ms: float, queue_ms: float, facts: Mapping[str, object]) -> dict[str, float]:
        """Set the latency: with our queue if a client waits for the document, otherwise from the send."""
        waited = 0.0 if self.bulk or facts.get("shadow") else queue_ms
        return {"ms": service_ms + waited if service_ms else 0.0, "queue_ms": waited}

    def record(self, at: float) -> Extraction:
        return replace(self.extraction, at=at)

    def write(self, at: float, keep_text: bool = True) -> DocumentWrite:
        extraction, by_llm = self.extraction, self.extraction.method == "llm"
        return DocumentWrite(
            id=self.id,
            title=self.title,
            text=self.text if keep_text else "",
            digest=digest(self.text),
            at=at,
            arm=extraction.arm,
            method="frequency" if extraction.shadow else extraction.method,
            frequency=self.plain.ranked,
            frequency_technical=self.plain.technical,
            llm=self.keywords.ranked if by_llm else None,
            llm_technical=self.keywords.technical if by_llm else (),
            stage=extraction.stage,
            epoch=extraction.epoch,
            shadow=extraction.shadow,
        )

    def extracted(self) -> Extracted:
        extraction = self.extraction
        return Extracted(
            id=self.id,
            keywords=self.keywords.ranked,
            descriptive=self.keywords.descriptive,
            technical=self.keywords.technical,
            method=extraction.method,
            cached=extraction.cached,
            fallback=extraction.fallback,
            epoch=extraction.epoch,
            ms=round(extraction.ms, 3),
            note=extraction.message or ("too short for the LLM" if extraction.skipped else ""),
        )
