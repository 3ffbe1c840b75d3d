"""Shadow calls: answers that are stored and not served, over real sockets and a real store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from engine.plan.model import Plan
from engine.trial import search_scores
from tests.engine.routing.running_engine import CANARY, FULL, INTERNAL, running, text
from tests.stub_llm import StubLlm

pytestmark = pytest.mark.anyio


def share(stage: int, bp: int) -> Callable[[Plan], Plan]:
    def change(plan: Plan) -> Plan:
        stages = tuple(replace(s, shadow_bp=bp) if s.number == stage else s for s in plan.stages)
        return replace(plan, stages=stages)

    return change


async def test_by_default_nothing_is_shadowed_at_preparation_and_everything_at_internal(tmp_path: Path) -> None:
    async with StubLlm() as stub, running(tmp_path, stub, 0) as place:
        await place.extract("a")
        await place.shadowed()
        assert stub.documents == []
        await place.climb(INTERNAL)
        for name in "bcdefgh":
            answer = await place.extract(name)
            assert (answer.method, answer.cached, answer.fallback) == ("frequency", False, False)
        await place.shadowed()
        assert len(stub.documents) == 7
        assert place.stored("a").shadow is None


async def test_a_shadow_answer_is_stored_beside_what_is_served_and_is_served_and_cached_nowhere(tmp_path: Path) -> None:
    async with StubLlm() as stub, running(tmp_path, stub, INTERNAL) as place:
        await place.extract("a")
        await place.shadowed()
        stored = place.stored("a")
        assert stored.shadow
        assert stored.llm is None
        assert (stored.method, stored.keywords) == ("frequency", stored.frequency)
        assert place.records("arm, method, shadow, attempted, error") == [
            ("control", "frequency", 0, 0, None),
            ("control", "llm", 1, 1, None),
        ]
        assert place.engine.conn.execute("SELECT count(*) FROM llm_cache").fetchone() == (0,)
        await place.climb(FULL)
        assert not (await place.extract("a")).cached


async def test_a_share_of_documents_is_shadowed_the_same_ones_each_time(tmp_path: Path) -> None:
    async with StubLlm() as stub, running(tmp_path, stub, INTERNAL, share(INTERNAL, 5000)) as place:
        for _ in range(2):
            await asyncio.gather(*(place.extract(f"d{i}") for i in range(40)))
            await place.shadowed()
        names = [name for (name,) in place.records("document_id", "shadow")]
        assert 10 <= len(set(names)) <= 30
        assert len(names) == 2 * len(set(names))


async def test_a_shadow_answer_that_comes_late_changes_no_newer_version(tmp_path: Path) -> None:
    async with StubLlm(latency_s=0.3) as stub, running(tmp_path, stub, INTERNAL) as place:
        await place.extract("a", text("old"))
        await place.until(lambda: stub.counters.at_once == 1)
        newer = await place.extract("a", "too short to be shadowed, and newer.")
        await place.shadowed()
        stored = place.stored("a")
        assert stored.shadow is None
        assert stored.keywords == newer.keywords
        assert stored.text == "too short to be shadowed, and newer."


async def test_a_shadow_answer_that_comes_after_a_promotion_leaves_the_served_keywords_alone(tmp_path: Path) -> None:
    async with StubLlm(slots=4, latency_s=0.4) as stub, running(tmp_path, stub, INTERNAL) as place:
        await place.extract("a")
        await place.until(lambda: stub.counters.at_once == 1)
        await place.climb(FULL)
        assert (await place.extract("a")).method == "llm"
        await place.shadowed()
        stored = place.stored("a")
        assert stored.method == "llm"
        assert stored.shadow


async def test_a_rollback_ends_shadow_calls_and_starts_none(tmp_path: Path) -> None:
    async with StubLlm(slots=1, latency_s=60) as stub, running(tmp_path, stub, INTERNAL) as place:
        for name in "abc":
            await place.extract(name)
        await place.until(lambda: stub.counters.at_once == 1)
        await place.roll_back()
        await place.until(lambda: stub.counters.at_once == 0 and place.engine.pipeline.in_flight == 0)
        sent = len(stub.documents)
        await place.extract("d")
        await place.shadowed()
        assert len(stub.documents) == sent
        assert place.records("count(*)", "shadow") == [(0,)]


async def test_a_shadow_call_that_waits_ends_with_the_stage_that_asked_for_it(tmp_path: Path) -> None:
    async with StubLlm(slots=1, latency_s=0.4) as stub, running(tmp_path, stub, INTERNAL, max_concurrency=1) as place:
        for name in "abcd":
            await place.extract(name)
        await place.until(lambda: stub.counters.at_once == 1)
        sent = len(stub.documents)
        await place.climb(CANARY)  # which has no shadow
        await place.shadowed()
        assert len(stub.documents) == sent


async def test_without_the_armed_file_no_shadow_call_is_made(tmp_path: Path) -> None:
    async with StubLlm() as stub, running(tmp_path, stub, INTERNAL) as place:
        place.engine.folder.armed.unlink()
        await place.extract("a")
        await place.shadowed()
        assert stub.documents == []


async def test_shadow_calls_obey_the_breaker_and_count_for_no_trigger(tmp_path: Path) -> None:
    async with StubLlm(fault="http_500") as stub, running(tmp_path, stub, INTERNAL, breaker_failures=2) as place:
        for name in "abcde":
            await place.extract(name)
            await place.shadowed()
        kinds = [kind for (kind,) in place.records("error", "shadow")]
        assert kinds == ["http", "http", "breaker_open", "breaker_open", "breaker_open"]
        assert len(stub.documents) == 2
        assert place.engine.monitor.evaluate(place.engine.state, place.engine.ask()) is None


async def test_interactive_documents_go_before_shadow_calls(tmp_path: Path) -> None:
    async with StubLlm(slots=1, latency_s=0.05) as stub, running(tmp_path, stub, INTERNAL, max_concurrency=1) as place:
        await asyncio.gather(*(place.extract(f"s{i}") for i in range(12)))
        await place.until(lambda: stub.counters.at_once == 1)
        answer = await place.extract("manually", method="llm")
        assert answer.method == "llm"
        assert stub.counters.served < 12  # not behind the other eleven
        await place.shadowed()
        assert place.records("count(*)", "shadow AND error IS NULL") == [(12,)]


async def test_shadow_pairs_reach_the_paired_analysis(tmp_path: Path) -> None:
    async with StubLlm() as stub, running(tmp_path, stub, INTERNAL) as place:
        await asyncio.gather(*(place.extract(f"topic{i}") for i in range(12)))
        await place.shadowed()
        pairs = {report.name: report.n for report in search_scores.measure(place.engine.conn, 0.0).pairs}
        assert pairs["keywords"] == pairs["overlap"] == 12
