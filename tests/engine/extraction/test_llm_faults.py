"""One row per fault that users of Ollama, llama.cpp, vLLM, LiteLLM, LM Studio, TGI and gateways report: what is stored, what is counted,
what is shown. Through a real engine, over real sockets, by both APIs."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from engine.metrics import errors
from engine.store import series
from tests.engine.extraction import gateway_rows
from tests.engine.extraction.fault_rows import APIS, DOCUMENT, played, stream, with_thought
from tests.engine.extraction.gateway_rows import GOOD, Lacks
from tests.engine.routing.running_engine import FULL, Place, running
from tests.fault_server import Api, FaultServer, Response, body, content, refusal

pytestmark = pytest.mark.anyio

REFUSAL = "I'm sorry, but I can't help with extracting keywords, tags, or topics."
NGINX = "<html>\r\n<head><title>{0}</title></head>\r\n<body>\r\n<center><h1>{0}</h1></center>\r\n<hr><center>nginx/1.25.3</center>\r\n</body>\r\n</html>\r\n"


def broken_stream(api: Api, asked: dict[str, Any]) -> Response:
    first = stream(api, GOOD, False).splitlines(keepends=True)[0]
    return Response(first + b'{"error": "an error was encountered while running the model"}\n')


LACKS = [
    Lacks("nothing", content(""), "empty", "the answer is empty"),
    Lacks("white space", content(" \n\t"), "empty", "the answer is empty"),
    Lacks("null", content(None), "empty", "the answer is empty"),
    Lacks("only thinking", with_thought("reasoning_content", "The user wants keywords. Perhaps connection pool?"), "thinking", "the model spent it on thinking"),
    Lacks("a draft in thinking that is cut", content('<think>perhaps {"descriptive": ["connection pool"'), "thinking", 'begins "<think>perhaps'),
    Lacks("a draft in closed thinking", content('<think>{"descriptive": ["connection pool"]}</think>'), "thinking", "whole answer on thinking"),
    Lacks("a refusal", content(REFUSAL), "refused", 'the model refuses; it begins "I\'m sorry, but I can\'t help'),
    Lacks("prose", content("The gateway keeps a connection pool, retries requests, and exports the error rate to Prometheus."), "prose", 'prose, not keywords; it begins "The gateway keeps'),
    Lacks("bulleted prose", content("- The gateway keeps a connection pool\n- It retries requests that fail\n- A circuit breaker stops traffic"), "prose", 'it begins "- The gateway'),
    Lacks("a question", content("Should I summarise, translate, or extract?"), "prose", 'it begins "Should I summarise'),
    Lacks("the document", lambda api, asked: content(asked["messages"][-1]["content"])(api, asked), "prose", 'it begins "==='),
    Lacks("empty lists", content('{"descriptive": [], "technical": []}'), "no_keywords", "the answer has no keyword"),
    Lacks("lists of null", content('{"descriptive": [null], "technical": [1, true]}'), "no_keywords", "[null], 'technical': [1, true]"),
    Lacks("stop words", content('{"descriptive": ["the", "only", "that"], "technical": ["and"]}'), "unfit", 'begins "{\'descriptive\': [\'the\''),
    Lacks("sentences in lists", content('{"descriptive": ["The gateway keeps a connection pool per upstream server."], "technical": []}'), "unfit", "'The gateway keeps"),
    Lacks("the word none", content('{"descriptive": "none", "technical": "n/a"}'), "unfit", "'none'"),
    Lacks("other JSON", content('{"title": "Connection pool", "summary": "The gateway keeps a connection pool"}'), "shape", "its keys are title, summary"),
    Lacks("the schema", content(json.dumps({"type": "object", "properties": {"descriptive": {"type": "array", "items": {"type": "string"}}}})), "shape", "repeats the JSON schema"),
    Lacks("the example", content('{"descriptive": [...], "technical": [...]}'), "placeholder", "repeats the prompt's form"),
    Lacks("JSON cut before a keyword", content('{"descriptive": ["connec', "length"), "cut", "is cut before its first keyword"),
    Lacks("JSON cut after one keyword", content('{"descriptive": ["connection pool", "circuit bre', "length"), "cut", "the answer was cut (finish_reason 'length')"),
    Lacks("a loop", content("pool " * 300, "length"), "loop", "the model repeats itself"),
    Lacks("a loop of a phrase", content("connection pool " * 150, "length"), "loop", "the model repeats itself"),
    Lacks("what is not in the document", content('{"descriptive": ["quantum chromodynamics", "medieval poetry"], "technical": ["Fortran"]}'), "ungrounded", 'none of the 3 keywords proposed: "quantum'),
    Lacks("a content filter", content("", "content_filter"), "filtered", "a content filter held the answer back"),
    Lacks("a web page", body(b"<!DOCTYPE html><html><head><title>Sign in</title></head></html>"), "not_chat", '200 with a web page titled "Sign in"'),
    Lacks("an empty body", body(b""), "not_chat", "200 with an empty body"),
    Lacks("another API's JSON", body({"status": "ok"}), "not_chat", "{'status': 'ok'}"),
    Lacks("text", body(b"OK"), "not_chat", '200 with "OK"'),
    Lacks("the model's format", refusal(500, "The model produced output that does not match the expected peg-native format"), "bad_format", "did not fit the format"),
    Lacks("an error in 200", body({"error": {"message": "CUDA out of memory", "code": 500}}), "out_of_memory", "200 with error 500: CUDA out of memory"),
    Lacks("an error in a stream", broken_stream, "http", "an error was encountered while running the model"),
    Lacks("a crash", refusal(500, "llama runner process has terminated: exit status 2"), "http", "exit status 2"),
    Lacks("a wrong key", refusal(401, "Incorrect API key provided"), "http", "refuses the key (401: Incorrect API key"),
    Lacks("a key in a bad request (Gemini)", refusal(400, "API key not valid. Please pass a valid API key."), "http", "refuses the key (400: API key not valid"),
    Lacks("a network rule (Azure)", refusal(403, "Access denied due to Virtual Network/Firewall rules."), "http", "refuses the call (403: Access denied due to Virtual Network/Firewall rules.); check"),
    Lacks("the model's format (Groq)", refusal(400, "Failed to generate JSON. Please adjust your prompt.", code="json_validate_failed"), "bad_format", "did not fit the format (400: Failed"),
    Lacks("no capacity (Groq)", refusal(498, "Flex tier capacity exceeded", code="capacity_exceeded"), "busy", "the server is overloaded (498: Flex"),
    Lacks("no models loaded", refusal(404, "No models loaded. Please load a model in the developer page."), "model_missing", "No models loaded"),
    Lacks("an invalid model", refusal(400, "Invalid model name passed in model=llama3.2:3b"), "model_missing", "Invalid model name"),
    Lacks("a model that is loading (llama.cpp)", refusal(503, "Loading model", type="unavailable_error"), "loading", "the server is loading the model (503: Loading model)"),
    Lacks("a model that is loading (Ollama)", refusal(500, "unexpected server status: llm server loading model"), "loading", "(500: unexpected server status: llm server loading model)"),
    Lacks("nginx 502", body(NGINX.format("502 Bad Gateway").encode(), 502), "proxy", "(nginx/1.25.3) does not reach the server behind it (502 Bad Gateway)"),
    Lacks("nginx 504", body(NGINX.format("504 Gateway Time-out").encode(), 504), "proxy", "gave up waiting (504 Gateway Time-out); raise its read timeout"),
    Lacks("nginx 413", body(NGINX.format("413 Request Entity Too Large").encode(), 413), "too_long", "refuses a text of this size (413 Request Entity Too Large)"),
    Lacks("an envoy without upstream", body(b"upstream connect error or disconnect/reset before headers", 503, "server: envoy"), "proxy", "(envoy) does not reach"),
    Lacks("a page of Cloudflare", body(b"<html><title>cf.example | 522: Connection timed out</title>cloudflare</html>", 522), "proxy", "522"),
]  # fmt: skip


@pytest.mark.parametrize("api", APIS)
async def test_of_answers_without_keywords_none_is_stored_and_each_has_its_own_true_message(
    api: Api, tmp_path: Path
) -> None:
    wrong: list[str] = []
    heard: dict[str, str] = {}
    rows = [*map(gateway_rows.patient, LACKS), *gateway_rows.LACKS]
    async with (
        FaultServer(api) as server,
        running(tmp_path, server, FULL, api=api, breaker_failures=1000, cache_bytes=0, timeout_s=20.0) as place,
    ):  # type: ignore[arg-type]
        for one in await played(place, server, rows):
            row = one["row"]
            heard.setdefault(one["message"], row.name)
            if one["llm"] or one["error"] != row.kind or row.shows not in one["message"] or not one["answer"].fallback:
                wrong.append(f"{row.name}: stored {one['llm']}, {one['error']}: {one['message']}")
        now = place.engine.clock.now()
        counted = series.between(place.engine.conn, now - 600, now + 10, "treatment").kinds
    assert not wrong, "\n".join(wrong)
    assert counted == dict(Counter(row.kind for row in rows if row.kind != "loading"))  # which is not an attempt
    same = len(rows) - len(heard)
    assert same <= 2, heard  # nothing, white space and null are one
    assert all("<" not in message or "<think>" in message or '"' in message for message in heard)


LOADING = refusal(503, "Loading model", type="unavailable_error")


def _loading(server: FaultServer, loading: bool) -> None:
    """As llama-server, which answers each request so, and Ollama, whose order to load returns when it has loaded."""
    server.say = LOADING if loading else content(GOOD)
    for path in ("/health", "/v1/models"):
        server.paths.pop(path, None)
        if loading and server.api == "openai":
            server.paths[path] = LOADING("openai", {})
    server.paths.pop("/api/chat", None)
    if loading:
        server.paths["/api/chat"] = Response(b'{"done": true}', drip_s=60.0)


async def _counted(place: Place) -> series.Bucket:
    await place.written()
    now = place.engine.clock.now()
    return series.between(place.engine.conn, now - 600, now + 10, "treatment")


@pytest.mark.parametrize("api", APIS)
async def test_a_document_that_gives_up_on_a_loading_model_is_not_a_failure_of_the_service(
    api: Api, tmp_path: Path
) -> None:
    async with FaultServer(api) as server:
        _loading(server, True)
        settings = {"api": api, "breaker_failures": 2, "timeout_s": 0.5, "cache_bytes": 0, "max_concurrency": 2}
        async with running(tmp_path, server, FULL, **settings) as place:  # type: ignore[arg-type]
            answers = await asyncio.gather(*(place.extract(f"d{n}", f"{DOCUMENT}{n}") for n in range(8)))
            await place.engine.pool.probe()
            health = place.engine.pool.servers()[0]
            assert all(answer.fallback and "load" in answer.note for answer in answers)
            assert {row[:2] for row in place.records("error, attempted")} == {("loading", 0)}
            bucket = await _counted(place)
            assert (bucket.attempts, bucket.errors, bucket.fallbacks) == (0, 0, 8)
            assert (health.breaker, health.consecutive_failures, health.failed_probes) == ("closed", 0, 0)
            assert health.state == "loading the model"
            now = place.engine.clock.now()
            groups = {
                level: errors.error_analysis(place.engine.conn, now - 600, now + 10, level)["groups"]  # type: ignore[arg-type]
                for level in ("error", "warning")
            }
            assert {group["kind"] for group in groups["warning"]} == {"loading"}
            assert not groups["error"]

            _loading(server, False)
            for held in place.engine.pool._servers:
                await held.stop()  # Ollama's order to load would return now
            assert (await place.extract("after", DOCUMENT)).method == "llm"
            assert place.engine.pool.servers()[0].state == "up"


@pytest.mark.parametrize("api", APIS)
async def test_a_model_that_loads_for_longer_than_it_may_is_a_failure(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.extraction.llm.server.LOAD_S", 0.8)
    async with FaultServer(api) as server:
        _loading(server, True)
        settings = {"api": api, "breaker_failures": 2, "timeout_s": 0.5, "cache_bytes": 0}
        async with running(tmp_path, server, FULL, **settings) as place:  # type: ignore[arg-type]
            for n in range(6):
                await place.extract(f"d{n}", f"{DOCUMENT}{n}")
            bucket = await _counted(place)
            assert bucket.kinds["not_loaded"] >= 2
            assert place.engine.pool.servers()[0].breaker != "closed"
