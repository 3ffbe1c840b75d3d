"""After a proven rollback nothing makes a model work: not the loading of one, not a shadow call, not a check; seen at the LLM server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.engine.service.rig import EngineRig
from tests.stub_llm import StubLlm

pytestmark = pytest.mark.anyio
GENERATING = ("/api/chat", "/api/generate", "/v1/chat/completions")


@pytest.fixture
async def stub() -> AsyncIterator[StubLlm]:
    async with StubLlm(slots=4, latency_s=0.05, load_s=3.0) as made:
        yield made


def worked(stub: StubLlm) -> int:
    """Requests that make a model work, the empty one that loads it among them."""
    return sum(path in GENERATING for path, _ in stub.requests)


def rig_of(tmp_path: Path, stub: StubLlm) -> EngineRig:
    settings = {"llm.url": stub.url, "llm.model": stub.model}
    return EngineRig(tmp_path, speed=None, settings=settings)


async def rolled_back(rig: EngineRig) -> None:
    result = await asyncio.to_thread(rig.client.rollback, "silence")
    assert result.ok, result.sentence
    proof = await asyncio.to_thread(rig.proof, result.request_id)
    assert proof["effective_ms"] is not None, proof


async def test_a_model_that_is_being_loaded_is_not_asked_for_after_a_rollback(tmp_path: Path, stub: StubLlm) -> None:
    with rig_of(tmp_path, stub) as rig:
        await asyncio.to_thread(rig.engine)
        for pause in (0.0, 0.05, 0.5):
            await asyncio.to_thread(rig.climb, 2)
            await asyncio.sleep(pause)
            await rolled_back(rig)
            before = worked(stub)
            await asyncio.sleep(2.5)
            assert worked(stub) == before
        assert worked(stub) > 0


async def test_an_armed_file_that_could_not_be_removed_permits_no_shadow_call_after_a_restart(
    tmp_path: Path, stub: StubLlm
) -> None:
    with rig_of(tmp_path, stub) as rig:
        engine = await asyncio.to_thread(rig.engine)
        await asyncio.to_thread(rig.climb, 1)
        for n in range(5):
            await asyncio.to_thread(rig.extract, f"before-{n}")
        kept = rig.folder.armed.read_bytes()
        await rolled_back(rig)
        engine.kill()
        engine.wait()
        rig.folder.armed.write_bytes(kept)  # as if no one could have removed it
        before = worked(stub)
        await asyncio.to_thread(rig.engine)
        for n in range(10):
            await asyncio.to_thread(rig.extract, f"after-{n}")
        await asyncio.sleep(1.0)
        assert worked(stub) == before


async def test_a_check_of_the_service_asks_no_model_while_a_rollback_is_in_force(tmp_path: Path, stub: StubLlm) -> None:
    with rig_of(tmp_path, stub) as rig:
        await asyncio.to_thread(rig.engine)
        done = await asyncio.to_thread(rig.cli, "check")
        assert "keywords in the sample's answer" in done.stdout  # in Preparation a person may ask
        await asyncio.to_thread(rig.climb, 2)
        await rolled_back(rig)
        before = worked(stub)
        done = await asyncio.to_thread(rig.cli, "check")
        assert done.returncode == 1
        assert "not asked while a rollback is in force" in done.stdout
        assert worked(stub) == before
