"""The simulated LLM service speaks as the real ones do, answers from the text, and holds no more calls than it has slots for."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import islice

import httpx
import pytest

from engine.extraction.grounding import Ground, ground
from engine.rehearsal import corpus
from tests.engine.rehearsal.process import COMMAND, MODEL, Process, content
from tests.machine import crowd, patience

TEXTS = [document.text for document in islice(corpus.documents(), 60) if 200 < len(document.text) < 8000]


@pytest.fixture(scope="module")
def server() -> Iterator[Process]:
    with Process() as process:
        yield process


@pytest.fixture(autouse=True)
def _healthy(server: Process) -> Iterator[None]:
    yield
    server.faults(
        error_rate=0, invalid_rate=0, empty_rate=0, slow=1, hang=0, down=0, busy=0, not_found=0, drip=0, hallucinate=0.02
    )  # fmt: skip


def test_keywords_are_json_in_the_schema_and_occur_in_the_text(server: Process) -> None:
    server.faults(hallucinate=0)
    kept = dropped = 0
    for text, reply in zip(TEXTS, server.ask_all(TEXTS), strict=True):
        answer = json.loads(content(reply))
        assert set(answer) == {"descriptive", "technical"}
        assert len(answer["descriptive"]) <= 8
        assert len(answer["technical"]) <= 10
        grounded = ground(answer["descriptive"] + answer["technical"], Ground(text))
        assert grounded.kept, text[:200]
        kept += len(grounded.kept)
        dropped += grounded.dropped + grounded.unfit
    assert dropped <= 0.05 * kept


def test_hallucinated_keywords_do_not_occur_in_the_text(server: Process) -> None:
    server.faults(hallucinate=1)
    for text in TEXTS[:10]:
        answer = json.loads(content(server.ask(text)))
        assert ground(answer["descriptive"] + answer["technical"], Ground(text)).kept == ()


def test_a_schema_of_another_shape_is_answered_in_that_shape(server: Process) -> None:
    schema = {"type": "object", "properties": {"tags": {"type": "array", "maxItems": 3, "items": {"type": "string"}}}}
    answer = json.loads(content(server.ask(TEXTS[0], format=schema)))
    assert list(answer) == ["tags"]
    assert 1 <= len(answer["tags"]) <= 3


def test_counts_and_durations_are_those_of_the_call(server: Process) -> None:
    reply = server.ask(TEXTS[0]).json()
    assert reply["done_reason"] == "stop"
    assert reply["prompt_eval_count"] >= len(TEXTS[0].split())
    assert reply["eval_count"] == len(reply["message"]["content"]) // 4
    parts = reply["load_duration"] + reply["prompt_eval_duration"] + reply["eval_duration"]
    assert parts <= reply["total_duration"] < parts + 10_000_000


def test_the_openai_path_agrees_in_its_own_form(server: Process) -> None:
    body = server.body(TEXTS[0])
    schema = body.pop("format")
    body["response_format"] = {"type": "json_schema", "json_schema": {"name": "keywords", "schema": schema}}
    reply = server.client.post(f"{server.url}/v1/chat/completions", json=body).json()
    assert reply["choices"][0]["message"]["content"] == content(server.ask(TEXTS[0]))
    assert reply["choices"][0]["finish_reason"] == "stop"
    assert reply["usage"]["prompt_tokens"] > 0


def test_an_empty_prompt_loads_the_model_and_keep_alive_0_unloads_it(server: Process) -> None:
    def loaded() -> list[int]:
        return [m["context_length"] for m in server.client.get(f"{server.url}/api/ps").json()["models"]]

    ask = {"model": MODEL, "messages": [], "stream": False, "options": {"num_ctx": 2048}}
    assert server.client.post(f"{server.url}/api/chat", json=ask).json()["done_reason"] == "load"
    assert loaded() == [2048]
    unloaded = server.client.post(f"{server.url}/api/chat", json={**ask, "keep_alive": 0})
    assert unloaded.json()["done_reason"] == "unload"
    assert loaded() == []


def test_what_it_reports_about_itself(server: Process) -> None:
    get = server.client.get
    assert get(server.url).text == "Ollama is running"
    assert get(f"{server.url}/api/version").json()["version"]
    assert [m["name"] for m in get(f"{server.url}/api/tags").json()["models"]] == [MODEL]
    shown = server.client.post(f"{server.url}/api/show", json={"model": MODEL}).json()
    assert "completion" in shown["capabilities"]
    assert server.client.post(f"{server.url}/api/show", json={"model": "other"}).status_code == 404


@pytest.mark.parametrize("path", ["/api/chat", "/v1/chat/completions"])
def test_what_it_cannot_read_is_refused_with_a_sentence(server: Process, path: str) -> None:
    for body in (b"{", b"[]", b"\xff"):
        reply = server.client.post(server.url + path, content=body)
        assert reply.status_code == 400
        assert "error" in reply.json()
    reply = server.client.post(server.url + path, json={"model": "other", "messages": [], "prompt": "x"})
    assert reply.status_code == 404
    assert "not found" in reply.text


def test_a_prompt_that_does_not_fit_is_refused_or_silently_cut(server: Process) -> None:
    long = " ".join(TEXTS)[:30_000]
    assert "context length" in server.ask(long, truncate=False, options={"num_ctx": 1024}).json()["error"]
    assert server.ask(long, options={"num_ctx": 1024}).json()["prompt_eval_count"] == 512


def test_no_more_calls_at_once_than_slots_and_busy_beyond_the_queue() -> None:
    with Process("--slots=2", "--queue=3", f"--latency-ms={400 * crowd():.0f}") as server:
        replies = server.ask_all(TEXTS[:12], at_once=12)
        codes = [reply.status_code for reply in replies]
        counters = server.counters()
    assert counters["most_at_once"] == 2
    assert codes.count(200) == 5
    assert codes.count(503) == 7 == counters["turned_away"]
    refusal = next(reply for reply in replies if reply.status_code == 503)
    assert refusal.json() == {"error": "server busy, please try again.  maximum pending requests exceeded"}


def test_a_client_that_leaves_gives_its_slot_back() -> None:
    with Process("--slots=1") as server:
        server.faults(hang=1)
        for _ in range(2):
            with pytest.raises(httpx.ReadTimeout):
                httpx.post(f"{server.url}/api/chat", json=server.body(TEXTS[0]), timeout=0.2 * crowd())
        server.faults(hang=0)
        assert server.ask(TEXTS[0]).status_code == 200
        assert server.counters()["gone"] == 2


def test_the_same_seed_gives_the_same_answers_and_latencies() -> None:
    def run(*options: str) -> list[tuple[str, int]]:
        with Process(*options) as server:
            replies = [server.ask(text).json() for text in TEXTS[:5]]
        return [(r["message"]["content"], r["eval_duration"]) for r in replies]

    first = run("--seed=3")
    assert run("--seed=3") == first
    assert [output for output, _ in run("--seed=3", "--number=2")] == [output for output, _ in first]
    assert [took for _, took in run("--seed=3", "--number=2")] != [took for _, took in first]


# how it ends


def test_sigterm_ends_it_in_the_middle_of_calls() -> None:
    with Process("--latency-ms=60000") as server:
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{server.url}/api/chat", json=server.body(TEXTS[0]), timeout=0.2 * crowd())
        server.popen.send_signal(signal.SIGTERM)
        assert server.popen.wait(timeout=5 * crowd()) == 0


def test_it_ends_when_its_standard_input_closes() -> None:
    with Process() as server:
        assert server.popen.stdin is not None
        server.popen.stdin.close()
        assert server.popen.wait(timeout=5 * crowd()) == 0
        server.popen.stdin = None


def test_it_ends_when_its_parent_is_killed_even_without_a_pipe() -> None:
    program = f"import subprocess, sys, time\nsubprocess.Popen({COMMAND!r}, stdin=subprocess.DEVNULL)\ntime.sleep(60)\n"
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    port = json.loads(parent.stdout.readline())["port"]
    socket.create_connection(("127.0.0.1", port), 2).close()
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    for _ in patience(5.0):
        try:
            socket.create_connection(("127.0.0.1", port), 2).close()
        except ConnectionRefusedError:
            return
        time.sleep(0.05)
    pytest.fail("the server outlived its parent by 5 s")


def test_a_taken_port_is_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = subprocess.run([*COMMAND, f"--port={port}"], capture_output=True, timeout=20, check=False)
    assert ended.returncode == 1
    assert json.loads(ended.stdout)["error"] == f"127.0.0.1:{port} cannot be bound: Address already in use"
    assert ended.stderr == b""
