"""`rollout check` for the LLM service: everything that would go wrong later, asked now, on a sample that is no document of anybody's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal

import msgspec

from engine.extraction import grounding
from engine.extraction.llm import answer, prompt
from engine.extraction.llm.failure import ErrorKind, Fault
from engine.extraction.llm.http import Http
from engine.extraction.llm.protocol import Reply
from engine.extraction.llm.server import COLD_MS, Server
from engine.plan.model import Llm

AT_ONCE = 4
_State = Literal["ok", "warn", "fail"]
_Say = Callable[[str, _State, str], None]
SAMPLE = (
    "# Connection pooling in the gateway\n\nThe gateway keeps a connection pool per upstream server. Idle connections are closed after "
    "`keepalive_timeout` seconds, and at most `max_connections` are open at a time; both are read from gateway.yaml. Requests that fail are "
    "retried with exponential backoff and jitter, but only when they are idempotent. A circuit breaker stops traffic to an upstream "
    "that keeps failing. Latency and error rate are exported to Prometheus over HTTP/2.\n"
)


class CheckLine(msgspec.Struct, frozen=True):
    """One finding: `what` in a word or two, `text` a sentence that says what to do unless `state` is "ok"."""

    server: str
    what: str
    state: _State
    text: str


class CheckReport(msgspec.Struct, frozen=True):
    lines: tuple[CheckLine, ...]

    @property
    def ok(self) -> bool:
        return not any(line.state == "fail" for line in self.lines)


async def check(servers: tuple[Server, ...], http: Http, config: Llm) -> CheckReport:
    """All servers at once; about as long as three answers of the slowest, plus loading its model."""
    found = await asyncio.gather(*(_one(server, http, config) for server in servers))
    lines = [line for lines in found for line in lines]
    digests = {server.facts.digest for server in servers if server.facts.digest}
    if len(digests) > 1:
        text = f"the servers hold different weights under the name {config.model}; pull the model anew on all of them"
        lines.append(CheckLine("all", "model", "warn", text))
    return CheckReport(tuple(lines))


async def _one(server: Server, http: Http, config: Llm) -> list[CheckLine]:
    lines: list[CheckLine] = []

    def say(what: str, state: _State, text: str) -> None:
        lines.append(CheckLine(server.url, what, state, text))

    try:
        began = server.now()
        facts = await server.survey(http)
        say(
            "service", "ok", f"answers in {(server.now() - began) * 1000:.0f} ms, version {facts.version or 'not told'}"
        )
        await server.warm_up(http)
    except Fault as fault:
        server.note(fault)
        say("model" if fault.kind is ErrorKind.model_missing else "service", "fail", fault.message)
        return lines
    facts = server.facts
    say("model", "ok", f"{config.model} is there, {facts.digest[:19] or 'no digest told'}")
    room = server.context - prompt.ANSWER_TOKENS - prompt.SYSTEM_TOKENS
    if not server.context:
        say("context", "warn", f"the server does not tell its context length; num_ctx = {config.num_ctx} is believed")
    elif room < config.chunk_chars / 4:
        say(
            "context",
            "warn",
            f"{server.context} tokens: texts are split into pieces of about {max(0, room) * 3:,} characters, not the "
            f"{config.chunk_chars:,} of chunk_chars; raise the server's context length for fewer calls",
        )
    else:
        say("context", "ok", f"{server.context} tokens, enough for pieces of {config.chunk_chars:,} characters")
    if facts.thinking:
        can = "it is told to think little" if facts.family in ("gptoss", "gpt-oss") else "it is told not to"
        say("thinking", "ok", f"the model can think; {can}, since thinking leaves no answer within the format")
    try:
        alone = await _ask(server, http, config, 1)
        _judge(alone[1], say)
        if not await _capacity(server, http, config, alone[0], say):
            say("capacity", "ok", f"the server says {facts.slots} at a time")
    except Fault as fault:
        server.note(fault)
        say("answer", "fail", fault.message)
    return lines


async def _ask(server: Server, http: Http, config: Llm, seed: int) -> tuple[float, Reply]:
    """Seconds and the answer to the sample. Raises Fault."""
    asked = prompt.build(
        SAMPLE, max_descriptive=config.max_descriptive, max_technical=config.max_technical, max_total=config.max_total
    )
    began = server.now()
    try:
        async with asyncio.timeout(config.timeout_s):
            reply = await server.ask(http, asked, seed=seed)
    except TimeoutError:
        raise Fault(
            ErrorKind.timeout,
            f"no answer to a short sample within {config.timeout_s:g} s; raise timeout_s or use a faster model",
        ) from None
    cold = reply.load_ms / 1000 if reply.load_ms >= COLD_MS else 0.0
    return server.now() - began - cold, reply


def _judge(reply: Reply, say: _Say) -> None:
    proposal = answer.parse(reply.text)
    ground = grounding.Ground(SAMPLE)
    kept = grounding.ground((*proposal.descriptive, *proposal.technical), ground)
    flaw = reply.flaw or proposal.flaw
    if not reply.text.strip():
        thought = "; it thinks instead: use a model without thinking" if reply.thought else ""
        say("answer", "fail", f"the model's answer to the sample is empty{thought}")
    elif flaw:
        say(
            "answer",
            "warn",
            f"the sample's answer is not what the schema asks for: {flaw}; such answers are tried again",
        )
    elif not kept.kept:
        say(
            "answer",
            "warn",
            f"none of the {proposal.count} keywords of the sample's answer is in its text; a better model is needed",
        )
    else:
        total = len(kept.kept) + kept.dropped
        say("answer", "ok", f"keeps to the schema; {len(kept.kept)} of {total} keywords are in the sample's text")


async def _capacity(server: Server, http: Http, config: Llm, alone_s: float, say: _Say) -> bool:
    """How many answers at a time: told, or else measured. False when the server tells it."""
    if server.facts.slots:
        return False
    began = server.now()
    several = await asyncio.gather(
        *(_ask(server, http, config, seed) for seed in range(2, 2 + AT_ONCE)), return_exceptions=True
    )
    spent = server.now() - began
    refused = sum(isinstance(one, Fault) for one in several)
    if refused:
        say("capacity", "warn", f"{refused} of {AT_ONCE} answers at once failed; the engine will send fewer at a time")
        return True
    at_once = max(1, min(AT_ONCE, round(AT_ONCE * alone_s / max(spent, 1e-6))))
    rate = AT_ONCE / max(spent, 1e-6)
    more = " or more" if at_once == AT_ONCE else ""
    hint = (
        "" if at_once > 1 or config.api != "ollama" else "; set OLLAMA_NUM_PARALLEL on the server if its memory allows"
    )
    say(
        "capacity", "ok", f"about {at_once}{more} at a time, {rate:.1f} short documents/s ({alone_s:.2f} s alone){hint}"
    )
    return True
