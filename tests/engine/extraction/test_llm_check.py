"""`rollout check` of an LLM service: each thing that would go wrong later is a finding with a remedy."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from engine.clock import SystemClock
from engine.extraction.llm import CheckLine, LlmPool
from engine.extraction.llm import check as checking
from engine.plan.model import Llm
from tests.machine import crowd
from tests.stub_llm import StubLlm

pytestmark = pytest.mark.anyio


async def findings(*urls: str, **settings: Any) -> dict[str, CheckLine]:
    """By `what`; of several with the same, the last."""
    config = Llm(urls=urls, **{"model": "llama3.2:3b", "timeout_s": 2.0, **settings})
    pool = LlmPool(config, SystemClock())
    await pool.start()
    heard: list[CheckLine] = []
    try:
        report = await pool.check(heard.append)
    finally:
        await pool.close()
    assert tuple(heard) == report.lines
    assert report.ok == all(line.state != "fail" for line in heard)
    return {line.what: line for line in heard}


async def test_a_healthy_service_is_reported_with_version_model_context_and_capacity() -> None:
    async with StubLlm(latency_s=0.02) as stub:
        checks = await findings(stub.url)
    assert "version 0.33.0" in checks["service"].text
    assert stub.service.digest[:19] in checks["model"].text
    assert "8192 tokens" in checks["context"].text
    assert "keywords in the sample's answer occur in its text" in checks["answer"].text
    assert "at a time" in checks["capacity"].text


async def test_a_service_with_one_slot_is_measured_as_one_and_named_the_variable() -> None:
    async with StubLlm(slots=1, latency_s=0.1) as stub:
        checks = await findings(stub.url)
    assert "about 1 at a time" in checks["capacity"].text
    assert "OLLAMA_NUM_PARALLEL" in checks["capacity"].text


async def test_a_missing_model_fails_with_the_command_that_pulls_it() -> None:
    async with StubLlm() as stub:
        checks = await findings(stub.url, model="qwen3:8b")
    assert checks["service"].state == "ok"
    assert checks["model"].state == "fail"
    assert "ollama pull qwen3:8b" in checks["model"].text


async def test_ollama_chosen_for_an_openai_compatible_server_fails_with_the_line_to_write() -> None:
    async with StubLlm(only="openai") as stub:
        checks = await findings(stub.url, api="ollama")
    assert checks["service"].state == "fail"
    assert '[llm] api = "openai"' in checks["service"].text


async def test_openai_chosen_for_ollama_works_with_a_warning() -> None:
    async with StubLlm() as stub:
        config = Llm(urls=(stub.url,), model=stub.model, api="openai")
        pool = LlmPool(config, SystemClock())
        await pool.start()
        report = await pool.check()
        await pool.close()
    assert report.ok
    assert any(line.state == "warn" and '[llm] api = "ollama"' in line.text for line in report.lines)


async def test_a_schema_that_the_server_does_not_hold_to_or_refuses_is_a_warning() -> None:
    async with StubLlm() as stub:
        assert "does not enforce the JSON schema" in (await findings(stub.url))["schema"].text
    async with StubLlm(refuses=frozenset({"response_format"})) as stub:
        assert "refuses JSON schemas" in (await findings(stub.url, api="openai"))["schema"].text


@pytest.mark.parametrize(
    ("fault", "state", "sentence"),
    [
        ("empty", "fail", "empty"),
        ("thinking_only", "fail", "use a model without thinking"),
        ("cut", "warn", "not what the prompt asks for"),
        ("ungrounded", "warn", "a better model is needed"),
        ("http_500", "fail", "exit status 2"),
    ],
)
async def test_what_the_sample_s_answer_shows(fault: str, state: str, sentence: str) -> None:
    async with StubLlm(fault=fault) as stub:
        line = (await findings(stub.url))["answer"]
    assert line.state == state
    assert sentence in line.text


async def test_a_slow_service_is_a_warning_with_the_plan_s_target(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "TARGET_S", 0.05)
    monkeypatch.setattr(checking, "SLOW_S", 0.05)
    async with StubLlm(latency_s=0.1) as stub:
        checks = await findings(stub.url)
    assert checks["latency"].state == "warn"
    assert "not measured" in checks["capacity"].text


async def test_a_service_that_hangs_ends_with_the_deadline_of_a_document() -> None:
    async with StubLlm(fault="drip") as stub:
        began = asyncio.get_running_loop().time()
        checks = await findings(stub.url, timeout_s=0.3)
        assert asyncio.get_running_loop().time() - began < 2.0 * crowd()
    assert checks["answer"].state == "fail"
    assert "within 0.3 s" in checks["answer"].text


async def test_an_answer_without_a_keyword_differs_from_keywords_that_are_not_in_the_text() -> None:
    for fault, output in (("no_keywords", "contains no keyword"), ("ungrounded", "none of the 3 keywords")):
        async with StubLlm(fault=fault) as stub:
            checks = await findings(stub.url)
            assert checks["answer"].state == "warn"
            assert output in checks["answer"].text


async def test_servers_with_different_weights_under_one_name_are_noticed() -> None:
    async with StubLlm() as one, StubLlm(digest="sha256:ffff") as other:
        checks = await findings(one.url, other.url)
    assert "different weights" in checks["model"].text
