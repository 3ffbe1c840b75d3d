"""The simulated LLM service of a rehearsal: processes that start and end with it, faults on one server or on all."""

from __future__ import annotations

import asyncio
import os
import signal
from itertools import islice

import httpx
import pytest

from engine.clock import SystemClock
from engine.extraction.llm import LlmFailure, LlmPool
from engine.plan.model import Llm
from engine.rehearsal import corpus, model
from engine.rehearsal.faults import ServerFaults
from engine.rehearsal.simulated_llm import SimulatedLlm, SimulatedLlmError
from tests.engine.rehearsal.process import user_prompt

pytestmark = pytest.mark.anyio


async def test_faults_go_to_one_server_or_to_all_and_off_again() -> None:
    llm = SimulatedLlm(2, latency_ms=10, load_ms=10)
    await llm.start()
    try:
        assert len(set(llm.urls)) == len(set(llm.pids)) == 2
        await llm.set("error_rate", 0.5)
        await llm.set("down", 1, server=1)
        assert (llm.current(0).down, llm.current(1).down) == (0, 1)
        assert llm.current(0).error_rate == llm.current(1).error_rate == 0.5
        async with httpx.AsyncClient(verify=False) as client:
            assert (await client.get(llm.urls[0])).status_code == 200
            with pytest.raises(httpx.ConnectError):
                await client.get(llm.urls[1])
            await llm.off()
            assert (await client.get(llm.urls[1])).status_code == 200
        assert llm.current(0) == llm.current(1) == ServerFaults()
        with pytest.raises(ValueError, match="from 0 to 1"):
            await llm.set("error_rate", 2)
    finally:
        await llm.stop()
    async with httpx.AsyncClient(verify=False) as client:
        for url in llm.urls:
            with pytest.raises(httpx.ConnectError):
                await client.get(url)


async def test_a_server_that_died_is_a_sentence() -> None:
    llm = SimulatedLlm(1)
    await llm.start()
    try:
        os.kill(llm.pids[0], signal.SIGKILL)
        with pytest.raises(SimulatedLlmError, match="server 1 does not answer its control port"):
            await llm.set("slow", 2)
    finally:
        await llm.stop()
    with pytest.raises(SimulatedLlmError, match="not running"):
        await llm.set("slow", 2)


async def test_what_the_engine_makes_of_a_share_of_errors_is_that_share_of_documents() -> None:
    """Retries and a second server do not hide it, because it is the text that fails."""
    documents = [d for d in islice(corpus.documents(), 60) if 60 < len(d.text) < 5000][:30]
    llm = SimulatedLlm(2, seed=5, latency_ms=10, load_ms=10)
    await llm.start()
    pool = LlmPool(Llm(urls=llm.urls, model=llm.model, breaker_failures=1000, max_concurrency=4), SystemClock())
    try:
        await pool.start()
        await llm.set("error_rate", 0.2)

        async def fails(text: str) -> bool:
            try:
                await pool.extract(text, permit=lambda: True)
            except LlmFailure:
                return True
            return False

        failed = await asyncio.gather(*(fails(document.text) for document in documents))
    finally:
        await pool.close()
        await llm.stop()
    assert failed == [model.read(user_prompt(document.text), 5).meets("error_rate", 0.2) for document in documents]
    assert any(failed)
