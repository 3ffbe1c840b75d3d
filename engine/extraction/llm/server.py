"""One LLM server: its address, its window and breaker, what it says of itself, and the calls over the wire."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import msgspec

from engine.clock import Clock
from engine.extraction.llm import protocol
from engine.extraction.llm.breaker import Breaker
from engine.extraction.llm.failure import ErrorKind, Fault
from engine.extraction.llm.prompt import Prompt
from engine.extraction.llm.protocol import KEEP_ALIVE_S, Dialect, Facts, Reply
from engine.extraction.llm.window import Window
from engine.plan.model import Llm
from engine.text import clean_line

if TYPE_CHECKING:
    import httpx

ANSWER_BYTES = 1 << 20  # a bounded answer is a few kB; a server that never stops must not fill the memory
ASIDE_S = 5.0  # for a question about the server itself
LOAD_S = 300.0  # how long a document waits, outside its deadline, for a model that is being loaded
POLL_S = 0.5  # while a model loads
COLD_MS = 300.0  # a load_duration above it means that the model was read into memory for this call


class ServerHealth(msgspec.Struct, frozen=True):
    """One server as the screen shows it. Latency in ms; None = nothing answered yet."""

    url: str
    state: str  # in words: "up", "not tried yet", "loading the model", "taken out, next try in 12 s", ...
    breaker: str  # closed | open | half-open
    in_flight: int
    window: int
    latency_ms: float | None = None
    last_error: str = ""
    last_error_at: float | None = None
    consecutive_failures: int = 0
    failed_probes: int = 0
    loaded: str = ""
    version: str = ""
    documents: int = 0

    @property
    def up(self) -> bool:
        return self.breaker == "closed" and not self.failed_probes


class Server:
    def __init__(self, url: str, config: Llm, clock: Clock) -> None:
        self.url = _base(url)
        self.shown = re.sub(r"//[^/@]*@", "//", self.url)
        self.window = Window(max(1, config.max_concurrency))
        self.breaker = Breaker(config.breaker_failures, config.breaker_open_s)
        self.facts = Facts()
        self.context = 0  # tokens that a prompt and its answer may have; 0 = unknown
        self.answers = 0
        self.last_ms: float | None = None
        self.last_error = ""
        self.last_error_kind: ErrorKind | None = None
        self.last_error_at: float | None = None
        self.failed_probes = 0
        self._config = config
        self._clock = clock
        self._wire = protocol.wire(config)
        self._dialect = Dialect()
        self._warming: asyncio.Task[None] | None = None
        self._warm = False
        self._used_at = 0.0

    # what the pool decides by

    def now(self) -> float:
        return self._clock.real()

    @property
    def warm(self) -> bool:
        """Whether the model is thought to be in memory."""
        return self._warm and (self._config.api != "ollama" or self.now() - self._used_at < KEEP_ALIVE_S)

    def cool(self) -> None:
        self._warm = False

    def failed(self, fault: Fault, probe: bool = False) -> bool:
        """Note a failure of the service. True when the breaker took the server out at this one."""
        self.note(fault)
        if not self.breaker.failed(self.now(), probe):
            return False
        self.window.restart()
        self.cool()
        return True

    def note(self, fault: Fault) -> None:
        self.last_error = fault.message
        self.last_error_kind = fault.kind
        self.last_error_at = self._clock.now()

    def succeeded(self, ms: float) -> None:
        self.breaker.succeeded()
        self.answers += 1
        self.last_ms = ms
        self.failed_probes = 0

    def health(self) -> ServerHealth:
        now = self.now()
        breaker = self.breaker.state(now)
        if breaker == "open":
            state = f"taken out, next try in {max(1, round(self.breaker.opens_in(now)))} s"
        elif breaker == "half-open":
            state = "being tried again"
        elif self._warming is not None:
            state = "loading the model"
        elif self.failed_probes:
            state = f"does not answer ({self.failed_probes} probes)"
        elif self.breaker.row:
            state = f"failing ({self.breaker.row} in a row)"
        else:
            state = "up" if self.answers or self.facts != Facts() else "not tried yet"
        return ServerHealth(
            self.shown,
            state,
            breaker,
            self.window.in_flight,
            self.window.limit,
            self.last_ms,
            self.last_error,
            self.last_error_at,
            self.breaker.row,
            self.failed_probes,
            self.facts.loaded,
            self.facts.version,
            self.answers,
        )

    # over the wire

    async def ask(self, client: httpx.AsyncClient, prompt: Prompt, *, seed: int, hot: bool = False) -> Reply:
        """One answer. Raises Fault. `hot`: a second try, with more chance in it."""
        config = self._config
        if hot:
            config = msgspec.structs.replace(config, temperature=max(0.7, config.temperature))
        for _ in range(4):
            body = self._wire.ask(config, prompt, seed=seed, dialect=self._dialect)
            status, answer, after = await self._send(client, "POST", self._wire.ask_path, body)
            other = protocol.adapted(self._dialect, status, answer)
            if other is None:
                break
            self._dialect = other
        self._used_at = self.now()
        try:
            reply = self._wire.read(status, answer, config, after)
        except Fault as fault:
            if fault.kind is ErrorKind.too_long and fault.context:
                self.context = fault.context
            raise
        self._look_for_a_cut(reply, prompt)
        return reply

    def _look_for_a_cut(self, reply: Reply, prompt: Prompt) -> None:
        """Some versions drop the head of a long prompt, the instructions with it, and answer 200."""
        if reply.prompt_tokens is None:
            return
        full = self.context if self._config.api == "ollama" else 0  # others refuse what does not fit
        if reply.prompt_tokens < 0.9 * prompt.words or (full and reply.prompt_tokens >= full - 32):
            raise Fault(
                ErrorKind.too_long,
                f"the server cut the prompt without a word: it read {reply.prompt_tokens} tokens of a text of "
                f"{prompt.words} words; raise the server's context length or lower [llm] chunk_chars",
            )
        used = reply.prompt_tokens + (reply.answer_tokens or 0)
        if reply.flaw and self.context and used >= self.context - 2:
            raise Fault(
                ErrorKind.too_long,
                f"the text left no room for the answer: {used} of {self.context} tokens; lower [llm] chunk_chars",
            )

    async def warm_up(self, client: httpx.AsyncClient) -> None:
        """Ask the server what it is and have the model loaded; shared by all who wait for it. Raises Fault."""
        if self._warming is None:
            self._warming = asyncio.create_task(self._prepare(client))
            self._warming.add_done_callback(self._prepared)
        await asyncio.shield(self._warming)

    def _prepared(self, task: asyncio.Task[None]) -> None:
        self._warming = None
        if not task.cancelled() and task.exception() is None:
            self._warm = True
            self._used_at = self.now()

    async def stop(self) -> None:
        if self._warming is not None:
            self._warming.cancel()
            await asyncio.gather(self._warming, return_exceptions=True)

    async def _prepare(self, client: httpx.AsyncClient) -> None:
        limit = LOAD_S
        try:
            async with asyncio.timeout(limit):
                await self._until_loaded(client)
                await self.survey(client)
                if isinstance(self._wire, protocol.Ollama):
                    body = self._wire.preload(self._config)
                    status, answer, after = await self._send(client, "POST", self._wire.ask_path, body)
                    if status != 200:
                        raise protocol.fault(status, answer, self._config, after)
                    await self.survey(client)  # what is loaded now, and with which context
        except TimeoutError:
            raise Fault(ErrorKind.loading, f"the model was not loaded within {limit:.0f} s", retry="never") from None

    async def _until_loaded(self, client: httpx.AsyncClient) -> None:
        while True:
            status, answer, after = await self._aside(client, "GET", self._wire.health_path)
            if status != 503:
                return
            fault = protocol.fault(status, answer, self._config, after)
            if fault.kind is not ErrorKind.loading:
                raise fault
            await asyncio.sleep(POLL_S)

    async def survey(self, client: httpx.AsyncClient) -> Facts:
        """Learn version, model, digest, context. Raises Fault: unreachable, or the model is missing."""
        model = self._config.model
        if self._config.api == "ollama":
            asked = msgspec.json.encode({"model": model})
            version, tags, (status, shown), loaded = await asyncio.gather(
                self._json(client, "GET", "/api/version"),
                self._json(client, "GET", "/api/tags"),
                self._json(client, "POST", "/api/show", asked),
                self._json(client, "GET", "/api/ps"),
            )
            facts, _ = protocol.ollama_facts(model, version[1], tags[1], shown, loaded[1])
            if status == 404 and tags[0] == 200:
                raise Fault(ErrorKind.model_missing, protocol.missing(self._config))
            self.context = min(facts.context, self._config.num_ctx) if facts.context else self._config.num_ctx
            self._dialect = Dialect(think=protocol.thinking(facts), structured=self._dialect.structured)
        else:
            models, props = await asyncio.gather(
                self._json(client, "GET", "/v1/models"), self._json(client, "GET", "/props")
            )
            facts, there = protocol.openai_facts(model, models[1], props[1])
            if models[0] == 200 and not there:
                raise Fault(ErrorKind.model_missing, protocol.missing(self._config))
            self.context = facts.context
        self.facts = facts
        return facts

    async def probe(self, client: httpx.AsyncClient) -> bool:
        """Whether the service answers at all; no model is asked. A failed probe counts as a failure of the service."""
        try:
            status, answer, after = await self._aside(client, "GET", self._wire.health_path)
            if status >= 500 and status != 501:
                raise protocol.fault(status, answer, self._config, after)
        except Fault as fault:
            self.failed_probes += 1
            self.failed(fault)
            return False
        self.failed_probes = 0
        if self.last_error_kind is ErrorKind.transport:
            self.breaker.try_now(self.now())
        return True

    async def _json(
        self, client: httpx.AsyncClient, method: str, path: str, body: bytes | None = None
    ) -> tuple[int, Any]:
        status, answer, _ = await self._aside(client, method, path, body)
        try:
            return status, msgspec.json.decode(answer) if status == 200 else {}
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return status, {}

    async def _aside(
        self, client: httpx.AsyncClient, method: str, path: str, body: bytes | None = None
    ) -> tuple[int, bytes, str]:
        try:
            async with asyncio.timeout(ASIDE_S):
                return await self._send(client, method, path, body)
        except TimeoutError:
            raise Fault(ErrorKind.timeout, f"{self.shown}{path} did not answer in {ASIDE_S:.0f} s") from None

    async def _send(
        self, client: httpx.AsyncClient, method: str, path: str, body: bytes | None = None
    ) -> tuple[int, bytes, str]:
        """Status, body, Retry-After. Cancelling it closes the connection, which ends the generation on the server."""
        import httpx

        headers = {"content-type": "application/json"} if body is not None else None
        try:
            request = client.build_request(method, self.url + path, content=body, headers=headers)
            response = await client.send(request, stream=True)
            try:
                answer = bytearray()
                async for part in response.aiter_bytes():
                    answer += part
                    if len(answer) > ANSWER_BYTES:
                        raise Fault(ErrorKind.invalid, f"the answer is larger than {ANSWER_BYTES >> 10} KiB")
            finally:
                await response.aclose()
        except httpx.DecodingError as error:
            raise Fault(ErrorKind.invalid, f"the answer's encoding is broken: {_said(error)}") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            what = "no connection within the time limit" if isinstance(error, httpx.ConnectTimeout) else _said(error)
            raise Fault(ErrorKind.transport, f"{self.shown}: {what}") from None
        return response.status_code, bytes(answer), response.headers.get("retry-after", "")


def _base(url: str) -> str:
    """The address without what people paste behind it."""
    return re.sub(r"/(?:v1|api)(?:/chat(?:/completions)?)?/?$", "", url.strip().rstrip("/")).rstrip("/")


def _said(error: Exception) -> str:
    return clean_line(str(error), 200) or f"the connection broke ({type(error).__name__})"
