"""An LLM pool on a test's servers, and what it makes of a document."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from engine.clock import SystemClock
from engine.extraction.llm import LlmFailure, LlmPool
from engine.plan.model import Llm
from tests.engine.extraction.fault_rows import DOCUMENT
from tests.stub_llm import StubLlm


@asynccontextmanager
async def pool_on(*urls: str, key: str | None = None, **settings: Any) -> AsyncIterator[LlmPool]:
    config = Llm(**{"urls": urls, "timeout_s": 3.0, "breaker_failures": 50, **settings})
    pool = LlmPool(config, SystemClock(), api_key=key)
    await pool.start()
    try:
        yield pool
    finally:
        await pool.close()


@asynccontextmanager
async def pool_of(*stubs: StubLlm, **settings: Any) -> AsyncIterator[LlmPool]:
    async with pool_on(*(stub.url for stub in stubs), **{"model": stubs[0].model, **settings}) as pool:
        yield pool


async def keywords(pool: LlmPool, text: str = DOCUMENT) -> tuple[str, ...]:
    return (await pool.extract(text, permit=lambda: True)).keywords.ranked


async def failure(pool: LlmPool, text: str = DOCUMENT) -> LlmFailure:
    with pytest.raises(LlmFailure) as caught:
        await keywords(pool, text)
    return caught.value
