"""One LLM server: its address, window and breaker, what it reports about itself, and the calls to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

import msgspec

from engine.clock import Clock
from engine.extraction.llm import protocol, refusals, responses, truncation
from engine.extraction.llm.address import address
from engine.extraction.llm.breaker import Breaker
from engine.extraction.llm.concurrency import Window
from engine.extraction.llm.dialect_learner import DialectLearner
from engine.extraction.llm.failure import ErrorKind, Fault
from engine.extraction.llm.health import ServerHealth
from engine.extraction.llm.http import Http, HttpAnswer
from engine.extraction.llm.prompt import SHORT, Prompt
from engine.extraction.llm.protocol import KEEP_ALIVE_S, ModelReply
from engine.extraction.llm.server_info import ServerInfo, ollama_facts, openai_facts, thinking
from engine.extraction.llm.shared_run import SharedRun
from engine.plan.model import Llm
from engine.text import counted

ASIDE_S = 5.0  # for a question about the server itself
EXAMINED = 0.9  # of a deadline: the document that asks gives up at its end, and would learn nothing
LOAD_S = 300.0  # how long loading a model may take; a longer load counts as a failure of the service
PROVEN_S = 180.0  # a success within this time outweighs a failed probe
POLL_S = 0.5  # between two looks at a model that is loading
COLD_MS = 300.0  # a longer load_duration means that this call loaded the model


class Server:
    def __init__(self, url: str, config: Llm, clock: Clock) -> None:
        self._address = address(url, config.api)
        self.url = self._address.root
        self.window = Window(max(1, config.max_concurrency), config.timeout_s)
        self.breaker = Breaker(config.breaker_failures, config.breaker_open_s)
        self.facts = ServerInfo()
        self.context = 0  # tokens of a prompt and its answer together; 0 = unknown
        self.answers = 0
        self.last_ms: float | None = None
        self.last_error = ""
        self.last_error_at: float | None = None
        self.failed_probes = 0
        self._unreachable = False  # the last failure was a probe's or a connection's: a good probe refutes it
        self._config = config
        self._clock = clock
        self._wire = protocol.wire(config)
        self.learner = DialectLearner(config, self._wire)
        # time of the last finished call if it showed that the service works, else None
        self._succeeded_at: float | None = None
        self._warming = SharedRun(self.now, self._prepared)
        self._loading_since: float | None = None  # when it was first seen loading its model
        self._warm = False
        self._used_at = 0.0  # when it last answered a request about a model
        # a deadline has passed without any answer since: the server may hang, or one document was slow
        self.silent = False

    # read by the pool

    def now(self) -> float:
        return self._clock.real()

    @property
    def warm(self) -> bool:
        """Whether the model is probably loaded."""
        return self._warm and (self._config.api != "ollama" or self.now() - self._used_at < KEEP_ALIVE_S)

    @property
    def structured(self) -> str:
        """Which part of a schema the server accepts: "schema", only "object" (any JSON), or "none"."""
        return self.learner.dialect.structured

    @property
    def learnt(self) -> str:
        """What requests leave out because the server refuses it, for people; "" if nothing is."""
        return self.learner.plain

    def cool(self) -> None:
        self._warm = False

    @property
    def loading(self) -> bool:
        """Whether it is loading its model, and not yet for too long. Such a server has not failed."""
        return self._loading_since is not None and self.now() - self._loading_since < LOAD_S

    def loads(self) -> None:
        """Note that the server reports loading its model, or was asked to load it."""
        if self._loading_since is None:
            self._loading_since = self.now()

    def on_loading(self, fault: Fault) -> Fault:
        """The fault as it counts: a server that loads for too long has failed."""
        if fault.kind is not ErrorKind.loading:
            return fault
        self.loads()
        return fault if self.loading else Fault(ErrorKind.not_loaded, f"{fault.message}; {_overdue()}")

    def not_ready(self, waited_s: float) -> Fault:
        """The fault of a document that stops waiting for the server to get ready."""
        after = f"after {waited_s:.1f} s" if waited_s >= 0.05 else "yet"  # other documents may have waited before it
        waited = f"{self.url} has not loaded the model {after}"
        if self._loading_since is None:
            return Fault(ErrorKind.timeout, f"{waited}, or hangs")
        return self.on_loading(Fault(ErrorKind.loading, f"{waited}: it is still loading", retry="never"))

    def failed(self, fault: Fault, probe: bool = False) -> bool:
        """Count a failure of the service. True if this one opened the breaker."""
        self.note(fault)
        self._succeeded_at = None
        if fault.kind is not ErrorKind.not_loaded:
            self._loading_since = None
        self._unreachable = fault.kind is ErrorKind.transport
        if not self.breaker.failed(self.now(), probe):
            return False
        self.window.restart()
        self.cool()
        return True

    def unanswered(self, fault: Fault, since: float, probe: bool) -> None:
        """Note that a call sent at `since` has timed out."""
        self.silent = self._used_at <= since
        self.failed(fault, probe)

    def note(self, fault: Fault) -> None:
        self.last_error = fault.message
        self.last_error_at = self._clock.now()

    def succeeded(self, ms: float) -> None:
        self.breaker.succeeded()
        self.answers += 1
        self.last_ms = ms
        self.failed_probes = 0
        self._loading_since = None
        self._succeeded_at = self.now()

    def health(self) -> ServerHealth:
        now = self.now()
        breaker = self.breaker.state(now)
        answered = bool(self.answers) or self.facts != ServerInfo()
        if breaker == "open":
            state = f"breaker open, retry in {max(1, round(self.breaker.opens_in(now)))} s"
        elif breaker == "half-open":
            state = "being tried again"
        elif self._warming.running or self.loading:
            state = "loading the model"
        elif self.failed_probes:
            state = f"does not answer ({counted(self.failed_probes, 'probe')})"
        elif self.breaker.row:
            state = f"failing ({self.breaker.row} in a row)"
        else:
            state = "up" if answered else "not tried yet"
        return ServerHealth(
            url=self.url,
            state=state,
            breaker=breaker,
            in_flight=self.window.in_flight,
            window=self.window.limit,
            latency_ms=self.last_ms,
            last_error=self.last_error,
            last_error_at=self.last_error_at,
            consecutive_failures=self.breaker.row,
            failed_probes=self.failed_probes,
            loaded=self.facts.loaded,
            version=self.facts.version,
            documents=self.answers,
            learnt=self.learner.plain,
            tried=answered or breaker != "closed" or bool(self.failed_probes or self.breaker.row),
        )

    # over the wire

    async def ask(
        self, http: Http, prompt: Prompt, *, seed: int, hot: bool = False, resend: Callable[[], None] | None = None
    ) -> ModelReply:
        """Send one question; return the answer. Raises Fault. `hot`: a second try, with more randomness. `resend`
        is called before the question is sent again in another dialect, and may raise."""
        config = self._config
        if hot:
            config = msgspec.structs.replace(config, temperature=max(0.7, config.temperature))
        answer = await self.learner.ask(
            partial(self._post, http), self._moves, config, prompt, seed=seed, hot=hot, resend=resend
        )
        self._used_at = self.now()
        try:
            reply = self._wire.read(answer, config)
        except Fault as fault:
            if fault.kind is ErrorKind.too_long and fault.context:
                self.context = fault.context
            raise
        truncation.check(reply, prompt, self.context, self._config.api)
        return reply

    def _moves(self, answer: HttpAnswer) -> bool:
        """If the server lacks the guessed path but not the model, use the address as it was given from now on."""
        if answer.status not in (404, 405) or not self._address.guessed:
            return False
        if refusals.fault(answer, self._config).kind is ErrorKind.model_missing:
            return False
        self._address = self._address.bare()
        return True

    async def examine(self, http: Http) -> None:
        """Ask a silent server a question that uses no model, before another document spends its deadline there.
        Raises Fault if that gets no answer either: the server hangs, and one more such timeout opens the breaker."""
        limit = min(EXAMINED * self._config.timeout_s, max(ASIDE_S, self._config.timeout_s / 3))
        try:
            async with asyncio.timeout(limit):
                await self.ask(http, SHORT, seed=1)
        except TimeoutError:
            self.breaker.doubt()
            raise Fault(
                ErrorKind.timeout,
                f"{self.url} hangs: no answer to a document, nor to a short question within {limit:g} s",
            ) from None
        except Fault as fault:
            if fault.kind is ErrorKind.transport:
                raise
        self.silent = False  # any answer shows that it responds

    async def preload(self, http: Http) -> None:
        """Load the model if it is not loaded: a busy server answers the request to load it after its calls, and all
        that time it would count as loading. Raises Fault."""
        if not (self.warm and self._config.model in (await self.survey(http)).loaded):
            await self.warm_up(http)

    async def warm_up(self, http: Http) -> None:
        """Read the server's facts and load the model, once for all callers that wait. Raises Fault."""
        await self._warming.join(lambda: self._prepare(http))

    @property
    def warming_s(self) -> float:
        """Seconds since the start spent reading its facts and loading its model."""
        return self._warming.total_s

    def _prepared(self) -> None:
        self._warm = True
        self._loading_since = None
        self._used_at = self.now()

    async def stop(self) -> None:
        await self._warming.stop()

    async def _prepare(self, http: Http) -> None:
        try:
            async with asyncio.timeout(LOAD_S):
                await self._until_loaded(http)
                await self.survey(http)
                # the server hangs: loading a loaded model would hang for just as long
                held = self.silent and self.facts.loaded
                if isinstance(self._wire, protocol.Ollama) and not held:
                    await self._preload(http, self._wire)
        except TimeoutError:
            raise Fault(ErrorKind.not_loaded, f"{self.url}: {_overdue()}") from None

    async def _preload(self, http: Http, wire: protocol.Ollama) -> None:
        """Load the model. A refusal that only concerns the empty request is ignored: a document will show."""
        self.loads()
        answer = await self._post(http, wire.preload(self._config))
        if answer.status != 200:
            fault = refusals.fault(answer, self._config)
            if fault.kind is not ErrorKind.http or answer.status == 404:
                raise fault
        await self.survey(http)  # what is loaded now, and with which context

    async def _until_loaded(self, http: Http) -> None:
        while True:
            try:
                answer = await self._aside(http, "GET", self._wire.loading_path)
            except Fault as slow:
                if slow.kind is not ErrorKind.timeout:
                    raise
                # a gateway that queries all of its models is slow, which does not mean that this one is not loaded
                return
            if answer.status != 503:
                return
            fault = refusals.fault(answer, self._config)
            if fault.kind is not ErrorKind.loading:
                raise fault
            self.loads()
            self.note(fault)
            await asyncio.sleep(POLL_S)

    async def survey(self, http: Http) -> ServerInfo:
        """Read version, model, digest and context. Raises Fault: unreachable, the other API, or no such model."""
        facts, there = await (self._ollama(http) if self._config.api == "ollama" else self._openai(http))
        self.facts = facts
        if not there:
            raise Fault(ErrorKind.model_missing, refusals.missing(self._config))
        return facts

    async def _ollama(self, http: Http) -> tuple[ServerInfo, bool]:
        asked = msgspec.json.encode({"model": self._config.model})
        version, tags, show, loaded = await asyncio.gather(
            self._aside(http, "GET", "/api/version"),
            self._aside(http, "GET", "/api/tags"),
            self._aside(http, "POST", "/api/show", asked),
            self._aside(http, "GET", "/api/ps"),
        )
        facts = ollama_facts(self._config.model, *map(responses.body, (version, tags, show, loaded)))
        self.context = min(facts.context, self._config.num_ctx) if facts.context else self._config.num_ctx
        self.learner.surveyed(thinking(facts))
        lacks = show.status == 404 and refusals.fault(show, self._config).kind is ErrorKind.model_missing
        return facts, not lacks

    async def _openai(self, http: Http) -> tuple[ServerInfo, bool]:
        models, props = await asyncio.gather(self._aside(http, "GET", "/v1/models"), self._aside(http, "GET", "/props"))
        facts, there = openai_facts(self._config.model, responses.body(models), responses.body(props))
        self.context = facts.context
        return facts, there or models.status != 200

    async def is_ollama(self, http: Http) -> bool:
        """Whether it answers like Ollama, whatever the plan says."""
        return "version" in responses.body(await self._aside(http, "GET", "/api/version"))

    async def is_openai(self, http: Http) -> bool:
        return "data" in responses.body(await self._aside(http, "GET", "/v1/models"))

    async def probe(self, http: Http) -> bool:
        """Check whether the service answers at all, without using a model.

        A failed probe counts as a failure of the service unless calls succeed: an answer to a document is better
        evidence than one about the service itself.
        """
        began = self.now()
        try:
            answer = await self._aside(http, "GET", self._config.probe or self._wire.models_path)
            if answer.status >= 500 and answer.status != 501:
                raise refusals.fault(answer, self._config)
        except Fault as fault:
            if fault.retry == "at_once":
                return await self.probe(http)
            fault = self.on_loading(fault)
            if fault.kind is ErrorKind.loading:  # it answers, and will be ready
                self.note(fault)
                self.failed_probes = 0
                return True
            if self._is_refuted(fault, began):
                self.failed_probes = 0
                return True
            self.failed_probes += 1
            self.failed(fault)
            self._unreachable = True
            return False
        self.failed_probes = 0
        digest = self._wire.digest(answer, self._config)
        if digest:  # the weights behind a name may change during use
            self.facts = msgspec.structs.replace(self.facts, digest=digest)
        if self._unreachable:
            self._reached()
        return True

    def _reached(self) -> None:
        """Note a good probe after the server was unreachable: an open breaker becomes half-open, a half-open one
        closes. Without documents nothing else would close it."""
        match self.breaker.state(self.now()):
            case "open":
                self.breaker.try_now(self.now())
            case "half-open":
                self._unreachable = False
                self.breaker.succeeded()

    def _is_refuted(self, fault: Fault, began: float) -> bool:
        """Whether calls show that the service works although its probe failed. A refused connection outweighs calls
        before it."""
        if self._succeeded_at is None:
            return False
        news = fault.kind in (ErrorKind.transport, ErrorKind.proxy)
        return self._succeeded_at >= (began if news else self.now() - PROVEN_S)

    async def _post(self, http: Http, body: bytes) -> HttpAnswer:
        return await http.generate(self._address.to(self._wire.ask_path), body, self._address.user)

    async def _aside(self, http: Http, method: str, path: str, body: bytes | None = None) -> HttpAnswer:
        """Ask a question about the server itself."""
        try:
            async with asyncio.timeout(ASIDE_S):
                return await http.send(method, self._address.to(path), body, self._address.user)
        except TimeoutError:
            raise Fault(
                ErrorKind.timeout, f"{self.url}: no answer to {path} within {ASIDE_S:.0f} s; it hangs or is very busy"
            ) from None


def _overdue() -> str:
    return f"the model was not loaded within {LOAD_S:.0f} s"
