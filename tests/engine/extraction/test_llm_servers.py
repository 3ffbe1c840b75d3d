"""What servers, gateways and proxies do around an answer: refused parameters, quotas, health, addresses, proxies. Over real sockets."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from engine.extraction.llm import CheckLine, ErrorKind, LlmPool
from engine.extraction.llm.address import address
from engine.extraction.llm.failure import Fault
from engine.extraction.llm.http import HttpAnswer
from engine.extraction.llm.proxies import UnusableProxy, proxy_for
from engine.extraction.llm.refusals import fault, wait_s
from engine.extraction.llm.retry import Accept, Again, GiveUp, Halve, Step, Tries, next_step
from engine.plan.model import Llm
from tests.engine.extraction.fault_rows import DOCUMENT
from tests.engine.extraction.gateway_rows import GOOD
from tests.engine.extraction.pools import failure, keywords, pool_on
from tests.engine.routing.running_engine import FULL, running
from tests.fault_server import MODEL, Api, FaultServer, Response, body, content, refusal
from tests.machine import crowd

pytestmark = pytest.mark.anyio
APIS: tuple[Api, ...] = ("ollama", "openai")
CONFIG = Llm(urls=("http://a",), model=MODEL, api="openai")


@asynccontextmanager
async def pool_of(*servers: FaultServer, key: str | None = None, **settings: Any) -> AsyncIterator[LlmPool]:
    given = {"api": servers[0].api, "retries": 0, "model": MODEL, **settings}
    async with pool_on(*(server.url for server in servers), key=key, **given) as pool:
        await pool.known()
        yield pool


async def checked(pool: LlmPool) -> list[CheckLine]:
    return list((await pool.check()).lines)


# refused parameters


def refusing(*fields: str, status: int = 400, sentence: str = "Unrecognized request argument supplied: {field}") -> Any:
    """Answers only requests without any of the fields, those within response_format, options too."""

    def say(api: Api, asked: dict[str, Any]) -> Response:
        sent = {**asked, **asked.get("options", {})}
        kind = asked.get("response_format", {}).get("type")
        if kind:
            sent[kind] = True
        if isinstance(asked.get("format"), dict):
            sent["schema"] = True
        wrong = next((field for field in fields if field in sent), None)
        if wrong is None:
            return content(GOOD)(api, asked)
        return refusal(status, sentence.format(field=wrong))(api, asked)

    return say


VAGUE = "Bad Request"


@pytest.mark.parametrize(
    ("api", "say", "learnt"),
    [
        ("openai", refusing("seed"), "without seed"),
        ("openai", refusing("temperature", status=422, sentence="Extra inputs are not permitted: {field}"), "without temperature"),
        ("openai", refusing("response_format"), "without a JSON schema"),
        ("openai", refusing("json_schema", sentence="response_format type {field} is not supported"), "any JSON instead of a JSON schema"),
        ("openai", refusing("json_schema", status=500, sentence="failed to parse grammar"), "any JSON instead of a JSON schema"),
        ("openai", refusing("json_schema", sentence=VAGUE), "any JSON instead of a JSON schema"),
        ("openai", refusing("response_format", sentence=VAGUE), "without a JSON schema"),
        ("openai", refusing("seed", sentence=VAGUE), "without seed"),
        ("openai", refusing("temperature", status=422, sentence=VAGUE), "without temperature"),
        ("openai", refusing("max_tokens", sentence="Use 'max_completion_tokens' instead of '{field}'."), "max_completion_tokens instead"),
        ("openai", refusing("seed", "temperature", "response_format"), "without a JSON schema, seed and temperature"),
        ("openai", refusing("seed", "temperature", sentence=VAGUE), "without"),
        ("openai", refusing("stream", sentence="unknown field: {field}"), "without stream"),
        ("ollama", refusing("seed"), "without seed"),
        ("ollama", refusing("shift", sentence="unknown field {field}"), "without shift"),
        ("ollama", refusing("keep_alive", status=422, sentence='json: unknown field "{field}"'), "without keep_alive"),
        ("ollama", refusing("format", sentence="invalid format"), "without a JSON schema"),
        ("ollama", refusing("schema", status=500, sentence="failed to load model vocabulary required for format grammar"), "any JSON instead"),
        ("ollama", refusing("format", sentence=VAGUE), "without a JSON schema"),
    ],
)  # fmt: skip
async def test_a_refused_parameter_is_left_out_from_then_on_and_reported_beside_the_server_and_in_check(
    api: Api, say: Any, learnt: str
) -> None:
    async with FaultServer(api, say) as server, pool_of(server) as pool:
        assert await keywords(pool)
        assert learnt in pool.servers()[0].learnt
        before = len(server.calls)
        assert await keywords(pool, DOCUMENT + "Again.")
        assert len(server.calls) == before + 1  # remembered, not tried out each time
        (line,) = [line for line in await checked(pool) if line.what == "parameters"]
        assert learnt in line.text


async def test_what_no_other_dialect_helps_against_is_tried_out_once() -> None:
    async with FaultServer("openai", refusal(400, VAGUE)) as server, pool_of(server) as pool:
        failed = await failure(pool)
        assert failed.message == "the server answered 400: Bad Request"
        assert pool.servers()[0].learnt == ""
        before = len(server.calls)
        await failure(pool)
        assert len(server.calls) == before + 1


async def test_permission_is_asked_before_every_dialect() -> None:
    async with FaultServer("openai", refusing("seed", "temperature")) as server, pool_of(server) as pool:
        asked: list[bool] = []
        await pool.extract(DOCUMENT, permit=lambda: asked.append(True) is None)
        assert len(asked) >= len(server.calls) == 3


async def test_a_text_that_is_too_long_is_not_a_refused_parameter() -> None:
    sentence = "max_tokens is too large: 512. This model's maximum context length is 1024 tokens."
    async with FaultServer("openai", refusal(400, sentence)) as server, pool_of(server) as pool:
        assert (await failure(pool)).kind is ErrorKind.too_long
        assert pool.servers()[0].learnt == ""


async def test_schema_and_seed_can_be_turned_off() -> None:
    for api in APIS:
        async with FaultServer(api, content(GOOD)) as server, pool_of(server, schema=False, seed=False) as pool:
            assert await keywords(pool)
            sent = {**server.calls[0], **server.calls[0].get("options", {})}
            assert not {"seed", "format", "response_format"} & sent.keys()
            assert pool.servers()[0].learnt == ""


def ignores_format(api: Api, asked: dict[str, Any]) -> Response:
    """Some versions of Ollama, with a model that is asked not to think."""
    return content("Of course. This text is about how a gateway pools connections." if "think" in asked else GOOD)(
        api, asked
    )


async def test_where_think_false_switches_the_format_off_it_is_left_out() -> None:
    async with FaultServer("ollama", ignores_format) as server:
        server.paths["/api/show"] = Response(json.dumps({"capabilities": ["completion", "thinking"]}).encode())
        async with pool_of(server) as pool:
            assert await keywords(pool)
            assert [call.get("think") for call in server.calls] == [False, None]
            assert await keywords(pool, DOCUMENT + "Again.")
            assert [call.get("think") for call in server.calls] == [False, None, None]


# limits


def test_a_wait_is_read_in_seconds_as_a_date_and_from_words() -> None:
    soon = datetime.now(UTC) + timedelta(seconds=90)
    shown = "Wed, 21 Oct 2026 07:28:00 GMT"
    assert wait_s(HttpAnswer(429, b"", "7")) == 7
    assert wait_s(HttpAnswer(429, b"", "0.5")) == 0.5
    assert 85 < wait_s(HttpAnswer(429, b"", format_datetime(soon, usegmt=True))) <= 91
    assert wait_s(HttpAnswer(429, b"", "Wed, 21 Oct 2026 07:30:00 GMT", date=shown)) == 120  # by the server's own clock
    assert wait_s(HttpAnswer(429, b"", "Wed, 21 Oct 2015 07:28:00 GMT")) == 0
    assert (
        wait_s(HttpAnswer(429, b"", "soon"))
        == wait_s(HttpAnswer(429, b"", "nan"))
        == wait_s(HttpAnswer(429, b"", "-3"))
        == 0
    )
    assert wait_s(HttpAnswer(429, b"", "1m30s")) == 90
    assert wait_s(HttpAnswer(429, b"", "1e12")) == 86_400
    assert wait_s(HttpAnswer(429, b'{"error": {"message": "Please try again in 7m12s."}}')) == 432
    assert wait_s(HttpAnswer(429, b'{"error": {"details": [{"retryDelay": "34s"}]}}')) == 34


@pytest.mark.parametrize(
    ("answer", "kind", "after"),
    [
        (HttpAnswer(429, b'{"error": "slow down"}', "7"), ErrorKind.busy, 7),
        (HttpAnswer(429, b'{"error": "slow down"}', "3600"), ErrorKind.quota, 3600),
        (HttpAnswer(429, b'{"error": {"code": "insufficient_quota", "message": "You exceeded your current quota"}}'), ErrorKind.quota, 900),
        (HttpAnswer(402, b'{"error": {"message": "Insufficient credits"}}'), ErrorKind.quota, 900),
        (HttpAnswer(429, b'{"error": {"message": "Rate limit reached. Add a payment method at https://x/account/billing."}}'), ErrorKind.busy, 0),
        (HttpAnswer(403, b'{"error": {"message": "Monthly limit exceeded: out of credits"}}'), ErrorKind.quota, 900),
    ],
)  # fmt: skip
def test_a_queue_is_waited_for_and_a_quota_is_not(answer: HttpAnswer, kind: ErrorKind, after: float) -> None:
    mapped = fault(answer, CONFIG)
    assert (mapped.kind, mapped.after_s) == (kind, after)


@pytest.mark.parametrize(
    ("status", "sentence", "why"),
    [
        (503, "server busy, please try again.  maximum pending requests exceeded", "the server's queue is full"),
        (429, "the queue is full", "the server's queue is full"),
        (429, "Rate limit reached for requests", "the server limits the rate of calls"),
        (503, "Too many requests, please wait before trying again.", "the server limits the rate of calls"),
        (429, "", "the server limits the rate of calls"),
        (529, "Overloaded", "the server is overloaded"),
        (429, "Model is overloaded", "the server is overloaded"),
        (503, "server busy", "the server is overloaded"),
    ],
)
def test_a_refusal_gives_the_server_s_own_reason_and_names_no_queue_without_one(
    status: int, sentence: str, why: str
) -> None:
    found = fault(HttpAnswer(status, json.dumps({"error": {"message": sentence}}).encode()), CONFIG)
    assert (found.kind, found.message.partition(" (")[0]) == (ErrorKind.busy, why)


async def test_a_quota_gone_for_an_hour_takes_the_server_out_at_once_in_its_own_words() -> None:
    say = body({"error": {"message": "You used up today's tokens, says the vendor."}}, 429, "retry-after: 3600")
    async with FaultServer("openai", say) as server, pool_of(server, retries=3, timeout_s=20.0) as pool:
        began = time.monotonic()
        ends = await asyncio.gather(*(failure(pool, f"{DOCUMENT} {n}") for n in range(6)))
        assert time.monotonic() - began < 5.0 * crowd()
        assert len(server.calls) <= 2  # what was under way
        assert all("You used up today's tokens" in end.message for end in ends)
        assert {end.kind for end in ends} <= {ErrorKind.quota, ErrorKind.breaker_open}
        (health,) = pool.servers()
        assert "breaker open, retry in 3" in health.state
        assert not health.up
        assert "You used up today's tokens" in health.last_error


async def test_with_a_second_server_a_quota_costs_no_document() -> None:
    say = body({"error": {"message": "quota exceeded"}}, 429, "retry-after: 3600")
    async with (
        FaultServer("openai", say) as poor,
        FaultServer("openai", content(GOOD)) as rich,
        pool_of(poor, rich) as pool,
    ):
        for number in range(4):
            assert await keywords(pool, f"{DOCUMENT} {number}")
        assert len(poor.calls) <= 1


async def test_a_short_wait_is_kept_and_the_document_gets_its_keywords() -> None:
    results = [body({"error": "slow down"}, 429, "retry-after: 1"), content(GOOD)]
    async with FaultServer("openai", lambda api, asked: results.pop(0)(api, asked)) as server, pool_of(server) as pool:
        began = time.monotonic()
        assert await keywords(pool)
        assert time.monotonic() - began >= 1.0


# health


async def test_calls_that_succeed_outweigh_a_probe_that_does_not() -> None:
    async with FaultServer("openai", content(GOOD)) as server, pool_of(server) as pool:
        assert await keywords(pool)
        server.paths["/v1/models"] = Response(b'{"error": "asking all models"}', 503)
        for _ in range(4):
            (health,) = await pool.probe()
            assert health.up
        server.say = refusal(500, "out of memory")
        await failure(pool)
        (health,) = await pool.probe()  # no call succeeds any more: the probe counts
        assert not health.up
        assert health.failed_probes == 1


async def test_a_refused_connection_is_news_whatever_succeeded_before() -> None:
    async with FaultServer("openai", content(GOOD)) as server, pool_of(server) as pool:
        assert await keywords(pool)
        await server.__aexit__()
        (health,) = await pool.probe()
        assert not health.up


@pytest.mark.parametrize(
    ("api", "probe", "asked"),
    [("openai", "", "/v1/models"), ("ollama", "", "/api/tags"), ("openai", "/livez", "/livez")],
)
async def test_the_probe_asks_what_is_cheap_or_what_the_plan_names(api: Api, probe: str, asked: str) -> None:
    async with FaultServer(api, content(GOOD)) as server, pool_of(server, probe=probe) as pool:
        server.asides.clear()
        await pool.probe()
        assert server.asides == [asked]


async def test_health_that_answers_slowly_keeps_no_document_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.extraction.llm.server.ASIDE_S", 0.2)
    async with (
        FaultServer("openai", content(GOOD), {"/health": Response(b"{}", drip_s=8.0)}) as server,
        pool_of(server) as pool,
    ):
        assert await keywords(pool)


@pytest.mark.parametrize("listed", [["openai/*", "x"], ["*", "y"], [f"hosted/{MODEL}", "z"]])
async def test_a_wildcard_in_the_list_of_models_is_not_a_missing_model(listed: list[str]) -> None:
    models = Response(json.dumps({"data": [{"id": name} for name in listed]}).encode())
    async with FaultServer("openai", content(GOOD), {"/v1/models": models}) as server:
        model = f"openai/{MODEL}" if listed[0] == "openai/*" else MODEL
        async with pool_of(server, model=model) as pool:
            assert await keywords(pool)


# addresses and headers


@pytest.mark.parametrize(
    ("url", "api", "ask", "root"),
    [
        ("http://h:1", "openai", "http://h:1/v1/chat/completions", "http://h:1"),
        ("http://h:1/v1/", "openai", "http://h:1/v1/chat/completions", "http://h:1"),
        ("http://h/gw/api", "openai", "http://h/gw/api/v1/chat/completions", "http://h/gw/api"),
        ("http://h/gw/api", "ollama", "http://h/gw/api/chat", "http://h/gw"),
        ("http://h/gw/api/chat", "ollama", "http://h/gw/api/chat", "http://h/gw"),
        ("http://h/gw", "ollama", "http://h/gw/api/chat", "http://h/gw"),
        ("https://h/openai/deployments/d?api-version=2024-10-21", "openai", "https://h/openai/deployments/d/chat/completions?api-version=2024-10-21", "https://h/openai/deployments/d"),
        ("https://h/api/v1", "openai", "https://h/api/v1/chat/completions", "https://h/api"),
        ("https://h/v1beta/openai/", "openai", "https://h/v1beta/openai/chat/completions", "https://h/v1beta/openai"),
        ("https://h/api/paas/v4/chat/completions", "openai", "https://h/api/paas/v4/chat/completions", "https://h/api/paas"),
        ("http://u:p@h:1/v1/chat/completions?x=1", "openai", "http://h:1/v1/chat/completions?x=1", "http://h:1"),
    ],
)  # fmt: skip
def test_a_path_and_a_query_keep_their_places(url: str, api: str, ask: str, root: str) -> None:
    parsed = address(url, api)
    assert parsed.to("/api/chat" if api == "ollama" else "/v1/chat/completions") == ask
    assert parsed.root == root


async def test_a_gateway_without_v1_is_found_by_its_404() -> None:
    async with FaultServer("openai", content(GOOD)) as server:
        asked: list[str] = []

        def only_without(head: str, request: dict[str, Any]) -> Response:
            path = head.split()[1]
            asked.append(path)
            known = path == "/gw/api/chat/completions" and request.get("messages")
            return content(GOOD)("openai", request) if known else Response(b"not found", 404)

        server._answer = only_without  # type: ignore[method-assign]
        async with pool_of(server, urls=(f"{server.url}/gw/api",)) as pool:
            assert await keywords(pool)
            asked.clear()
            assert await keywords(pool, DOCUMENT + "Again.")
            assert asked == ["/gw/api/chat/completions"]


async def test_extra_headers_and_another_header_for_the_key_are_sent() -> None:
    async with FaultServer("openai", content(GOOD)) as server:
        async with pool_of(server, key="sk-1234567", headers=("X-Team: search",), api_key_header="api-key") as pool:
            assert await keywords(pool)
        head = server.heads[0].lower()
        assert "x-team: search" in head
        assert "api-key: sk-1234567" in head
        assert "authorization" not in head


# proxies


@pytest.mark.parametrize(
    ("listed", "bypassed"),
    [("10.0.0.0/8", True), ("10.1.2.3", True), ("10.1.2.3:8000", True), ("10.1.2.3:9", False), ("192.168.0.0/16, 10.1.0.0/16", True), ("*", True), ("", False), ("fd00::/8", False), ("host.example", False)],
)  # fmt: skip
def test_no_proxy_takes_addresses_networks_and_ports(
    listed: str, bypassed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ = {"http_proxy": "http://p:3128", "no_proxy": listed}
    for name in ("http_proxy", "no_proxy", "NO_PROXY", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert (proxy_for(("http", "10.1.2.3", 8000), environ) is None) is bypassed


@pytest.mark.parametrize(
    ("value", "used"),
    [("p:3128", "http://p:3128"), ("http://u:s3cret@p:3128", "http://u:s3cret@p:3128"), ("socks://p:1080", ""), ("ftp://p", ""), ("http://", ""), ("http://p:port", "")],
)  # fmt: skip
def test_a_proxy_is_read_as_curl_reads_it_or_explains_what_is_wrong(
    value: str, used: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", value)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    origin = ("http", "10.1.2.3", 8000)
    if used:
        proxy = proxy_for(origin, {"http_proxy": value})
        assert proxy is not None
        assert proxy.url == used
        assert "s3cret" not in proxy.shown
    else:
        with pytest.raises(UnusableProxy, match="http_proxy"):
            proxy_for(origin, {"http_proxy": value})


@pytest.mark.parametrize("value", ["127.0.0.1:9", "socks://127.0.0.1:9", "ftp://127.0.0.1", "http://[broken"])
async def test_whatever_the_proxy_variable_holds_a_document_gets_keywords_and_the_failure_names_the_proxy(
    value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", value)
    async with FaultServer("openai", content(GOOD)) as server:
        server_url = "http://llm.test:8000"
        async with running(tmp_path, server, FULL, api="openai", urls=(server_url,), breaker_failures=50) as place:  # type: ignore[arg-type]
            answer = await place.extract("a", DOCUMENT)
            await place.written()
            assert answer.fallback
            assert answer.keywords
            ((error, message),) = place.records("error, message")
            assert error == "proxy"
            assert "http_proxy" in message


async def test_a_fault_of_our_own_costs_no_keywords_and_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with FaultServer("openai", content(GOOD)) as server, running(tmp_path, server, FULL, api="openai") as place:  # type: ignore[arg-type]

        def broken(*_: object, **__: object) -> None:
            raise ImportError("no module named socksio")

        monkeypatch.setattr("engine.extraction.llm.transport.ConnectionPool.handle_async_request", broken)
        answer = await place.extract("a", DOCUMENT)
        await place.written()
        assert answer.fallback
        assert answer.keywords
        assert place.records("error, attempted, method") == [("internal", 1, "frequency")]
        assert any("ImportError" in sentence for _, sentence in place.engine.events)


# short answers


async def test_an_answer_with_too_few_keywords_is_topped_up_and_counted_as_short(tmp_path: Path) -> None:
    few = content('{"descriptive": ["connection pool"], "technical": ["tokio"]}')
    async with FaultServer("openai", few) as server, running(tmp_path, server, FULL, api="openai") as place:  # type: ignore[arg-type]
        answer = await place.extract("a", DOCUMENT)
        await place.written()
        assert answer.keywords[:2] == ("connection pool", "tokio")
        assert len(answer.keywords) == 10
        assert not answer.fallback
        assert "the LLM gave 2 keywords" in answer.note
        assert place.records("error, short, method") == [(None, 1, "llm")]
        assert len(server.calls) == 1


# the next step


def test_the_next_step_after_each_fault() -> None:
    def step(kind: ErrorKind, retry: Any = None, after_s: float = 0.0, **tries: Any) -> Step:
        return next_step(Fault(kind, "", retry=retry, after_s=after_s), Tries(**tries))

    table: list[tuple[Step, Step]] = [
        (step(ErrorKind.breaker_open), GiveUp()),
        (step(ErrorKind.breaker_open, saved=True), Accept()),
        (step(ErrorKind.queue_full), GiveUp()),
        (step(ErrorKind.too_long, divisible=True), Halve()),
        (step(ErrorKind.too_long), GiveUp()),
        (step(ErrorKind.transport, "at_once"), Again(resent=True)),
        (step(ErrorKind.transport, "at_once", resent=True, retries=0), GiveUp()),
        (step(ErrorKind.prose), Again(other_seed=True)),
        (step(ErrorKind.prose, other_seed=True), GiveUp()),
        (step(ErrorKind.cut, other_seed=True, saved=True), Accept()),
        (step(ErrorKind.cut, saved=True), Again(other_seed=True)),
        (step(ErrorKind.http), Again(least_s=0.0, avoid=True, counts=True)),
        (step(ErrorKind.http, elsewhere=True), Again(avoid=True, counts=True)),
        (step(ErrorKind.http, failed=2), GiveUp()),
        (step(ErrorKind.http, "never", elsewhere=True), GiveUp()),
        (step(ErrorKind.busy, failed=2, after_s=7.0), Again(least_s=7.0)),
        (step(ErrorKind.busy, after_s=31.0), GiveUp()),
        (step(ErrorKind.busy, after_s=31.0, elsewhere=True), Again(avoid=True, counts=True)),
        (step(ErrorKind.loading, failed=2), Again(least_s=0.0)),
        (step(ErrorKind.quota, after_s=3600.0), GiveUp()),
        (step(ErrorKind.quota, after_s=3600.0, elsewhere=True), Again(avoid=True, counts=True)),
        (step(ErrorKind.model_missing, elsewhere=True, retries=0), Again(avoid=True, counts=True)),
        (step(ErrorKind.model_missing), GiveUp()),
        (step(ErrorKind.timeout, failed=1), Again(least_s=0.0, avoid=True, counts=True)),
        (step(ErrorKind.timeout, failed=2, saved=True), Accept()),
    ]
    for number, (given, wanted) in enumerate(table):
        assert given == wanted, number


async def test_the_first_words_of_an_unusable_answer_are_kept_bounded_and_without_secrets() -> None:
    key = "sk-live-4242424242"
    prose = f"Sure! \x1b[31mYour key is {key}. " + "The gateway keeps a pool. " * 40
    async with FaultServer("openai") as server, pool_of(server, key=key) as pool:
        server.say = content(prose)
        failed = await failure(pool)
    assert failed.answer.startswith("Sure!")
    assert "The gateway keeps" in failed.answer
    assert len(failed.answer) <= 200
    assert key not in failed.answer
    assert failed.answer.isprintable()
