"""No key of the LLM service is shown, logged or stored, whatever the service, the network or a library makes of it."""

from __future__ import annotations

import base64
import contextlib
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from engine.clock import SystemClock
from engine.extraction.llm import LlmPool
from engine.extraction.llm.failure import LlmFailure
from engine.extraction.llm.redact import Redactor
from engine.plan.environment import EnvironmentProblem, secret
from engine.plan.model import Llm
from tests.engine.service.rig import TEXT, EngineRig

MARKER = 'sk-MARKER/"4711"+never\\shown'
PASSWORD = "PASSWORD-never-shown"
FORMS = (
    MARKER,
    MARKER.replace("\\", "\\\\"),
    MARKER.replace("\\", "\\\\").replace('"', '\\"'),
    quote(MARKER, safe=""),
    base64.b64encode(MARKER.encode()).decode().rstrip("="),
    PASSWORD,
    base64.b64encode(f"user:{PASSWORD}".encode()).decode(),
    "MARKER",  # and no part of it
)
# what a server answers, {key} being what it was sent
ANSWERS = (
    "HTTP/1.1 401 Unauthorized\r\nContent-Length: {n}\r\n\r\n{body}",
    "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: {n}\r\n\r\n{body}",
    "HTTP/1.1 500 {key}\r\nContent-Length: {n}\r\n\r\n{body}",
    "HTTP/1.1 503 Busy\r\nRetry-After: {key}\r\nContent-Length: {n}\r\n\r\n{body}",
    "HTTP/1.1 200 OK\r\nContent-Length: {n}\r\n\r\n{body}",
    "HTTP/1.1 302 Found\r\nLocation: http://{key}/\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 302 Found\r\nLocation: http://[{key}\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Encoding: {key}\r\nContent-Length: {n}\r\n\r\n{body}",
    "{key}\r\n\r\n",
    "HTTP/1.1 200 OK\r\n{key}\r\n\r\n",
    "",
)
BODIES = (
    '{{"error": {{"message": "Incorrect API key provided: {json}"}}}}',
    "the header Authorization: Bearer {key} is refused",
    '{{"error": "{json}"}}',
    "{key}" * 20,
)


class Echo(socketserver.ThreadingTCPServer):
    """A service that repeats the key it gets, in another way with each request."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.served = 0
        self.keys: set[str] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(socketserver.StreamRequestHandler):
    server: Echo

    def handle(self) -> None:
        key, length = "", 0
        while (line := self.rfile.readline().decode("latin-1")).strip():
            name, _, value = line.partition(":")
            if name.lower() == "authorization":
                key = value.strip().partition(" ")[2]
            if name.lower() == "content-length":
                length = int(value)
        self.rfile.read(length)
        number, self.server.served = self.server.served, self.server.served + 1
        self.server.keys.add(key)
        body = BODIES[number // len(ANSWERS) % len(BODIES)].format(
            key=key, json=key.replace("\\", "\\\\").replace('"', '\\"')
        )
        self.wfile.write(ANSWERS[number % len(ANSWERS)].format(key=key, body=body, n=len(body)).encode("latin-1"))


@contextlib.contextmanager
def echo() -> Iterator[Echo]:
    with Echo() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def leaks(text: str) -> list[str]:
    return [form for form in FORMS if form in text]


def test_a_key_that_every_failure_repeats_is_in_no_output_no_file_and_no_write_ahead_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUR_KEY", MARKER + "\r\n")  # as an EnvironmentFile with Windows' line ends gives it
    with echo() as server:
        settings = {
            "llm.url": server.url,
            "llm.api": "openai",
            "llm.api_key_env": "OUR_KEY",
            "llm.breaker_failures": 100,
        }
        with EngineRig(tmp_path, speed=None, settings=settings) as rig:
            rig.engine()
            rig.climb(5)
            outputs: list[str] = []
            for number in range(len(ANSWERS) * len(BODIES)):
                outputs.append(str(rig.extract(f"document-{number}")))
            assert MARKER in server.keys  # it was sent, whole and stripped
            for words in (["status"], ["status", "--json"], ["check"], ["check", "--json"], ["log", "show"]):
                outputs.append("".join(rig.cli(*words).stdout.split("\x00")))
            result = rig.cli("logs", "analyze", "--level", "error", "--filter", "keyword_extraction")
            outputs += [result.stdout, result.stderr, str(rig.client.request("GET", "/v1/status"))]
            outputs.append(str(rig.client.request("GET", "/metrics")))
            assert "(secret)" in "".join(outputs)  # there was something to hide
            for path in tmp_path.rglob("*"):
                if path.is_file():
                    outputs.append(path.read_bytes().decode("latin-1"))
    assert [leak for output in outputs for leak in leaks(output)] == []


@pytest.mark.anyio
@pytest.mark.parametrize("key", ["sk-MARKER with space", "sk-MARKER\nsecond-line", MARKER + "\r\n", MARKER])
async def test_what_the_client_itself_cannot_send_passes_the_same_redaction(key: str) -> None:
    with echo() as server:
        address = server.url.replace("//", f"//user:{PASSWORD}@")
        for url, given in ((server.url, key), (address, None)):
            pool = LlmPool(Llm(urls=(url,), model="m", api="openai", retries=0), SystemClock(), api_key=given)
            await pool.start()
            for _ in range(len(ANSWERS) * len(BODIES)):
                with pytest.raises(LlmFailure) as caught:
                    await pool.extract(TEXT, permit=lambda: True)
                assert not leaks(str(caught.value))
                assert not leaks(repr(pool.servers()))
                pool._servers[0].breaker.succeeded()
            report = await pool.check()
            assert not leaks(repr(report))
            await pool.close()


@pytest.mark.parametrize(
    ("value", "why"),
    [("sk-schlüssel-1", "character 8 of 14 is not ASCII"), ("sk-one two", "is white space"), ("sk-a\nb", "is a line break"), ("sk-\x07", "control")],
)  # fmt: skip
def test_a_key_that_no_header_can_carry_is_refused_at_the_start_without_being_shown(
    value: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(EnvironmentProblem) as caught:
        secret({"OUR_KEY": value}, "OUR_KEY")
    assert why in str(caught.value)
    assert value not in str(caught.value)


def test_a_refused_key_stops_the_engine_and_the_check_with_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUR_KEY", "sk-schlüssel-1")
    with EngineRig(tmp_path, speed=None, settings={"llm.api_key_env": "OUR_KEY"}) as rig:
        served = rig.cli("serve")
        assert served.returncode == 1
        assert served.stderr.count("OUR_KEY cannot be sent in an HTTP header: its character 8 of 14 is not ASCII.") == 1
        assert "Traceback" not in served.stderr
        checked = rig.cli("check", "--offline")
        assert checked.returncode == 1
        assert "FAIL key: OUR_KEY cannot be sent" in checked.stdout


def test_white_space_around_a_key_is_not_part_of_it() -> None:
    assert secret({"K": " sk-1234567\r\n"}, "K") == "sk-1234567"
    assert secret({}, "K") == secret({"K": "\n"}, "K") == secret({"K": "x"}, "") == ""


def test_a_dummy_key_that_is_a_common_word_hides_nothing() -> None:
    assert Redactor(["none"]).text("none of them") == "none of them"
