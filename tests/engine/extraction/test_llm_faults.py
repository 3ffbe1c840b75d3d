"""One row per fault that users of Ollama, llama.cpp, vLLM, LiteLLM, LM Studio, TGI and gateways report: what is stored, what is counted,
what is shown. Through a real engine, over real sockets, by both APIs."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from engine.metrics import errors
from engine.store import series
from tests.engine.extraction import gateway_rows
from tests.engine.extraction.gateway_rows import ALL, GOOD, D, Holds, Lacks, T, lines
from tests.engine.routing.place import FULL, Place, running
from tests.fault_server import Api, FaultServer, Response, Say, body, content, refusal, reply

pytestmark = pytest.mark.anyio
APIS: tuple[Api, ...] = ("ollama", "openai")

DOCUMENT = """# Connection pooling in the gateway

The gateway keeps a connection pool per upstream server. Idle connections are closed after `keepalive_timeout` seconds, and at most
`max_connections` are open at a time; both are read from gateway.yaml. Requests that fail are retried with exponential backoff and jitter.
A circuit breaker stops traffic to an upstream that keeps failing. Latency and error rate are exported to Prometheus over HTTP/2 by tokio.
"""
WANTED = {keyword.casefold() for keyword in ALL}


def stream(api: Api, text: str, events: bool) -> bytes:
    half = len(text) // 2
    parts: list[Any] = []
    for piece in (text[:half], text[half:]):
        if api == "ollama":
            parts.append({"message": {"content": piece}, "done": False})
        else:
            parts.append({"choices": [{"delta": {"content": piece}, "finish_reason": None}]})
    parts.append(
        {"message": {"content": ""}, "done": True, "done_reason": "stop"}
        if api == "ollama"
        else {"choices": [{"delta": {}, "finish_reason": "stop"}]}
    )
    lead, end = ("data: ", "\n\n") if events else ("", "\n")
    return (
        "".join(f"{lead}{json.dumps(part)}{end}" for part in parts) + ("data: [DONE]\n\n" if events else "")
    ).encode()


def tool(api: Api, asked: dict[str, Any]) -> Response:
    arguments: Any = json.loads(GOOD) if api == "ollama" else GOOD
    calls = [{"type": "function", "function": {"name": "keywords", "arguments": arguments}}]
    return Response(json.dumps(reply(api, None, "tool_calls", tool_calls=calls)).encode())


def with_thought(where: str, text: str = GOOD) -> Say:
    return lambda api, asked: content("", **{"thinking" if api == "ollama" else where: text})(api, asked)


def bytes_of(change: Callable[[bytes], bytes], text: str = GOOD) -> Say:
    return lambda api, asked: Response(change(json.dumps(reply(api, text)).encode()))


def text_choice(api: Api, asked: dict[str, Any]) -> Response:
    whole = (
        {"response": GOOD, "done": True} if api == "ollama" else {"choices": [{"text": GOOD, "finish_reason": "stop"}]}
    )
    return Response(json.dumps(whole).encode())


HOLDS = [
    Holds("as asked", content(GOOD)),
    Holds("in a fence", content(f"```json\n{GOOD}\n```")),
    Holds("between words with brackets", content(f"Sure, the {{keywords}} [12]:\n{GOOD}\nAnything else?")),
    Holds("after a draft within <think>", content('<think>maybe {"descriptive": ["wrong turn"]}? No.</think>' + GOOD)),
    Holds("after the end of thinking alone", content('I could say {"descriptive": ["wrong turn"]}\n</think>\n' + GOOD)),
    Holds("after a channel of gpt-oss", content(f"<|channel|>analysis<|message|>Let me see<|end|><|start|>assistant<|channel|>final<|message|>{GOOD}")),
    Holds("with the template's end", content(GOOD + "<|im_end|>")),
    Holds("content as parts", content([{"type": "text", "text": GOOD[:40]}, {"type": "text", "text": GOOD[40:]}])),
    Holds("content as thinking and text parts", content([{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": GOOD}])),
    Holds("content as an object", content(json.loads(GOOD))),
    Holds("in tool_calls", tool),
    Holds("in choices[].text", text_choice),
    Holds("in reasoning_content", with_thought("reasoning_content")),
    Holds("in reasoning, behind thoughts", with_thought("reasoning", "First I read it. So the answer is:\n" + GOOD)),
    Holds("objects with a name", content(json.dumps([{"keyword": k} for k in ALL]))),
    Holds("objects with a type", content(json.dumps({"keywords": [{"term": k, "type": "technical" if k in T else "topic"} for k in ALL]}))),
    Holds("a list of lists' objects", content(json.dumps([{"descriptive": D}, {"technical": T}]))),
    Holds("capitalised names", content(json.dumps({"Descriptive": D, "Technical": T}))),
    Holds("names of its own", content(json.dumps({"keyPhrases": D, "tech_stack": T}))),
    Holds("in another language's names", content(json.dumps({"Stichwörter": ALL}, ensure_ascii=False))),
    Holds("comma strings", content(json.dumps({"descriptive": ", ".join(D), "technical": ", ".join(T)}))),
    Holds("all in one item", content(json.dumps({"descriptive": [", ".join(D)], "technical": [", ".join(T)]}))),
    Holds("commas alone", content(", ".join(ALL))),
    Holds("commas after a label", content(f"Descriptive: {', '.join(D)}\nTechnical: {', '.join(T)}")),
    Holds("commas after a sentence's label", content(f"Here are the keywords: {', '.join(ALL)}.")),
    Holds("bullets", content(lines(lambda n, k: f"- {k}"))),
    Holds("bullets with markup", content("Here you go:\n\n" + lines(lambda n, k: f"* **{k}**") + "\n\nLet me know!")),
    Holds("bullets with explanations", content(lines(lambda n, k: f"- `{k}`: it matters in the text"))),
    Holds("numbers", content(lines(lambda n, k: f"{n}. {k}"))),
    Holds("numbers with dashes behind", content(lines(lambda n, k: f"{n}) {k} - exported by the gateway"))),
    Holds("headings and bullets", content("## Descriptive\n" + "\n".join(f"- {k}" for k in D) + "\n\n## Technical\n" + "\n".join(f"- {k}" for k in T))),
    Holds("YAML", content("descriptive:\n" + "\n".join(f"  - {k}" for k in D) + "\ntechnical:\n" + "\n".join(f"  - {k}" for k in T))),
    Holds("a table", content("| keyword | kind |\n|---|---|\n" + lines(lambda n, k: f"| {k} | technical |")), lost=2),
    Holds("tags", content(lines(lambda n, k: f"<keyword>{k}</keyword>"))),
    Holds("one a line", content(lines(lambda n, k: k))),
    Holds("JSON with bullets inside", content(json.dumps({"descriptive": [f"- {k}" for k in D], "technical": [f"{n}. {k}" for n, k in enumerate(T, 1)]}))),
    Holds("JSON with markup inside", content(json.dumps({"descriptive": [f"**{k}**" for k in D], "technical": [f"`{k}`" for k in T]}))),
    Holds("JSON with explanations inside", content(json.dumps({"descriptive": [f"{k} - from the text" for k in D], "technical": [f"{k} (a name)" for k in T]}))),
    Holds("JSON with hash signs inside", content(json.dumps({"descriptive": [f"#{k}" for k in D], "technical": T}))),
    Holds("JSON with scores inside", content(json.dumps({"descriptive": [f"{k} (0.95)" for k in D], "technical": T}))),
    Holds("keywords with scores", content(json.dumps({"descriptive": dict.fromkeys(D, 0.9), "technical": dict.fromkeys(T, 0.8)}))),
    Holds("keywords by number", content(json.dumps({"descriptive": {str(n): k for n, k in enumerate(D)}, "technical": {str(n): k for n, k in enumerate(T)}}))),
    Holds("keywords with explanations", content(json.dumps({"descriptive": dict.fromkeys(D, "why"), "technical": dict.fromkeys(T, "why")}))),
    Holds("upper case", content(json.dumps({"descriptive": [k.upper() for k in D], "technical": [k.upper() for k in T]}))),
    Holds("Python's quotes", content(str({"descriptive": D, "technical": T}))),
    Holds("Python's list", content(str(ALL))),
    Holds("a trailing comma", content(GOOD.replace("]", ",]"))),
    Holds("a missing comma", content(GOOD.replace('", "', '" "', 1))),
    Holds("comments", content(GOOD.replace("], ", "], // the technical ones\n"))),
    Holds("typographic quotes", content(GOOD.replace('"', "”"))),
    Holds("no quotes at all", content(GOOD.replace('"', ""))),
    Holds("without the last brace", content(GOOD[:-1])),
    Holds("NaN and null inside", content(GOOD.replace("[", "[NaN, null, true, 3.5, "))),
    Holds("nested objects", content(json.dumps({"result": {"data": {"keywords": {"descriptive": D, "technical": T}}}}))),
    Holds("nested lists", content(json.dumps({"descriptive": [D], "technical": [T]}))),
    Holds("grouped lists", content(json.dumps({"descriptive": {"core": D[:3], "other": D[3:]}, "technical": T}))),
    Holds("two objects, one a list", content(json.dumps({"descriptive": D}) + "\n" + json.dumps({"technical": T}))),
    Holds("one object a line", content(lines(lambda n, k: json.dumps({"keyword": k})))),
    Holds("a draft, then the answer", content('{"descriptive": ["wrong turn"], "technical": []}\nBetter:\n' + GOOD)),
    Holds("double encoded", content(json.dumps(GOOD))),
    Holds("lists double encoded", content(json.dumps({"descriptive": json.dumps(D), "technical": json.dumps(T)}))),
    Holds("escaped for HTML", content(GOOD.replace('"', "&quot;"))),
    Holds("the schema filled in", content(json.dumps({"type": "object", "properties": {"descriptive": D, "technical": T}}))),
    Holds("assignments", content(f"descriptive = {json.dumps(D)}\ntechnical = {json.dumps(T)}")),
    Holds("a mark of byte order in the text", content("\ufeff" + GOOD)),
    Holds("a lone surrogate", content(GOOD[:-1] + ', "note": "\ud83d"}')),
    Holds("a lone surrogate in an item", content(json.dumps({"descriptive": [k + "\ud83d" for k in D], "technical": T}))),
    Holds("a mark of byte order in the body", bytes_of(lambda raw: b"\xef\xbb\xbf" + raw)),
    Holds("one byte that is not UTF-8", bytes_of(lambda raw: raw.replace(b"assistant", b"assist\xe9nt"))),
    Holds("NaN in the body", bytes_of(lambda raw: raw[:-1] + b', "logprob": NaN}')),
    Holds("a body in a JSON string", bytes_of(lambda raw: json.dumps(raw.decode()).encode())),
    Holds("a body in UTF-16", bytes_of(lambda raw: raw.decode().encode("utf-16"))),
    Holds("a body in a list", bytes_of(lambda raw: b"[" + raw + b"]")),
    Holds("a body within data", bytes_of(lambda raw: b'{"code": 0, "data": ' + raw + b"}")),
    Holds("server-sent events", lambda api, asked: Response(stream(api, GOOD, events=True))),
    Holds("a stream of lines", lambda api, asked: Response(stream(api, GOOD, events=False))),
    Holds("the keywords as the body", body({"descriptive": D, "technical": T})),
    Holds("an error that is null", bytes_of(lambda raw: raw[:-1] + b', "error": null}')),
    Holds("length, with closed JSON", content(GOOD, "length")),
    *[Holds(f"finish_reason {reason!r}", content(GOOD, reason)) for reason in ("eos_token", "STOP", "end_turn", "", None, "stop_sequence", "eos", 2)],
]  # fmt: skip


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


async def _played(place: Place, server: FaultServer, rows: Sequence[Holds | Lacks]) -> list[dict[str, Any]]:
    """What became of a document per row, each with a call of its own."""
    played: list[dict[str, Any]] = []
    for number, row in enumerate(rows):
        server.say = row.say
        server.calls.clear()
        for held in place.engine.pool._servers:
            held.breaker.succeeded()  # a quota takes a server out
        answer = await place.extract(f"row-{number}", DOCUMENT + f"\nNumber {number}.\n")
        played.append({"row": row, "answer": answer, "calls": len(server.calls)})
    await place.written()
    for number, one in enumerate(played):
        error, message = place.records("error, message", f"document_id = 'row-{number}'")[-1]
        one |= {"error": error, "message": message or "", "llm": place.stored(f"row-{number}").llm or ()}
    return played


@pytest.mark.parametrize("api", APIS)
async def test_every_answer_that_holds_the_keywords_is_kept_with_one_call(api: Api, tmp_path: Path) -> None:
    lost: list[str] = []
    async with (
        FaultServer(api) as server,
        running(tmp_path, server, FULL, api=api, breaker_failures=1000, cache_bytes=0, min_total=0) as place,
    ):  # type: ignore[arg-type]
        rows = [*HOLDS, *gateway_rows.of(api, gateway_rows.IN_TEXT), *gateway_rows.IN_BODY, *gateway_rows.ON_THE_WIRE]
        for one in await _played(place, server, rows):
            kept = {keyword.casefold() for keyword in one["llm"]}
            missing, extra = WANTED - kept, kept - WANTED
            if len(missing) > one["row"].lost or extra or one["calls"] != 1 or one["error"]:
                calls, error, message = one["calls"], one["error"], one["message"]
                lost.append(f"{one['row'].name}: {calls} calls, {error}, {message}, without {missing}, with {extra}")
    assert not lost, "\n".join(lost)


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
        for one in await _played(place, server, rows):
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
