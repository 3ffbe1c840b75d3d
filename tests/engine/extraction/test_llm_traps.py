"""Each known trap of Ollama's API and of OpenAI-compatible servers, over real sockets."""

from __future__ import annotations

import asyncio

import pytest

from engine.clock import SystemClock
from engine.extraction.llm import ErrorKind, LlmPool
from engine.extraction.llm.protocol import KEEP_ALIVE_S
from engine.plan.model import Llm
from tests.engine.extraction.fault_rows import DOCUMENT
from tests.engine.extraction.pools import failure, keywords, pool_of
from tests.machine import crowd
from tests.stub_llm import StubLlm

pytestmark = pytest.mark.anyio

APIS = ("ollama", "openai")


# Ollama's defaults


async def test_ollama_streams_unless_asked_not_to() -> None:
    async with StubLlm() as stub, pool_of(stub) as pool:
        assert await keywords(pool)
        assert stub.documents[0]["stream"] is False


async def test_an_answer_that_streams_all_the_same_is_read() -> None:
    async with StubLlm(fault="stream_anyway") as stub, pool_of(stub) as pool:
        assert "gateway" in await keywords(pool)


async def test_an_error_inside_a_stream_of_200_is_an_error() -> None:
    async with StubLlm(fault="stream_error") as stub, pool_of(stub, retries=0) as pool:
        failed = await failure(pool)
        assert failed.kind is ErrorKind.http
        assert "unexpected EOF" in failed.message


async def test_a_thinking_model_is_asked_not_to_think_or_its_answer_is_empty() -> None:
    async with StubLlm(thinking=True) as stub, pool_of(stub) as pool:
        assert await keywords(pool)
        assert stub.documents[0]["think"] is False


async def test_a_model_that_cannot_think_is_not_sent_think() -> None:
    async with StubLlm() as stub, pool_of(stub) as pool:
        await keywords(pool)
        assert "think" not in stub.documents[0]


async def test_gpt_oss_can_only_think_little() -> None:
    async with StubLlm(thinking=True, family="gptoss") as stub, pool_of(stub) as pool:
        await keywords(pool)
        assert stub.documents[0]["think"] == "low"


@pytest.mark.parametrize("api", APIS)
async def test_an_answer_that_is_all_thinking_is_empty_and_reports_it(api: str) -> None:
    async with StubLlm(fault="thinking_only") as stub, pool_of(stub, api=api) as pool:
        failed = await failure(pool)
        assert failed.kind is ErrorKind.thinking
        assert "thinking" in failed.message


async def test_ollama_drops_the_head_of_a_long_prompt_unless_asked_not_to() -> None:
    async with StubLlm() as stub, pool_of(stub) as pool:
        await keywords(pool)
        assert stub.documents[0]["truncate"] is False
        assert stub.documents[0]["shift"] is False


@pytest.mark.parametrize("api", APIS)
async def test_a_prompt_cut_without_a_word_is_noticed_by_its_token_count(api: str) -> None:
    async with StubLlm(fault="silent_cut", context=100) as stub, pool_of(stub, api=api) as pool:
        failed = await failure(pool, "gateway pool retry jitter " * 100)
        assert failed.kind is ErrorKind.too_long
        assert "silently truncated" in failed.message


async def test_num_ctx_stays_the_same_so_that_the_model_is_loaded_once() -> None:
    async with StubLlm() as stub, pool_of(stub, num_ctx=4096) as pool:
        await pool.preload()
        for text in (DOCUMENT, DOCUMENT * 20, "short but long enough to be sent to the model, retries and all"):
            await keywords(pool, text)
        assert stub.counters.loads == 1
        assert {body["options"]["num_ctx"] for body in stub.documents} == {4096}


async def test_the_answer_is_bounded_in_tokens_items_and_characters() -> None:
    async with StubLlm() as stub, pool_of(stub) as pool:
        await keywords(pool)
        asked = stub.documents[0]
        lists = asked["format"]["properties"]
        assert 0 < asked["options"]["num_predict"] <= 1024
        assert lists["descriptive"]["maxItems"] == 15
        assert lists["technical"]["maxItems"] == 10
        assert lists["technical"]["items"]["maxLength"] <= 80


