"""The LLM arm: keywords from the cache or by a call, topped up by frequency; a failure falls back to frequency."""

from __future__ import annotations

import sqlite3

from engine import tracing
from engine.extraction.cache import LlmCache, cache_key
from engine.extraction.keywords import Budget, Keywords, topped_up
from engine.extraction.llm import PROMPT_VERSION, ErrorKind, LlmAnswer, LlmFailure, NotPermitted
from engine.plan.model import Llm, Plan
from engine.routing.calls import Calls, Cancelled
from engine.routing.document_run import DocumentRun
from engine.routing.ports import Ports
from engine.store.folder import StoreError
from engine.text import counted


def budget(llm: Llm) -> Budget:
    """The limits on keywords, for both methods: the plan's limits on the LLM's answer apply to frequency keywords
    too."""
    return Budget(llm.max_total, llm.max_descriptive, llm.max_technical)


class Treatment:
    def __init__(self, ports: Ports, calls: Calls, cache: LlmCache) -> None:
        self._ports = ports
        self._llm = ports.plan.llm
        self._calls = calls
        self._cache = cache

    def use(self, plan: Plan) -> None:
        self._llm = plan.llm

    async def treat(self, made: DocumentRun, bucket: int | None) -> DocumentRun:
        """Any failure of the LLM arm is counted and costs no document its keywords."""
        try:
            return await self._treat(made, bucket)
        except (StoreError, sqlite3.Error):
            raise
        except Exception as error:
            return made.failed("frequency", made.plain, self.our_fault(error), lookup=True, fallback=True)

    def is_too_short(self, text: str) -> bool:
        return len(text.strip()) < self._llm.min_length

    def our_fault(self, error: Exception) -> LlmFailure:
        """Report an internal error; the failure that the document gets for it."""
        self._ports.trouble(error)
        why = f"the engine's LLM arm has a fault ({type(error).__name__}); engine.log has the details"
        return LlmFailure(ErrorKind.internal, why, sent=False, ms=0.0)

    def answered(self, made: DocumentRun, answer: LlmAnswer, **facts: bool) -> DocumentRun:
        """The document with the LLM's answer."""
        keywords, short = self._topped_up(answer.keywords, made)
        return made.answered(answer, keywords, short, **facts)

    async def _treat(self, made: DocumentRun, bucket: int | None) -> DocumentRun:
        if self.is_too_short(made.content):
            return made.serve("frequency", made.plain, skipped=True)
        await self._ports.pool.known()
        key = cache_key(made.content, self._ports.pool.model_digest, PROMPT_VERSION, self._llm)
        with tracing.span("cache lookup") as span:
            known = self._cache.look_up(self._ports.conn, key, self._cached_since())
            span.note(hit=known is not None)
        if known is not None:
            now = self._ports.clock.now()
            self._ports.store.later(lambda conn: self._cache.touch(conn, key, now))
            keywords, _ = self._topped_up(known, made)
            return made.serve("llm", keywords, lookup=True, cached=True)
        try:
            answer = await self._calls.extract(made.content, bucket, background=made.bulk)
        except Cancelled as ended:
            return made.serve("frequency", made.plain, lookup=True, fallback=True, message=str(ended))
        except NotPermitted:
            lowered = "the percentage was lowered before the call"
            return made.serve("frequency", made.plain, fallback=True, message=lowered)
        except LlmFailure as failure:
            return made.failed("frequency", made.plain, failure, lookup=True, fallback=True)
        now = self._ports.clock.now()
        self._ports.store.later(lambda conn: self._cache.keep(conn, key, answer.keywords, made.rev, now))
        return self.answered(made, answer, lookup=True)

    def _cached_since(self) -> int:
        """The revision from which cached answers may be served: none from before the last rollback, unless the plan
        allows it."""
        return 0 if self._llm.cache_after_rollback else self._ports.state().last_rev

    def _topped_up(self, keywords: Keywords, made: DocumentRun) -> tuple[Keywords, str]:
        """The keywords topped up by frequency to the plan's minimum, and the shortfall in words. A second call would
        double the wait, and a model that returns few keywords returns few again."""
        least = self._llm.min_total
        full = topped_up(keywords, made.plain, least, budget(self._llm))
        more = len(full) - len(keywords)
        if not more:
            return keywords, ""
        gave = counted(len(keywords), "keyword")
        return full, f"the LLM gave {gave}, fewer than [llm] min_total = {least}; {more} more by frequency"
