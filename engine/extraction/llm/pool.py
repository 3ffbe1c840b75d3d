"""All LLM servers as one: a document goes to the least loaded and returns with grounded keywords, or with a reason.

Documents wait in the pool's own queue, not in the HTTP client. A document has one deadline for all its calls; its
clock runs from the first send and pauses while the document only queues or the model loads. So `ms` is the service's
own latency and `queue_ms` is ours. A document that a client waits for has a limit in the queue too; bulk work has
none, and goes last.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace

import msgspec

from engine import tracing
from engine.clock import Clock
from engine.extraction import chunks
from engine.extraction.keywords import Keywords
from engine.extraction.llm import prompt
from engine.extraction.llm.address import address
from engine.extraction.llm.call import call
from engine.extraction.llm.check import CheckReport, Say, check
from engine.extraction.llm.concurrency import Window
from engine.extraction.llm.deadline import DocumentProgress
from engine.extraction.llm.failure import ANSWERS, UNSENT, ErrorKind, Fault, LlmFailure, NotPermitted
from engine.extraction.llm.health import ServerHealth
from engine.extraction.llm.http import Http
from engine.extraction.llm.judge import PieceEvidence, PieceKeywords, judge, merged
from engine.extraction.llm.permit import RequestGuard
from engine.extraction.llm.protocol import ModelReply
from engine.extraction.llm.queue import Slot, WaitQueue
from engine.extraction.llm.redact import Redactor
from engine.extraction.llm.retry import Accept, Again, Halve, Tries, next_step
from engine.extraction.llm.server import Server
from engine.extraction.llm.window_share import WindowShare
from engine.plan.model import Llm

INLINE_CHARS = 200_000
MAX_PIECES = 16  # calls that one long document may cost; if it has more pieces, an even sample of them is read
BACKOFF_S = 0.2
BACKOFF_MOST_S = 2.0
SMALLEST_PIECE = 500  # characters; a text that does not fit at this size is too long


class LlmAnswer(msgspec.Struct, frozen=True):
    """Keywords of one document. Times in ms."""

    keywords: Keywords
    ms: float  # from the first send to the last answer, without queueing and loading a cold model
    queue_ms: float  # in the pool's queue, before and between calls
    attempts: int
    dropped_ungrounded: int
    proposed: int
    server: str
    salvaged: bool = False  # from an answer that was truncated or broken


class LlmPool:
    """The servers of `[llm] urls` behind one queue. Not for use from several event loops."""

    def __init__(
        self, config: Llm, clock: Clock, *, api_key: str | None = None, permit: Callable[[], bool] = lambda: True
    ) -> None:
        """`permit` is checked before every request that uses a model, whoever sends it."""
        self.config = config
        self.gate = RequestGuard(permit)
        self._clock = clock
        self._api_key = api_key
        self.redactor = Redactor(_secrets(config, api_key))
        self._servers = tuple(Server(url, config, clock) for url in dict.fromkeys(config.urls))
        self._queue = WaitQueue(self._servers, config.max_waiting)
        self._client: Http | None = None
        self._learning: asyncio.Task[None] | None = None
        self._random = random.Random()

    # life

    async def start(self) -> None:
        """Open the client; learn about the servers in the background."""
        if self._client is not None:
            return
        self._client = Http(
            self._clock.real,
            self._api_key,
            self.config.timeout_s,
            self.redactor,
            self.config.headers,
            self.config.api_key_header,
            self.gate,
        )
        self._learning = asyncio.create_task(self._learn())

    async def close(self) -> None:
        """Cancel background work, reject queued calls, close the connections."""
        if self._learning is not None:
            self._learning.cancel()
            await asyncio.gather(self._learning, return_exceptions=True)
        for server in self._servers:
            await server.stop()
        self._queue.turn_away(Fault(ErrorKind.breaker_open, "the engine is stopping"))
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def preload(self) -> None:
        """Load the model on every server now, so that no document waits for it. `servers()` shows failures."""
        await self._on_every_server(Server.preload)

    async def _learn(self) -> None:
        await self._on_every_server(Server.survey)

    async def _on_every_server(self, does: Callable[[Server, Http], Awaitable[object]]) -> None:
        http = self._http()
        ends = await asyncio.gather(*(does(server, http) for server in self._servers), return_exceptions=True)
        for server, end in zip(self._servers, ends, strict=True):
            if isinstance(end, Fault):
                server.note(end)

    def _http(self) -> Http:
        if self._client is None:
            raise RuntimeError("the LLM pool is not started")
        return self._client

    def shut(self) -> None:
        """End the connection of every request that uses a model, from any thread. Cancel the requests first."""
        client = self._client
        if client is not None:
            client.shut()

    # read by the screens and the triggers

    def servers(self) -> tuple[ServerHealth, ...]:
        return tuple(server.health() for server in self._servers)

    async def probe(self) -> tuple[ServerHealth, ...]:
        """Check whether every server answers, within 5 s and without using a model."""
        client = self._http()
        await asyncio.gather(*(server.probe(client) for server in self._servers))
        self._queue.serve()
        return self.servers()

    async def check(self, say: Say | None = None) -> CheckReport:
        """Check version, model, context, thinking, schema and capacity of every server with a few calls on a built-in
        sample text.

        `say` receives each finding as it comes.
        """
        return await check(self._servers, self._http(), self.config, say)

    async def known(self) -> None:
        """Wait until the servers have identified themselves or failed to: at most 5 s after `start`, or `timeout`."""
        if self._learning is not None and not self._learning.done():
            await asyncio.wait([self._learning], timeout=self.config.timeout_s)

    @property
    def model_digest(self) -> str:
        """Digest of the model as the servers report it; it changes when the weights behind the name do. Part of the
        cache key."""
        return "+".join([self.config.model, *sorted(self.digests)])

    @property
    def digests(self) -> frozenset[str]:
        """Digests of the weights behind the model's name, from the servers that have reported one."""
        return frozenset(s.facts.digest for s in self._servers if s.facts.digest)

    @property
    def all_known(self) -> bool:
        """Whether every server has reported its digest."""
        return all(s.facts.digest for s in self._servers)

    @property
    def windows(self) -> dict[str, Window]:
        """The window of each server, by its address."""
        return {server.url: server.window for server in self._servers}

    def borrow_windows(self) -> dict[str, WindowShare]:
        """Let another process decide how many calls each server gets from this one. It calls `serve` after each
        change."""
        lent = {server.url: WindowShare(self.config.max_concurrency, self.config.timeout_s) for server in self._servers}
        for server in self._servers:
            server.window = lent[server.url]
        return lent

    def serve(self) -> None:
        """Give free slots to waiting calls."""
        self._queue.serve()

    @property
    def waiting(self) -> int:
        """Calls waiting for a free slot on a server."""
        return len(self._queue)

    @property
    def waiting_interactive(self) -> int:
        """Those of them that a client waits for."""
        return self._queue.interactive

    # one document

    async def extract(self, text: str, *, permit: Callable[[], bool], background: bool = False) -> LlmAnswer:
        """Keywords of the text. `permit` is checked right before every send; `background`: no client is waiting, so
        others go first.

        Raises NotPermitted when `permit` refuses (nothing is sent after that), LlmFailure for everything else.
        Cancelling closes the connections.
        """
        self._http()
        started = self._clock.real()
        async with asyncio.timeout(None) as deadline:
            document = DocumentProgress(
                self._clock, permit, self.config.timeout_s, deadline, started, background, loading=self._loading_s
            )
            try:
                return await self._extract(text, document)
            except asyncio.CancelledError:
                if deadline.expired():
                    raise document.out_of_time() from None
                raise

    async def _extract(self, text: str, document: DocumentProgress) -> LlmAnswer:
        config = self.config
        keywords = await self._all(await self._pieces(text), document)
        return LlmAnswer(
            keywords=merged(keywords, config),
            ms=document.ms,
            queue_ms=document.queue_ms,
            attempts=document.attempts,
            dropped_ungrounded=document.dropped,
            proposed=document.proposed,
            server=document.server,
            salvaged=document.salvaged,
        )

    async def _pieces(self, text: str) -> tuple[str, ...]:
        """The pieces of a text. A long text is split in a thread, because a rollback must not wait half a second for
        it."""
        limits = {"max_chars": self.config.chunk_chars, "max_tokens": self._room(), "max_pieces": MAX_PIECES}
        if len(text) <= INLINE_CHARS:
            return chunks.split(text, **limits)
        return await asyncio.to_thread(chunks.split, text, **limits)

    def _room(self) -> int:
        """Tokens of text that fit into one piece."""
        known = [s.context for s in self._servers if s.context]
        context = min(known) if known else self.config.num_ctx
        return max(200, context - prompt.ANSWER_TOKENS - prompt.SYSTEM_TOKENS)

    async def _all(self, pieces: tuple[str, ...], document: DocumentProgress) -> list[PieceKeywords]:
        """Keywords of all pieces. A piece without keywords does not fail the document; any other failure does."""
        if len(pieces) == 1:
            return await self._piece(pieces[0], document)

        document.pieces = len(pieces)

        async def one(piece: str) -> list[PieceKeywords] | LlmFailure:
            try:
                return await self._piece(piece, document)
            except LlmFailure as failure:
                if failure.kind in ANSWERS:
                    return failure
                raise

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(piece)) for piece in pieces]
        except BaseExceptionGroup as several:
            raise _foremost(several) from None
        ends = [task.result() for task in tasks]
        results = [f for end in ends if not isinstance(end, LlmFailure) for f in end]
        if not results:
            raise next(end for end in ends if isinstance(end, LlmFailure))
        return results

    async def _piece(self, piece: str, document: DocumentProgress) -> list[PieceKeywords]:
        """Keywords of one piece, with the retries that can help. Halves a piece that proves too long."""
        tries = Tries(retries=self.config.retries, divisible=len(piece) >= 2 * SMALLEST_PIECE)
        avoid: set[Server] = set()
        saved: PieceKeywords | None = None
        evidence: PieceEvidence | None = None
        last: Fault | None = None
        pauses = 0
        while True:
            slot: Slot | None = None
            try:
                with tracing.span("llm queue"):
                    slot = await self._slot(avoid, last is not None, document)
                reply = await self._call(slot, piece, document, tries.other_seed)
                evidence = evidence or PieceEvidence(piece)
                keywords = judge(reply, evidence)
                slot.server.learner.judged(keywords.flaw.kind if keywords.flaw else None)
                document.count(keywords)
                if keywords.flaw is None:
                    document.salvaged = document.salvaged or keywords.salvaged
                    document.answered += 1
                    return [keywords]
                saved = keywords if keywords.salvageable else saved
                raise keywords.flaw
            except Fault as fault:
                if fault.kind not in UNSENT:
                    last = document.last = fault
                failed = {*avoid, slot.server} if slot is not None else avoid
                # a document turned away from the queue had no server, so no other one is left to try
                elsewhere = slot is not None and self._queue.elsewhere(failed)
                tries = replace(tries, saved=saved is not None, elsewhere=elsewhere, left_s=document.left())
                step = next_step(fault, tries)
                if isinstance(step, Halve):
                    return await self._halves(piece, document)
                if isinstance(step, Accept) and saved is not None:
                    document.salvaged = True
                    document.answered += 1
                    return [saved]
                if not isinstance(step, Again):
                    why = last or fault
                    document.answered += why.kind in ANSWERS
                    raise document.failure(why.kind, why.message) from None
                tries = replace(
                    tries,
                    failed=tries.failed + step.counts,
                    other_seed=tries.other_seed or step.other_seed,
                    resent=tries.resent or step.resent,
                )
                avoid = failed if step.avoid else avoid
                if step.least_s is not None:
                    await self._back_off(pauses, step.least_s, document)
                    pauses += 1

    async def _halves(self, piece: str, document: DocumentProgress) -> list[PieceKeywords]:
        halves = chunks.split(piece, max_chars=len(piece) // 2 + 100, max_tokens=1 << 30, max_pieces=3)
        document.pieces += len(halves) - 1
        return [keywords for half in halves for keywords in await self._piece(half, document)]

    async def _slot(self, avoid: set[Server], again: bool, document: DocumentProgress) -> Slot:
        """A slot on a server. A document that a client waits for stays in the queue no longer than `[llm] max_wait`.
        Raises Fault."""
        if again or document.background:
            return await self._queue.slot(avoid, again, document.background)
        limit = self.config.max_wait_s
        try:
            async with asyncio.timeout(max(0.0, limit - document.queue_ms / 1000)):
                return await self._queue.slot(avoid, again, False)
        except TimeoutError:
            raise self._not_served(f"waited {limit:g} s in the queue, as long as [llm] max_wait allows") from None
        except Fault as fault:
            raise self._not_served(fault.message) if fault.kind is ErrorKind.queue_full else fault from None

    def _not_served(self, why: str) -> Fault:
        """The fault of a document that leaves the queue. One that waited only because models are loading is not a sign
        of overload."""
        if self._queue.all_loading:
            return Fault(ErrorKind.loading, f"every LLM server is still loading its model; {why}", retry="never")
        return Fault(ErrorKind.queue_full, why)

    def _loading_s(self) -> float:
        """Seconds since the start in which no server could answer because its model was loading; the shortest among
        several servers."""
        return min((server.warming_s for server in self._servers), default=0.0)

    async def _call(self, slot: Slot, piece: str, document: DocumentProgress, other_seed: bool) -> ModelReply:
        with tracing.span("llm request", server=slot.server.url, characters=len(piece)) as span:
            try:
                reply = await call(
                    slot, piece, document, self._http(), self.config, self._share(slot.server, document), other_seed
                )
            except Fault as fault:
                span.fail(fault.kind)
                raise
            finally:
                self._queue.serve()
        # let the next call go out before this answer is checked, so that the server does not idle
        await asyncio.sleep(0)
        return reply

    async def _back_off(self, times: int, least_s: float, document: DocumentProgress) -> None:
        pause = min(BACKOFF_MOST_S, BACKOFF_S * 2**times) * self._random.uniform(0.5, 1.5)
        document.run()
        try:
            await asyncio.sleep(max(pause, least_s))
        finally:
            document.halt()

    def _share(self, server: Server, document: DocumentProgress) -> float | None:
        """Seconds of the document's deadline for this server: half of the rest while another server could still be
        tried."""
        return document.left() / 2 if self._queue.elsewhere({server}) else None


def _secrets(config: Llm, api_key: str | None) -> list[str]:
    """Everything secret: the key, and users, passwords and keys inside addresses."""
    return [api_key or "", *(secret for url in config.urls for secret in address(url, config.api).secrets)]


def _foremost(several: BaseExceptionGroup[BaseException]) -> BaseException:
    """The failure to report for a document whose pieces failed; a missing permit comes first."""
    flat: list[BaseException] = []
    stack: list[BaseException] = [several]
    while stack:
        one = stack.pop()
        if isinstance(one, BaseExceptionGroup):
            stack.extend(one.exceptions)
        else:
            flat.append(one)
    order = (NotPermitted, LlmFailure)
    return min(flat, key=lambda e: next((i for i, kind in enumerate(order) if isinstance(e, kind)), len(order)))