async def test_the_model_stays_loaded_through_a_quiet_quarter_of_an_hour() -> None:
    async with StubLlm() as stub, pool_of(stub) as pool:
        await keywords(pool)
        assert stub.documents[0]["keep_alive"] == f"{KEEP_ALIVE_S}s"
        assert KEEP_ALIVE_S >= 900


# answers of 200 that are failures


async def test_done_false_is_a_failure_that_another_seed_may_fix() -> None:
    async with StubLlm() as stub, pool_of(stub) as pool:
        stub.script.append("done_false")
        answer = await pool.extract(DOCUMENT, permit=lambda: True)
        assert answer.attempts == 2
        assert not answer.salvaged
        seeds = [body["options"]["seed"] for body in stub.documents]
        assert seeds[0] != seeds[1]


@pytest.mark.parametrize(("api", "fault"), [("ollama", "unfinished"), ("ollama", "at_limit"), ("openai", "at_limit")])
async def test_complete_json_is_kept_whatever_the_server_reports_about_its_end(api: str, fault: str) -> None:
    async with StubLlm(fault=fault) as stub, pool_of(stub, api=api) as pool:
        answer = await pool.extract(DOCUMENT, permit=lambda: True)
        assert answer.attempts == 1
        assert not answer.salvaged


@pytest.mark.parametrize("api", APIS)
async def test_a_cut_answer_is_tried_once_more_then_its_complete_items_are_saved(api: str) -> None:
    async with StubLlm(fault="cut") as stub, pool_of(stub, api=api) as pool:
        answer = await pool.extract(DOCUMENT, permit=lambda: True)
        assert answer.attempts == 2
        assert answer.salvaged
        assert 3 <= len(answer.keywords.ranked) <= 15
        assert all(word in DOCUMENT.lower() for word in answer.keywords.descriptive)


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("empty", ErrorKind.empty),
        ("whitespace", ErrorKind.empty),
        ("not_json", ErrorKind.not_chat),
        ("no_lists", ErrorKind.unfit),
        ("deep", ErrorKind.cut),
        ("format_500", ErrorKind.bad_format),
        ("huge_body", ErrorKind.invalid),
        ("ungrounded", ErrorKind.ungrounded),
    ],
)
async def test_a_useless_answer_is_tried_once_more_with_another_seed(api: str, fault: str, kind: ErrorKind) -> None:
    async with StubLlm(fault=fault) as stub, pool_of(stub, api=api) as pool:
        failed = await failure(pool)
        assert failed.kind is kind
        assert failed.attempts == 2
        assert failed.sent


@pytest.mark.parametrize("fault", ["fenced", "wrapped", "other_names", "list_only"])
async def test_json_in_a_fence_between_words_or_under_other_names_is_read(fault: str) -> None:
    async with StubLlm(fault=fault) as stub, pool_of(stub) as pool:
        assert "gateway" in await keywords(pool)


# errors by status


async def test_a_missing_model_is_not_retried_and_the_message_names_ollama_pull() -> None:
    async with StubLlm() as stub, pool_of(stub, model="qwen3:8b") as pool:
        failed = await failure(pool)
        assert failed.kind is ErrorKind.model_missing
        assert "ollama pull qwen3:8b" in failed.message
        assert not failed.sent


async def test_a_model_removed_while_in_use_is_not_retried() -> None:
    async with StubLlm() as stub, pool_of(stub) as pool:
        await keywords(pool)
        stub.fault = "model_missing"
        failed = await failure(pool)
        assert failed.kind is ErrorKind.model_missing
        assert failed.attempts == 1


async def test_a_full_queue_without_retry_after_is_waited_out() -> None:
    async with StubLlm() as stub, pool_of(stub, timeout_s=5.0) as pool:  # the three pauses take up to 2.1 s
        stub.script.extend(["busy", "busy", "busy"])
        answer = await pool.extract(DOCUMENT, permit=lambda: True)
        assert answer.attempts == 4  # more than `retries`: the server did no work for it


