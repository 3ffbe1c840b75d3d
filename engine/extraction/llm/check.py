"""`rollout check` for the LLM service: asks about a built-in sample text to find what could fail later."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from engine.extraction.llm import prompt
from engine.extraction.llm.failure import ErrorKind, Fault, NotPermitted
from engine.extraction.llm.http import Http
from engine.extraction.llm.judge import PieceEvidence, judge
from engine.extraction.llm.protocol import ModelReply
from engine.extraction.llm.server import COLD_MS, Server
from engine.plan.model import Llm

AT_ONCE = 4
SLOW_S = 10.0  # one slow answer is enough evidence; more in parallel would only make people wait
TARGET_S = 2.0  # the plan's target for mean latency
_State = Literal["ok", "warn", "fail"]
SAMPLE = (
    "# Connection pooling in the gateway\n\nThe gateway keeps a connection pool per upstream server. Idle "
    "connections are closed after "
    "`keepalive_timeout` seconds, and at most `max_connections` are open at a time; both are read from "
    "gateway.yaml. Requests that fail are "
    "retried with exponential backoff and jitter, but only when they are idempotent. A circuit breaker "
    "stops traffic to an upstream "
    "that keeps failing. Latency and error rate are exported to Prometheus over HTTP/2.\n"
)
# A shape that no model would invent: only a server that enforces the schema returns it.
ODD_ITEMS, ODD_CHARS = 3, 24
_ODD_LIST = {"type": "array", "maxItems": ODD_ITEMS, "items": {"type": "string", "maxLength": ODD_CHARS}}
ODD_SCHEMA: dict[str, Any] = {
    "type": "object", "properties": {"zq7": _ODD_LIST}, "required": ["zq7"], "additionalProperties": False,
}  # fmt: skip
ODD = prompt.Prompt("Answer with JSON.", "Name three parts of a bicycle, as JSON.", ODD_SCHEMA, 8)


class CheckLine(msgspec.Struct, frozen=True):
    """One finding: `what` in a word or two, `text` a sentence that names the fix unless `state` is "ok"."""

    server: str
    what: str
    state: _State
    text: str


class CheckReport(msgspec.Struct, frozen=True):
    lines: tuple[CheckLine, ...]

    @property
    def ok(self) -> bool:
        return not any(line.state == "fail" for line in self.lines)


Say = Callable[[CheckLine], None]


async def check(servers: tuple[Server, ...], http: Http, config: Llm, say: Say | None = None) -> CheckReport:
    """Check all servers in parallel. Takes as long as three answers of the slowest, plus loading its model. `say`
    receives each finding as it comes."""
    lines: list[CheckLine] = []

    def report(line: CheckLine) -> None:
        lines.append(line)
        if say is not None:
            say(line)

    await asyncio.gather(*(_Examination(server, http, config, report).run() for server in servers))
    digests = {server.facts.digest for server in servers if server.facts.digest}
    if len(digests) > 1:
        text = f"the servers hold different weights under the name {config.model}; pull the model again on all of them"
        report(CheckLine("all servers", "model", "warn", text))
    return CheckReport(tuple(lines))


class _Examination:
    """Examines one server: identity, model, whether it is loaded, answers, capacity."""

    def __init__(self, server: Server, http: Http, config: Llm, report: Say) -> None:
        self._server = server
        self._http = http
        self._config = config
        self._report = report
        self._doing = "service"

    def _say(self, state: _State, text: str) -> None:
        self._report(CheckLine(self._server.url, self._doing, state, text))

    async def run(self) -> None:
        try:
            await self._service()
            await self._model()
            self._context()
            self._thinking()
            alone_s = await self._answer()
            await self._schema()
            self._dialect()
            await self._capacity(alone_s)
        except NotPermitted:
            self._say(
                "fail",
                "the model is not asked while a rollback is in force: `rollout resume` puts the armed file "
                "back, then check again",
            )
        except Fault as fault:
            self._server.note(fault)
            self._doing = "model" if fault.kind is ErrorKind.model_missing else self._doing
            self._say("fail", fault.message)

    async def _service(self) -> None:
        server = self._server
        began = server.now()
        lacks: Fault | None = None
        try:
            await server.survey(self._http)
        except Fault as fault:
            if fault.kind is not ErrorKind.model_missing:
                raise
            lacks = fault
        took_ms = (server.now() - began) * 1000
        await self._other_api()
        self._say("ok", f"answers in {took_ms:.0f} ms, version {server.facts.version or 'unknown'}")
        if lacks is not None:
            raise lacks

    async def _other_api(self) -> None:
        """Report a wrong `api` in the plan: a server of the other kind identifies itself. Raises Fault where it
        cannot work."""
        server, http = self._server, self._http
        if await server.is_ollama(http):
            if self._config.api == "openai":
                self._say(
                    "warn",
                    'this is Ollama: set [llm] api = "ollama"; otherwise num_ctx is not set, long texts are silently '
                    "truncated and thinking is not disabled",
                )
        elif self._config.api == "ollama" and await server.is_openai(http):
            raise Fault(
                ErrorKind.http,
                'this is not Ollama but a server with the OpenAI-compatible API: set [llm] api = "openai"',
                retry="never",
            )

    async def _model(self) -> None:
        server, facts = self._server, self._server.facts
        self._doing = "model"
        digest = facts.digest[:19] if self._config.api == "ollama" else facts.digest
        loading = self._config.api == "ollama" and not facts.loaded
        then = "; it is not in memory, loading it now" if loading else ""
        self._say("ok", f"the server has {self._config.model} ({digest or 'digest unknown'}){then}")
        began = server.now()
        await server.warm_up(self._http)
        took = server.now() - began
        if took > 1.0:
            self._say("ok", f"loading it took {took:.1f} s; the engine does that before the first document")

    def _context(self) -> None:
        server, config = self._server, self._config
        self._doing = "context"
        room = server.context - prompt.ANSWER_TOKENS - prompt.SYSTEM_TOKENS
        if not server.context:
            self._say(
                "warn", f"the server does not report its context length; assuming [llm] num_ctx = {config.num_ctx}"
            )
        elif room < config.chunk_chars / 4:
            self._say(
                "warn",
                f"{server.context} tokens: texts are split into pieces of about {max(0, room) * 3:,} "
                "characters, not the "
                f"{config.chunk_chars:,} of chunk_chars; raise the server's context length for fewer calls",
            )
        else:
            self._say("ok", f"{server.context} tokens, enough for pieces of {config.chunk_chars:,} characters")

    def _thinking(self) -> None:
        facts = self._server.facts
        if facts.thinking:
            self._doing = "thinking"
            can = "it is asked to think little" if facts.family in ("gptoss", "gpt-oss") else "thinking is disabled"
            self._say(
                "ok", f"the model can think; {can}, because thinking leaves no room for the answer in this format"
            )

    async def _answer(self) -> float:
        """Answer the sample alone; return the seconds it took."""
        self._doing = "answer"
        config = self._config
        took, reply = await self._ask(_sample(config), 1)
        keywords = judge(reply, PieceEvidence(SAMPLE))
        kept = len(keywords.descriptive) + len(keywords.technical)
        flaw = keywords.flaw
        if flaw is None:
            self._say("ok", f"{kept} of {keywords.proposed} keywords in the sample's answer occur in its text")
        elif flaw.kind in (ErrorKind.empty, ErrorKind.thinking):
            thinks = "; it thinks instead: use a model without thinking" if flaw.kind is ErrorKind.thinking else ""
            self._say("fail", f"the model's answer to the sample is empty{thinks}")
        elif flaw.kind is ErrorKind.ungrounded:
            many = f"none of the {keywords.proposed} keywords in the sample's answer occur in its text"
            self._say("warn", f"{many}; a better model is needed")
        elif flaw.kind is ErrorKind.no_keywords:
            self._say("warn", "the sample's answer contains no keyword; a better model is needed")
        else:
            self._say(
                "warn", f"the sample's answer is not what the prompt asks for: {flaw.message}; the engine retries"
            )
        if took > TARGET_S:
            self._doing = "latency"
            self._say(
                "warn",
                f"a short sample took {took:.1f} s, and the plan wants a mean below {TARGET_S:g} s: use a smaller "
                "model, a faster machine, or more servers in [llm] urls",
            )
        return took

    async def _schema(self) -> None:
        """Report whether the server enforces a JSON schema, lengths and counts included."""
        self._doing = "schema"
        if not self._config.schema:
            self._say("ok", "[llm] schema = false: the prompt asks for JSON in words, without a schema")
            return
        _, reply = await self._ask(ODD, 1)
        refused = self._server.structured != "schema"
        if refused:
            self._say(
                "warn", "the server refuses JSON schemas, so the prompt asks for JSON in words; more answers fail"
            )
            return
        items = _odd_items(reply.text)
        if items is None and self._server.learner.may_unthink:
            self._server.learner.judged(ErrorKind.prose)
            _, reply = await self._ask(ODD, 2, hot=True)
            items = _odd_items(reply.text)
            self._server.learner.judged(None if items is not None else ErrorKind.prose)
        if items is None:
            self._say(
                "warn",
                "the server does not enforce the JSON schema: every answer is still checked, and more of them fail; "
                "update the server (Ollama 0.5 or later, llama-server, vLLM)",
            )
        elif len(items) > ODD_ITEMS or any(len(str(item)) > ODD_CHARS for item in items):
            self._say(
                "warn",
                "the server ignores maxItems or maxLength of the schema: answers may run until they are truncated",
            )
        else:
            self._say("ok", "the server enforces the JSON schema, counts and lengths included")

    def _dialect(self) -> None:
        """Which parts of a request the server refuses."""
        learnt = self._server.learnt
        if learnt:
            self._doing = "parameters"
            self._say("warn", f"the server refuses parts of a request; the engine sends it {learnt}")

    async def _capacity(self, alone_s: float) -> None:
        """How many calls it answers in parallel: as reported, otherwise measured."""
        self._doing = "capacity"
        config, server = self._config, self._server
        if server.facts.slots:
            self._say("ok", f"the server reports {server.facts.slots} at a time")
            return
        if alone_s > SLOW_S:
            self._say(
                "warn",
                f"not measured, because one answer takes {alone_s:.0f} s; the engine determines it while it runs",
            )
            return
        began = server.now()
        several = await asyncio.gather(
            *(self._ask(_sample(config), seed) for seed in range(2, 2 + AT_ONCE)), return_exceptions=True
        )
        spent = max(server.now() - began, 1e-6)
        refused = sum(isinstance(one, Fault) for one in several)
        if refused:
            self._say("warn", f"{refused} of {AT_ONCE} answers at once failed; the engine will send fewer at a time")
            return
        at_once = max(1, min(AT_ONCE, round(AT_ONCE * alone_s / spent)))
        more = " or more" if at_once == AT_ONCE else ""
        hint = "" if at_once > 1 or config.api != "ollama" else "; set OLLAMA_NUM_PARALLEL there if its memory allows"
        self._say(
            "ok",
            f"about {at_once}{more} at a time, {AT_ONCE / spent:.1f} short documents/s ({alone_s:.2f} s alone){hint}",
        )

    async def _ask(self, asked: prompt.Prompt, seed: int, hot: bool = False) -> tuple[float, ModelReply]:
        """Ask once; return the seconds and the answer. Raises Fault."""
        server, config = self._server, self._config
        began = server.now()
        try:
            async with asyncio.timeout(config.timeout_s):
                reply = await server.ask(self._http, asked, seed=seed, hot=hot)
        except TimeoutError:
            raise Fault(
                ErrorKind.timeout,
                f"no answer to a short sample within {config.timeout_s:g} s; raise [llm] timeout or use a faster model",
            ) from None
        cold_s = reply.load_ms / 1000 if reply.load_ms >= COLD_MS else 0.0
        return server.now() - began - cold_s, reply


def _sample(config: Llm) -> prompt.Prompt:
    return prompt.build(
        SAMPLE, max_descriptive=config.max_descriptive, max_technical=config.max_technical, max_total=config.max_total
    )


def _odd_items(text: str) -> list[Any] | None:
    """The list in an answer to the odd schema, if it has one."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    items = value.get("zq7") if isinstance(value, dict) else None
    return items if isinstance(items, list) else None
