"""The same client against a real llama.cpp server on a tiny random model: its words mean nothing, its protocol and faults are real.

    ROLLOUT_LLAMA_SERVER=http://127.0.0.1:18080 pytest tests/engine/extraction/test_llm_real.py

Start it with `llama-server -m tiny.gguf -c 8192 --parallel 4 --jinja`; any OpenAI-compatible server will do.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from engine.clock import SystemClock
from engine.extraction.grounding import Ground
from engine.extraction.llm import ErrorKind, LlmAnswer, LlmFailure, LlmPool, prompt
from engine.extraction.llm.answer import parse
from engine.extraction.llm.failure import ANSWERS, Fault
from engine.extraction.llm.http import Http
from engine.extraction.llm.server import Server
from engine.plan.model import Llm

URL = os.environ.get("ROLLOUT_LLAMA_SERVER", "")
MODEL = os.environ.get("ROLLOUT_LLAMA_MODEL", "tiny")

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(not URL, reason="no real server: ROLLOUT_LLAMA_SERVER names none")]

# what a model of random weights may write within the schema; that the server broke the schema or answered otherwise is its own fault
OF_THE_MODEL = ANSWERS - {ErrorKind.not_chat, ErrorKind.bad_format}

DOCUMENT = "The gateway keeps a connection pool per upstream; retries use exponential backoff with jitter. " * 3


def config(**settings: Any) -> Llm:
    return Llm(urls=(URL,), **{"model": MODEL, "api": "openai", **settings})


@asynccontextmanager
async def server() -> AsyncIterator[tuple[Server, Http]]:
    clock = SystemClock()
    http = Http(clock.real)
    try:
        yield Server(URL, config(), clock), http
    finally:
        await http.close()


def asked(text: str) -> prompt.Prompt:
    return prompt.build(text, max_descriptive=8, max_technical=10, max_total=15)


async def test_it_reports_its_context_and_its_slots() -> None:
    async with server() as (real, http):
        facts = await real.survey(http)
        assert facts.slots >= 1
        assert real.context >= 512
        assert facts.digest


async def test_a_bounded_schema_gives_an_answer_that_parses_and_keeps_its_bounds() -> None:
    async with server() as (real, http):
        for seed in range(1, 11):
            reply = await real.ask(http, asked(DOCUMENT), seed=seed)
            assert reply.flaw == ""
            proposal = parse(reply.text)
            assert proposal.flaw == ""
            assert len(proposal.descriptive) <= 8
            assert len(proposal.technical) <= 10
            assert all(len(word) <= 60 for word in (*proposal.descriptive, *proposal.technical))


async def test_a_prompt_that_is_too_long_is_refused_with_the_context_s_length() -> None:
    async with server() as (real, http):
        with pytest.raises(Fault) as caught:
            await real.ask(http, asked("gateway retries " * 60_000), seed=1)
        assert caught.value.kind is ErrorKind.too_long
        assert real.context >= 512  # learnt from the refusal


async def test_a_long_document_is_split_to_fit_and_none_is_lost_for_its_length() -> None:
    pool = LlmPool(config(chunk_chars=2_000, timeout_s=60.0), SystemClock())
    await pool.start()
    body = "\n\n".join(f"# Part {i}\n\n{DOCUMENT}" for i in range(30))
    end = await outcome(pool, body)
    await pool.close()
    if isinstance(end, LlmAnswer):
        assert end.pieces > 2
    else:  # a random model seldom outputs a word of the document
        assert end.kind in OF_THE_MODEL
        assert end.sent


async def outcome(pool: LlmPool, text: str) -> LlmAnswer | LlmFailure:
    try:
        return await pool.extract(text, permit=lambda: True)
    except LlmFailure as failure:
        return failure


async def test_many_documents_at_once_end_as_keywords_or_as_faults_of_the_model_never_of_the_service() -> None:
    pool = LlmPool(config(timeout_s=60.0), SystemClock())
    await pool.start()

    ends = await asyncio.gather(*(outcome(pool, f"Report {i}. {DOCUMENT}") for i in range(60)))
    health = pool.servers()[0]
    await pool.close()
    faults = {end.kind for end in ends if isinstance(end, LlmFailure)}
    assert faults <= OF_THE_MODEL
    assert health.breaker == "closed"
    for i, end in enumerate(ends):
        if isinstance(end, LlmAnswer):
            ground = Ground(f"Report {i}. {DOCUMENT}")
            assert all(ground.supports(keyword) for keyword in end.keywords.ranked)


async def test_the_check_explains_what_it_is_and_that_it_is_not_ollama() -> None:
    pool = LlmPool(config(), SystemClock())
    await pool.start()
    report = await pool.check()
    await pool.close()
    states = {line.what: line.state for line in report.lines}
    assert states["service"] == states["model"] == states["schema"] == states["capacity"] == "ok"
    pool = LlmPool(config(api="ollama"), SystemClock())
    await pool.start()
    report = await pool.check()
    await pool.close()
    assert '[llm] api = "openai"' in report.lines[-1].text