@pytest.mark.parametrize("fault", ["http_500", "reset", "close_early", "not_http"])
async def test_what_may_pass_is_tried_again_with_a_pause(fault: str) -> None:
    async with StubLlm() as stub, pool_of(stub, timeout_s=5.0) as pool:
        await keywords(pool)
        stub.script.extend([fault, fault])
        answer = await pool.extract(DOCUMENT, permit=lambda: True)
        assert answer.attempts == 3


@pytest.mark.parametrize("fault", ["unauthorized", "no_route"])
async def test_what_cannot_succeed_is_not_tried_again(fault: str) -> None:
    async with StubLlm() as stub, pool_of(stub) as pool:
        await keywords(pool)
        stub.fault = fault
        failed = await failure(pool)
        assert failed.kind is ErrorKind.http
        assert failed.attempts == 1


async def test_llama_server_still_loading_is_waited_for_outside_the_deadline() -> None:
    deadline = min(1.0, 0.3 * crowd())
    async with StubLlm(fault="loading") as stub, pool_of(stub, api="openai", timeout_s=deadline) as pool:
        asyncio.get_running_loop().call_later(deadline + 0.3, lambda: setattr(stub, "fault", ""))
        answer = await pool.extract(DOCUMENT, permit=lambda: True)
        assert answer.attempts == 1
        assert answer.ms < 1000 * deadline
        assert answer.queue_ms < 400 * crowd()  # loading is not our queue


async def test_llama_server_refuses_a_long_prompt_and_the_text_is_split_finer() -> None:
    words = " ".join(f"gateway{i} retries" for i in range(400))
    async with StubLlm(context=700) as stub, pool_of(stub, api="openai", num_ctx=65_536) as pool:
        # The context is not known beforehand, as with hosted services.
        stub.service.trained_context = 700
        pool._servers[0].survey = lambda client: _nothing()  # type: ignore[method-assign,assignment,return-value]
        answer = await pool.extract(words, permit=lambda: True)
        assert answer.attempts > 2
        assert answer.keywords.ranked


async def _nothing() -> None:
    return None


async def test_a_text_that_does_not_fit_even_in_pieces_is_too_long() -> None:
    async with StubLlm(fault="too_long") as stub, pool_of(stub) as pool:
        failed = await failure(pool)
        assert failed.kind is ErrorKind.too_long
        assert failed.attempts == 1


# hosted services


async def test_a_service_that_wants_max_completion_tokens_gets_it() -> None:
    async with StubLlm(refuses=frozenset({"max_tokens", "temperature"})) as stub, pool_of(stub, api="openai") as pool:
        assert await keywords(pool)
        assert "max_completion_tokens" in stub.documents[-1]
        assert "temperature" not in stub.documents[-1]
        before = len(stub.documents)
        await keywords(pool)
        assert len(stub.documents) == before + 1  # learnt, not tried out each time


async def test_a_service_without_json_schema_is_asked_for_any_json() -> None:
    async with StubLlm(refuses=frozenset({"response_format"})) as stub, pool_of(stub, api="openai") as pool:
        assert await keywords(pool)


async def test_the_key_is_sent_and_never_shown() -> None:
    async with StubLlm() as stub:
        config = Llm(urls=(stub.url.replace("//", "//user:secret@"),), model=stub.model)
        pool = LlmPool(config, SystemClock(), api_key="sk-very-secret")
        await pool.start()
        await pool.extract(DOCUMENT, permit=lambda: True)
        assert "secret" not in repr(pool.servers())
        await pool.close()


@pytest.mark.parametrize("suffix", ["/", "/v1", "/v1/", "/api", "/v1/chat/completions"])
async def test_what_people_paste_behind_the_address_does_no_harm(suffix: str) -> None:
    async with StubLlm() as stub:
        config = Llm(urls=(stub.url + suffix,), model=stub.model, api="openai")
        pool = LlmPool(config, SystemClock())
        await pool.start()
        assert (await pool.extract(DOCUMENT, permit=lambda: True)).keywords.ranked
        await pool.close()


async def test_a_proxy_of_the_environment_is_not_used_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    async with StubLlm() as stub, pool_of(stub) as pool:
        assert await keywords(pool)
