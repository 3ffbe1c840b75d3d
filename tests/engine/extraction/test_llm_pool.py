"""The pool under way: deadlines, retries, permission, breakers, several servers, long documents; over real sockets."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from engine.extraction.llm import ErrorKind, LlmAnswer, LlmFailure, LlmPool, NotPermitted
from tests.engine.extraction.fault_rows import DOCUMENT
from tests.engine.extraction.pools import failure, pool_of
from tests.machine import crowd, patience
from tests.stub_llm import StubLlm

pytestmark = pytest.mark.anyio


async def ask(pool: LlmPool, text: str = DOCUMENT, **more: Any) -> LlmAnswer:
    return await pool.extract(text, permit=lambda: True, **more)


async def several(pool: LlmPool, count: int) -> list[LlmAnswer | BaseException]:
    return await asyncio.gather(*(ask(pool, f"Report {i}. {DOCUMENT}") for i in range(count)), return_exceptions=True)


async def until(holds: Callable[[], bool]) -> None:
    for _ in patience(5.0):
        if holds():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not come to pass")


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_nothing_is_known_of_a_server_before_it_is_called() -> None:
    async with StubLlm() as stub, pool_of(stub) as pool:
        assert [health.tried for health in pool.servers()] == [False]
        await ask(pool)
        assert [(health.tried, health.up) for health in pool.servers()] == [(True, True)]


# one deadline over everything


@pytest.mark.parametrize("fault", ["drip", "hang"])
async def test_a_server_that_drips_or_hangs_ends_with_the_document_s_deadline(fault: str) -> None:
    deadline = 0.4 * crowd()
    async with StubLlm() as stub, pool_of(stub, timeout_s=deadline) as pool:
        await ask(pool)
        stub.fault = fault
        began = now()
        failed = await failure(pool)
        assert failed.kind is ErrorKind.timeout
        assert 0.75 * deadline < now() - began < 2.25 * deadline
        assert 0.75 * deadline < failed.ms / 1000 < 2.25 * deadline
        await until(lambda: stub.counters.at_once == 0)  # the closed connection ended the work


async def test_the_deadline_is_over_all_retries_and_names_what_did_not_go_away() -> None:
    deadline = 0.6 * crowd()
    async with StubLlm() as stub, pool_of(stub, timeout_s=deadline, retries=10) as pool:
        await ask(pool)
        stub.fault = "http_500"
        began = now()
        failed = await failure(pool)
        assert now() - began < 2 * deadline
        assert failed.attempts > 1
        assert failed.kind is ErrorKind.http
        assert "exit status 2" in failed.message


async def test_the_deadline_is_over_all_pieces_of_a_long_document() -> None:
    async with StubLlm(slots=1, latency_s=0.2) as stub, pool_of(stub, timeout_s=0.5, chunk_chars=500) as pool:
        began = now()
        failed = await failure(pool, "\n\n".join(f"# Part {i}\n\n{DOCUMENT}" for i in range(10)))
        assert failed.kind is ErrorKind.timeout
        assert now() - began < 1.5 * crowd()


async def test_a_document_too_long_for_its_deadline_says_so_and_is_not_held_against_a_server_that_answers() -> None:
    settings = {"timeout_s": 1.5, "chunk_chars": 500, "max_concurrency": 1, "breaker_failures": 1}
    async with StubLlm(slots=1, latency_s=0.2) as stub, pool_of(stub, **settings) as pool:
        failed = await failure(pool, "\n\n".join(f"# Part {i}\n\n{DOCUMENT}" for i in range(10)))
        assert failed.kind is ErrorKind.timeout
        assert re.fullmatch(r"1\.5 s were enough for [1-7] of the document's 10 pieces", failed.message)
        health = pool.servers()[0]
        assert (health.breaker, health.last_error) == ("closed", "")


async def test_waiting_in_the_pool_s_queue_counts_as_neither_latency_nor_deadline() -> None:
    async with StubLlm(slots=1, latency_s=0.2) as stub, pool_of(stub, timeout_s=1.0, max_concurrency=1) as pool:
        answers = await several(pool, 8)
        assert all(isinstance(answer, LlmAnswer) for answer in answers)
        took = [answer for answer in answers if isinstance(answer, LlmAnswer)]
        assert max(answer.ms for answer in took) < 600 * crowd()
        assert max(answer.queue_ms for answer in took) > 1000


async def test_loading_the_model_counts_as_neither_latency_nor_deadline() -> None:
    deadline = 0.5 if crowd() < 2 else 30.0  # a busy machine may take seconds to load what loads in 0.6 s
    async with StubLlm(load_s=0.6) as stub, pool_of(stub, timeout_s=deadline) as pool:
        answer = await ask(pool)
        assert answer.ms < 300 * crowd()
        assert answer.queue_ms < 400 * crowd()  # nor is it our queue
        stub.service.unload()  # another model took its place: this call carries the load_duration
        stub.service.load_s = 0.4
        answer = await ask(pool)
        assert answer.ms < 300 * crowd()
        assert pool.servers()[0].latency_ms is not None
        assert pool.servers()[0].latency_ms < 300 * crowd()


async def test_a_server_that_hangs_on_loading_holds_no_document_past_its_deadline() -> None:
    async with StubLlm(load_s=60.0) as stub, pool_of(stub, timeout_s=2.0) as pool:
        began = now()
        with pytest.raises(LlmFailure, match="has not loaded the model"):
            await ask(pool)
        assert now() - began < 6.0 * crowd()  # the deadline and the pauses before the tries that are over at once


async def test_preloading_spares_the_first_document_the_wait() -> None:
    async with StubLlm(load_s=0.4) as stub, pool_of(stub) as pool:
        await pool.preload()
        assert stub.counters.loads == 1
        assert (await ask(pool)).queue_ms < 200 * crowd()


async def test_a_loaded_model_is_not_loading_when_a_promotion_asks_a_busy_server_for_it_again() -> None:
    """Else the documents that its full queue turns away would count as if no model were there yet."""
    async with StubLlm(slots=1) as stub, pool_of(stub, timeout_s=60.0) as pool:
        await pool.preload()
        stub.service.latency_s = 60.0
        call = asyncio.create_task(ask(pool))
        await until(lambda: stub.counters.at_once == 1)
        again = asyncio.create_task(pool.preload())
        await until(lambda: again.done() or pool.servers()[0].state != "up")
        assert pool.servers()[0].state == "up"
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)


# retries


async def test_retries_come_after_pauses_of_different_length() -> None:
    async with StubLlm() as stub, pool_of(stub, timeout_s=5.0) as pool:
        await ask(pool)
        pauses = []
        for _ in range(5):
            stub.arrivals.clear()
            stub.script.append("http_500")
            await ask(pool)
            pauses += [after - before for before, after in pairwise(stub.arrivals)]
        assert len(pauses) == 5
        assert min(pauses) > 0.08
        assert max(pauses) - min(pauses) > 0.01


async def test_a_server_that_failed_a_document_is_avoided_by_its_retry_when_there_is_another() -> None:
    async with StubLlm(fault="http_500") as bad, StubLlm() as good, pool_of(bad, good, retries=1) as pool:
        answers = await several(pool, 6)
        assert [answer for answer in answers if not isinstance(answer, LlmAnswer)] == []


# permission


async def test_without_permission_nothing_is_sent() -> None:
    async with StubLlm() as stub, pool_of(stub) as pool:
        with pytest.raises(NotPermitted):
            await pool.extract(DOCUMENT, permit=lambda: False)
        assert stub.documents == []


async def test_permission_is_asked_again_before_a_retry() -> None:
    async with StubLlm() as stub, pool_of(stub) as pool:
        await ask(pool)
        sent = len(stub.documents)
        stub.fault = "http_500"
        with pytest.raises(NotPermitted) as caught:
            await pool.extract(DOCUMENT, permit=lambda: len(stub.documents) == sent)
        assert caught.value.sent
        assert len(stub.documents) == sent + 1


async def test_cancelling_a_document_ends_the_work_on_the_server() -> None:
    async with StubLlm(latency_s=60.0) as stub, pool_of(stub, timeout_s=60.0) as pool:
        task = asyncio.create_task(ask(pool))
        await until(lambda: stub.counters.at_once == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: stub.counters.at_once == 0)
        assert stub.counters.gone == 1
        assert pool.servers()[0].in_flight == 0
        assert pool.servers()[0].consecutive_failures == 0


# the breaker


async def test_after_a_row_of_failures_nothing_is_sent_until_one_call_tries() -> None:
    async with (
        StubLlm(latency_s=0.05) as stub,
        pool_of(stub, breaker_failures=3, breaker_open_s=0.4, retries=0) as pool,
    ):
        await ask(pool)
        stub.fault = "http_500"
        for _ in range(3):
            assert (await failure(pool)).kind is ErrorKind.http
        sent = len(stub.documents)
        refused = await failure(pool)
        assert refused.kind is ErrorKind.breaker_open
        assert not refused.sent
        assert "exit status 2" in refused.message
        assert len(stub.documents) == sent
        assert pool.servers()[0].breaker == "open"
        await asyncio.sleep(0.45)
        stub.fault = ""
        answers = await several(
            pool, 6
        )  # while half-open, one of them goes out and the others wait for it or are turned away
        assert len(stub.documents) - sent <= 6
        assert any(isinstance(answer, LlmAnswer) for answer in answers)
        assert pool.servers()[0].breaker == "closed"


async def test_a_half_open_breaker_sends_one_call_at_a_time() -> None:
    settings = {"breaker_failures": 1, "breaker_open_s": 0.2, "retries": 0, "timeout_s": 60.0}
    async with StubLlm() as stub, pool_of(stub, **settings) as pool:
        await ask(pool)
        stub.fault = "http_500"
        await failure(pool)
        await asyncio.sleep(0.25)
        stub.fault = ""
        stub.service.latency_s = 60.0
        sent = len(stub.documents)
        trying = asyncio.create_task(several(pool, 5))
        await until(lambda: len(stub.documents) > sent)
        await asyncio.sleep(0.1)
        assert len(stub.documents) - sent == 1
        trying.cancel()
        await asyncio.gather(trying, return_exceptions=True)


async def test_answers_that_are_not_the_service_s_fault_leave_the_breaker_closed() -> None:
    async with StubLlm(fault="ungrounded") as stub, pool_of(stub, breaker_failures=2) as pool:
        for _ in range(4):
            assert (await failure(pool)).kind is ErrorKind.ungrounded
        assert pool.servers()[0].breaker == "closed"


@pytest.mark.parametrize("deadline_s", [0.5, 2.5])
async def test_a_model_that_hangs_is_taken_out_after_one_deadline_and_one_short_question(deadline_s: float) -> None:
    deadline = deadline_s * crowd()
    async with (
        StubLlm(slots=1) as stub,
        pool_of(stub, timeout_s=deadline, breaker_failures=5, breaker_open_s=30.0, max_concurrency=1) as pool,
    ):
        await ask(pool)
        sent = len(stub.documents)
        stub.fault = "hang"
        began = now()
        ends = await several(pool, 8)
        assert now() - began < 4 * deadline  # the breaker would take five
        assert all(isinstance(end, LlmFailure) for end in ends)
        assert len(stub.documents) - sent == 2
        assert '{"ok": true}' in stub.documents[-1]["messages"][-1]["content"]
        assert pool.servers()[0].breaker == "open"
        assert "hangs" in pool.servers()[0].last_error


async def test_slow_documents_take_no_server_out_that_answers_a_short_question() -> None:
    async with (
        StubLlm(slots=1) as stub,
        pool_of(stub, timeout_s=0.4 * crowd(), breaker_failures=5, max_concurrency=1) as pool,
    ):
        await ask(pool)
        stub.script.extend(["hang", "", "hang", "", "", ""])  # two documents in a row, a short question after each
        ends = await several(pool, 4)
        assert [isinstance(end, LlmAnswer) for end in ends] == [False, False, True, True]
        assert pool.servers()[0].breaker == "closed"
        assert pool.servers()[0].consecutive_failures == 0


async def test_a_silent_server_is_asked_nothing_once_calls_are_not_permitted() -> None:
    async with StubLlm(slots=1) as stub, pool_of(stub, timeout_s=0.3 * crowd(), max_concurrency=1) as pool:
        await ask(pool)
        stub.fault = "hang"
        await failure(pool)
        sent = len(stub.documents)
        with pytest.raises(NotPermitted):
            await pool.extract(DOCUMENT, permit=lambda: False)
        assert len(stub.documents) == sent


# capacity


async def test_a_full_queue_shrinks_the_window_and_loses_no_document() -> None:
    async with StubLlm(slots=2, queue=1, latency_s=0.02) as stub, pool_of(stub, timeout_s=20.0) as pool:
        answers = await several(pool, 90)
        assert all(isinstance(answer, LlmAnswer) for answer in answers)
        assert stub.counters.turned_away <= 8
        assert pool.servers()[0].window <= 4


async def test_what_waits_waits_outside_the_http_client() -> None:
    async with StubLlm(slots=4, latency_s=0.01) as stub, pool_of(stub, max_concurrency=4, timeout_s=20.0) as pool:
        await several(pool, 100)
        assert stub.counters.most_at_once <= 4
        assert len(stub.door.connections) <= 4 + 4  # and those of the questions about the server


# several servers


async def test_unequal_servers_are_all_used_by_their_size() -> None:
    async with (
        StubLlm(slots=1, latency_s=0.3) as small,  # long beside what the machine itself takes
        StubLlm(slots=6, latency_s=0.3) as large,
        pool_of(small, large, timeout_s=20.0) as pool,
    ):
        answers = await several(pool, 140)
        assert all(isinstance(answer, LlmAnswer) for answer in answers)
        assert small.counters.served > 5
        assert large.counters.served > 2 * small.counters.served
        assert {server.url for server in pool.servers()} == {small.url, large.url}


async def test_when_one_of_several_dies_no_document_is_lost_and_it_is_probed_back_in() -> None:
    async with (
        StubLlm(slots=4, latency_s=0.02) as one,
        StubLlm(slots=4, latency_s=0.02) as two,
        pool_of(one, two, breaker_failures=3, breaker_open_s=600.0, timeout_s=60.0, max_wait_s=200.0) as pool,
    ):
        running = asyncio.create_task(several(pool, 150))
        await until(lambda: one.counters.served > 10 and two.counters.served > 10)
        await two.stop()
        answers = await running
        for _ in range(20):  # on a busy machine most documents were done before it died
            if pool.servers()[1].breaker == "open":
                break
            answers += await several(pool, 30)
        assert [answer for answer in answers if not isinstance(answer, LlmAnswer)] == []
        dead, health = pool.servers()[1], pool.servers()[0]
        assert dead.breaker == "open"
        assert "breaker open, retry" in dead.state
        assert "refused" in dead.last_error or "closed" in dead.last_error or "broke" in dead.last_error
        assert health.breaker == "closed"
        assert health.last_error == ""
        await two.start()
        await pool.probe()  # it answers: the next call may try it, long before the ten minutes are over
        served = two.counters.served
        await several(pool, 30)
        assert two.counters.served > served
        assert pool.servers()[1].breaker == "closed"


async def test_a_document_that_one_server_hangs_on_has_time_left_for_another() -> None:
    async with StubLlm() as bad, StubLlm() as good, pool_of(bad, good, timeout_s=1.0, retries=1) as pool:
        await pool.preload()
        bad.fault = "hang"
        answers = await several(pool, 4)
        assert all(isinstance(answer, LlmAnswer) for answer in answers)
        assert bad.counters.calls > 0


async def test_with_all_servers_dead_documents_fail_at_once_and_name_the_servers() -> None:
    async with StubLlm() as one, StubLlm() as two, pool_of(one, two, breaker_failures=1, retries=0) as pool:
        await one.stop()
        await two.stop()
        for _ in range(3):
            failed = await failure(pool)
        assert failed.kind is ErrorKind.breaker_open
        assert one.url in failed.message
        assert two.url in failed.message


# long documents


async def test_a_long_document_is_read_to_its_end_in_pieces_cut_at_headings() -> None:
    topics = ["gateway", "scheduler", "allocator", "compiler", "debugger", "profiler"]
    body = "\n\n".join(f"# The {topic}\n\n" + f"Notes about the {topic}. " * 18 for topic in topics)
    async with StubLlm() as stub, pool_of(stub, chunk_chars=600) as pool:
        answer = await ask(pool, body)
        assert len(stub.documents) == len(topics)
        pieces = [request["messages"][-1]["content"] for request in stub.documents]
        assert all(sum(f"# The {topic}" in piece for topic in topics[1:]) <= 1 for piece in pieces)
        assert all("The gateway" in piece for piece in pieces)  # each begins with the title
        assert len(answer.keywords.ranked) <= 15


async def test_a_piece_without_keywords_does_not_spoil_the_others() -> None:
    body = "\n\n".join(f"# Part {i}\n\n{DOCUMENT}" for i in range(4))
    async with StubLlm() as stub, pool_of(stub, chunk_chars=500) as pool:
        await ask(pool)
        stub.script.extend(["empty", "empty"])
        assert (await ask(pool, body)).keywords.ranked


# the end


async def test_closing_turns_away_what_waits_and_leaves_nothing_behind() -> None:
    async with StubLlm(slots=1, latency_s=60.0) as stub:
        async with pool_of(stub, timeout_s=60.0, max_concurrency=1) as pool:
            first = asyncio.create_task(ask(pool))
            await until(lambda: stub.counters.at_once == 1)
            second = asyncio.create_task(ask(pool))
            await until(lambda: pool.waiting == 1)
        with pytest.raises(LlmFailure, match="stopping"):
            await second
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await until(lambda: not stub.door.connections)
