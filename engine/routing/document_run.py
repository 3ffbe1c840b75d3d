"""A document in progress, from its route to its record, and the answer that its client gets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import replace

from engine.extraction.keywords import Keywords
from engine.extraction.llm import NO_ATTEMPT, LlmAnswer, LlmFailure
from engine.measures.record import Arm, Extraction, Method
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
    """A document in progress: its route, and its results so far."""

    id: str
    text: str  # as it came
    content: str  # what both methods read
    title: str
    arm: Arm
    plain: Keywords
    stage: int
    epoch: int
    rev: int  # of the control state that routed it
    method: Method = "frequency"
    keywords: Keywords = Keywords()
    attempted: bool = False
    cached: bool = False
    lookup: bool = False
    fallback: bool = False
    skipped: bool = False
    shadow: bool = False
    bulk: bool = False  # no client is waiting for it
    error: str | None = None
    message: str | None = None
    ms: float = 0.0
    queue_ms: float = 0.0
    proposed: int = 0
    ungrounded: int = 0
    server: str | None = None
    short: bool = False
    answer: str | None = None
    tries: int = 0

    def serve(self, method: Method, keywords: Keywords, **facts: object) -> DocumentRun:
        return replace(self, method=method, keywords=keywords, **facts)

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
        return Extraction(
            at=at,
            document_id=self.id,
            arm=self.arm,
            method=self.method,
            stage=self.stage,
            epoch=self.epoch,
            attempted=self.attempted,
            cached=self.cached,
            lookup=self.lookup,
            fallback=self.fallback,
            skipped=self.skipped,
            shadow=self.shadow,
            error=self.error,
            message=self.message,
            ms=self.ms,
            queue_ms=self.queue_ms,
            keywords=len(self.keywords),
            proposed=self.proposed,
            ungrounded=self.ungrounded,
            server=self.server,
            short=self.short,
            answer=self.answer,
            tries=self.tries,
        )

    def write(self, at: float, keep_text: bool = True) -> DocumentWrite:
        by_llm = self.method == "llm"
        return DocumentWrite(
            id=self.id,
            title=self.title,
            text=self.text if keep_text else "",
            digest=digest(self.text),
            at=at,
            arm=self.arm,
            method="frequency" if self.shadow else self.method,
            frequency=self.plain.ranked,
            frequency_technical=self.plain.technical,
            llm=self.keywords.ranked if by_llm else None,
            llm_technical=self.keywords.technical if by_llm else (),
            stage=self.stage,
            epoch=self.epoch,
            shadow=self.shadow,
        )

    def extracted(self) -> Extracted:
        return Extracted(
            id=self.id,
            keywords=self.keywords.ranked,
            descriptive=self.keywords.descriptive,
            technical=self.keywords.technical,
            method=self.method,
            cached=self.cached,
            fallback=self.fallback,
            epoch=self.epoch,
            ms=round(self.ms, 3),
            note=self.message or ("too short for the LLM" if self.skipped else ""),
        )
