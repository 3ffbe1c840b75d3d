"""All LLM servers as one: a document goes to the least loaded of them, and comes back with keywords it supports, or with the reason why not.

What waits, waits in the pool's own line, not in the HTTP client. A document has one deadline over everything that is done for it; it
runs from the first send and stands still while the document only queues or the model loads, since that is not the service's
latency and must not trip its alarms.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from engine.clock import Clock
from engine.extraction import chunks, grounding
from engine.extraction.keywords import Keywords, stem_phrase
from engine.extraction.llm import answer, prompt
from engine.extraction.llm.check import CheckReport, check
from engine.extraction.llm.document import Document
from engine.extraction.llm.failure import SERVICE, ErrorKind, Fault, LlmFailure, NotPermitted
from engine.extraction.llm.line import Line, Slot
from engine.extraction.llm.protocol import Reply
from engine.extraction.llm.server import COLD_MS, Server, ServerHealth
from engine.plan.model import Llm

if TYPE_CHECKING:
    import httpx

MAX_PIECES = 16  # calls that one long document may cost; beyond, an even sample of its pieces is read
CONNECT_S = 5.0
KEEP_IDLE_S = 4.0  # below the 5 s after which common servers close an idle connection: a call on a closed one fails
BACKOFF_S = 0.2
BACKOFF_MOST_S = 2.0
SALVAGE_LEAST = 3  # keywords saved from a broken answer that make it usable after all
SMALLEST_PIECE = 500  # characters; a text that does not fit even so is too long


class LlmAnswer(msgspec.Struct, frozen=True):
    """Keywords of one document. Times in ms, except `last_send_at` (UTC epoch seconds)."""

    keywords: Keywords
    ms: float  # from the first send to the last answer, without queueing and without loading a cold model
    queue_ms: float
    attempts: int
    dropped_ungrounded: int
    proposed: int
    server: str
    prompt_tokens: int
    answer_tokens: int
    last_send_at: float
    pieces: int = 1
    pieces_of: int = 1  # more than `pieces`: only a sample of the document was read
    salvaged: bool = False  # from an answer that was cut or broken


@dataclass(slots=True)
class _Found:
    descriptive: tuple[str, ...]
    technical: tuple[str, ...]


class LlmPool:
    """The servers of `[llm] urls` behind one line. Not for use from several event loops."""

    def __init__(self, config: Llm, clock: Clock, *, api_key: str | None = None) -> None:
        self.config = config
        self._clock = clock
        self._api_key = api_key
        self._servers = tuple(Server(url, config, clock) for url in dict.fromkeys(config.urls))
        self._line = Line(self._servers)
        self._client: httpx.AsyncClient | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._random = random.Random()

    # life

    async def start(self, *, probe_every_s: float = 0.0) -> None:
        """Open the client and learn about the servers in the background; health probes every `probe_every_s` if above 0."""
        import httpx

        from engine.extraction.llm.lanes import Lanes

        if self._client is not None:
            return
        headers = {"accept-encoding": "identity", "user-agent": "rollout-console"}
        if self._api_key:
            headers["authorization"] = f"Bearer {self._api_key}"
        self._client = httpx.AsyncClient(
            headers=headers,
            timeout=httpx.Timeout(None, connect=min(CONNECT_S, self.config.timeout_s)),
            transport=Lanes(self._clock.real),
        )
        self._spawn(self._learn())
        if probe_every_s > 0:
            self._spawn(self._probe_for_ever(probe_every_s))

    async def close(self) -> None:
        """Cancel what runs in the background, turn away what waits, close the connections."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for server in self._servers:
            await server.stop()
        self._line.turn_away(Fault(ErrorKind.breaker_open, "the engine is stopping"))
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def preload(self) -> None:
        """Have every server load the model now, so that no document waits for it. Failures show in `servers()`."""
        client = self._http()
        ends = await asyncio.gather(*(s.warm_up(client) for s in self._servers), return_exceptions=True)
        for server, end in zip(self._servers, ends, strict=True):
            if isinstance(end, Fault):
                server.note(end)

    def _http(self) -> httpx.AsyncClient:
        if self._client is None:
            raise RuntimeError("the LLM pool is not started")
        return self._client

    def _spawn(self, work: object) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)  # type: ignore[arg-type]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _learn(self) -> None:
        client = self._http()
        ends = await asyncio.gather(*(s.survey(client) for s in self._servers), return_exceptions=True)
        for server, end in zip(self._servers, ends, strict=True):
            if isinstance(end, Fault):
                server.note(end)

    async def _probe_for_ever(self, every_s: float) -> None:
        while True:
            await asyncio.sleep(every_s)
            await self.probe()

    # what the screen and the triggers read

    def servers(self) -> tuple[ServerHealth, ...]:
        return tuple(server.health() for server in self._servers)

    async def probe(self) -> tuple[ServerHealth, ...]:
        """Ask every server whether it is there (no model is asked), at most 5 s."""
        client = self._http()
        await asyncio.gather(*(server.probe(client) for server in self._servers))
        self._line.serve()
        return self.servers()

    async def check(self) -> CheckReport:
        """Version, model, context, thinking, schema and capacity of every server, by a few calls on a built-in sample text."""
        return await check(self._servers, self._http(), self.config)

    @property
    def model_digest(self) -> str:
        """The model as the servers identify it; changes when the weights behind the name do. Part of the cache key."""
        digests = sorted({s.facts.digest for s in self._servers if s.facts.digest})
        return "+".join([self.config.model, *digests])

    @property
    def waiting(self) -> int:
        """Calls that wait for a free place on a server."""
        return len(self._line)

    # one document

    async def extract(self, text: str, *, permit: Callable[[], bool]) -> LlmAnswer:
        """Keywords of the text. `permit` is asked right before every send.

        Raises NotPermitted when it says no (nothing is sent after that), LlmFailure for everything else. Cancelling closes the connections.
        """
        self._http()
        started = self._clock.real()
        async with asyncio.timeout(None) as deadline:
            document = Document(self._clock, permit, self.config.timeout_s, deadline, started)
            try:
                return await self._extract(text, document)
            except asyncio.CancelledError:
                if deadline.expired():
                    raise document.out_of_time() from None
                raise

    async def _extract(self, text: str, document: Document) -> LlmAnswer:
        config = self.config
        parts = chunks.split(text, max_chars=config.chunk_chars, max_tokens=self._room(), max_pieces=MAX_PIECES)
        found = await self._all(parts.pieces, document)
        descriptive = chunks.merge([f.descriptive for f in found], stem_phrase)
        technical = chunks.merge([f.technical for f in found], stem_phrase)
        return LlmAnswer(
            _ranked(descriptive, technical, config),
            document.ms,
            document.queue_ms,
            document.attempts,
            document.dropped,
            document.proposed,
            document.server,
            document.prompt_tokens,
            document.answer_tokens,
            document.last_send_at,
            len(parts.pieces),
            parts.of,
            document.salvaged,
        )

    def _room(self) -> int:
        """Tokens that a piece of text may have."""
        known = [s.context for s in self._servers if s.context]
        context = min(known) if known else self.config.num_ctx
        return max(200, context - prompt.ANSWER_TOKENS - prompt.SYSTEM_TOKENS)

    async def _all(self, pieces: tuple[str, ...], document: Document) -> list[_Found]:
        """What the pieces hold. One without keywords does not spoil the others; every other failure does."""
        if len(pieces) == 1:
            return await self._piece(pieces[0], document)

        async def one(piece: str) -> list[_Found] | LlmFailure:
            try:
                return await self._piece(piece, document)
            except LlmFailure as failure:
                if failure.kind in (ErrorKind.invalid, ErrorKind.empty, ErrorKind.ungrounded):
                    return failure
                raise

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(piece)) for piece in pieces]
        except BaseExceptionGroup as several:
            raise _foremost(several) from None
        ends = [task.result() for task in tasks]
        found = [f for end in ends if not isinstance(end, LlmFailure) for f in end]
        if not found:
            raise next(end for end in ends if isinstance(end, LlmFailure))
        return found

    async def _piece(self, piece: str, document: Document) -> list[_Found]:
        """The keywords of one piece, with the retries that can help; a piece that proves too long is halved."""
        avoid: set[Server] = set()
        tries = waits = 0
        other_seed = False
        saved: _Found | None = None
        last: Fault | None = None
        ground: grounding.Ground | None = None
        while True:
            slot = None
            try:
                slot = await self._line.slot(avoid, last)
                reply = await self._call(slot, piece, document, other_seed)
                ground = ground or grounding.Ground(piece)
                found, flaw = self._judge(reply, ground, document)
                if flaw is None:
                    return [found]
                if len(found.descriptive) + len(found.technical) >= SALVAGE_LEAST:
                    saved = found
                raise flaw
            except Fault as fault:
                if fault.kind is ErrorKind.breaker_open:
                    fault = last or fault
                    raise document.failure(fault.kind, fault.message) from None
                last = document.last = fault
                if fault.kind is ErrorKind.too_long and len(piece) >= 2 * SMALLEST_PIECE:
                    halves = chunks.split(piece, max_chars=len(piece) // 2 + 100, max_tokens=1 << 30, max_pieces=3)
                    return [f for half in halves.pieces for f in await self._piece(half, document)]
                if fault.retry == "other_seed" and not other_seed:
                    other_seed = True
                    continue
                if saved is not None:
                    document.salvaged = True
                    return [saved]
                patient = fault.kind in (ErrorKind.busy, ErrorKind.loading)
                if fault.retry != "soon" or (tries >= self.config.retries and not patient):
                    raise document.failure(fault.kind, fault.message) from None
                tries += not patient
                if slot is not None and not patient:
                    avoid.add(slot.server)
                    if self._line.elsewhere(avoid):
                        continue
                await self._back_off(waits, fault.after_s, document)
                waits += 1

    async def _back_off(self, times: int, least_s: float, document: Document) -> None:
        pause = min(BACKOFF_MOST_S, BACKOFF_S * 2**times) * self._random.uniform(0.5, 1.5)
        document.run()
        try:
            await asyncio.sleep(max(pause, least_s))
        finally:
            document.halt()

    def _judge(self, reply: Reply, ground: grounding.Ground, document: Document) -> tuple[_Found, Fault | None]:
        """What of the answer may be used, and what is wrong with it as a whole, if anything."""
        proposal = answer.parse(reply.text)
        kept_d = grounding.ground(proposal.descriptive, ground)
        kept_t = grounding.ground(proposal.technical, ground)
        dropped = kept_d.dropped + kept_t.dropped
        document.proposed += len(kept_d.kept) + len(kept_t.kept) + dropped
        document.dropped += dropped
        document.prompt_tokens += reply.prompt_tokens or 0
        document.answer_tokens += reply.answer_tokens or 0
        found = _Found(kept_d.kept, kept_t.kept)
        if not reply.text.strip():
            thought = "; the model spent it on thinking" if reply.thought else ""
            return found, Fault(ErrorKind.empty, f"the answer is empty{thought}")
        if reply.flaw or proposal.flaw:
            return found, Fault(ErrorKind.invalid, reply.flaw or proposal.flaw)
        if not found.descriptive and not found.technical:
            if dropped:
                return found, Fault(
                    ErrorKind.ungrounded, f"the document supports none of the {dropped} keywords proposed"
                )
            return found, Fault(ErrorKind.empty, "the answer has no keyword")
        return found, None

    # one call

    async def _call(self, slot: Slot, piece: str, document: Document, other_seed: bool) -> Reply:
        """Send one piece to the server of the slot, and give the slot back with what it taught. Raises Fault, NotPermitted."""
        server, window = slot.server, slot.server.window
        config = self.config
        asked = prompt.build(
            piece,
            max_descriptive=config.max_descriptive,
            max_technical=config.max_technical,
            max_total=config.max_total,
        )
        open_ = True
        began = 0.0
        try:
            if not server.warm:
                if not document.permit():
                    raise NotPermitted(sent=document.sent)
                await server.warm_up(self._http())
            if not document.permit():
                raise NotPermitted(sent=document.sent)
            document.sent = True
            document.attempts += 1
            document.last_send_at = self._clock.now()
            document.run()
            try:
                began = server.now()
                async with asyncio.timeout(self._share(server, document)):
                    reply = await server.ask(self._http(), asked, seed=2 if other_seed else 1, hot=other_seed)
            finally:
                document.halt()
            cold = reply.load_ms if reply.load_ms >= COLD_MS else 0.0
            document.load_ms += cold
            took = max(0.0, server.now() - began - cold / 1000)
            window.answered(slot.ticket, took, server.now())
            server.succeeded(took * 1000)
            document.server = server.shown
            open_ = False
            return reply
        except TimeoutError:
            fault = Fault(ErrorKind.timeout, f"{server.shown} did not answer in {server.now() - began:.1f} s")
            window.late(slot.ticket, server.now())
            server.failed(fault, slot.probe)
            open_ = False
            raise fault from None
        except Fault as fault:
            self._learn_from(fault, slot)
            open_ = False
            raise
        except asyncio.CancelledError:
            if document.deadline.expired() and began:
                document.hung = True
                window.late(slot.ticket, server.now())
                server.failed(Fault(ErrorKind.timeout, f"no answer within {config.timeout_s:g} s"), slot.probe)
                open_ = False
            raise
        finally:
            if open_:
                window.drop(slot.ticket)
                server.breaker.undecided(slot.probe)
            self._line.serve()

    def _learn_from(self, fault: Fault, slot: Slot) -> None:
        server, window, now = slot.server, slot.server.window, slot.server.now()
        if fault.kind is ErrorKind.busy:
            alone = window.limit == 1
            window.busy(slot.ticket, now)
            if alone:  # the window cannot shrink further: others keep this server full
                server.failed(fault, slot.probe)
            else:
                server.note(fault)
                server.breaker.undecided(slot.probe)
            return
        if fault.kind is ErrorKind.timeout:
            window.late(slot.ticket, now)
        else:
            window.drop(slot.ticket)
        if fault.kind in SERVICE and not (fault.kind is ErrorKind.http and fault.retry == "other_seed"):
            if fault.kind is ErrorKind.loading:
                server.cool()
            server.failed(fault, slot.probe)
        else:
            server.note(fault)
            if slot.probe:  # it answered, which is what the probe asks
                server.breaker.succeeded()

    def _share(self, server: Server, document: Document) -> float | None:
        """Seconds this server gets of the document's deadline: half of what is left while another could still be tried."""
        return document.left() / 2 if self._line.elsewhere({server}) else None


def _ranked(descriptive: list[str], technical: list[str], config: Llm) -> Keywords:
    """One ranking of both lists, taken in turn, within the plan's limits; what is in both counts as technical."""
    technical = technical[: config.max_technical]
    named = {stem_phrase(k) for k in technical}
    descriptive = [k for k in descriptive if stem_phrase(k) not in named][: config.max_descriptive]
    ranked: list[str] = []
    for i in range(max(len(descriptive), len(technical))):
        ranked += descriptive[i : i + 1] + technical[i : i + 1]
    ranked = ranked[: config.max_total]
    return Keywords(tuple(ranked), tuple(k for k in technical if k in ranked))


def _foremost(several: BaseExceptionGroup[BaseException]) -> BaseException:
    """Of what ended a document's pieces, the one to report: a missing permit before failures."""
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
