"""What a connection can do to a call, over real sockets, against servers that answer with the exact bytes given."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import os
import re
import shutil
import socket
import ssl
import subprocess
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from engine.extraction.llm import ErrorKind, LlmFailure, LlmPool
from engine.extraction.llm.http import ANSWER_BYTES
from tests.engine.extraction.fault_rows import DOCUMENT
from tests.engine.extraction.pools import failure, keywords, pool_on
from tests.stub_llm import StubLlm

pytestmark = pytest.mark.anyio

PEM = Path(__file__).with_name("self_signed.pem")
GOOD = json.dumps(
    {
        "choices": [
            {
                "finish_reason": "stop",
                "message": {"content": json.dumps({"descriptive": ["connection pool"], "technical": ["tokio"]})},
            }
        ]
    }
).encode()


class Raw:
    """Answers POSTs with bytes; everything else with an empty JSON object. `asked`: heads of the POSTs."""

    def __init__(self, answer: Callable[[], bytes], host: str, close: bool) -> None:
        self.answer = answer
        self.host = host
        self.close = close
        self.asked: list[str] = []
        self.port = 0
        self.idle: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.idle.add(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = re.search(r"content-length: (\d+)", head, re.I)
                await reader.readexactly(int(length[1]) if length else 0)
                if head.startswith("POST"):
                    self.asked.append(head)
                    writer.write(self.answer())
                    if self.close:
                        break
                else:
                    writer.write(http(b"{}"))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.idle.discard(writer)
            writer.close()


def http(body: bytes, *headers: str, status: int = 200) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"content-length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@asynccontextmanager
async def raw(
    answer: bytes | Callable[[], bytes], host: str = "127.0.0.1", tls: ssl.SSLContext | None = None, close: bool = False
) -> AsyncIterator[Raw]:
    server = Raw(answer if callable(answer) else lambda: answer, host, close)
    listening = await asyncio.start_server(server.serve, host, 0, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for writer in tuple(server.idle):
            writer.close()


@asynccontextmanager
async def pool_of(url: str, key: str | None = None, **settings: Any) -> AsyncIterator[LlmPool]:
    async with pool_on(url, key=key, **{"api": "openai", "model": "llama3.2:3b", "retries": 0, **settings}) as pool:
        yield pool


# idle connections


@pytest.mark.parametrize("how", ["reset", "end"])
async def test_an_idle_connection_closed_as_a_call_goes_out_costs_the_document_nothing(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with StubLlm() as stub, pool_of(stub.url) as pool:
        await keywords(pool)
        stub.close_idle_on_next_call = how  # what a keep-alive timeout does that runs out meanwhile
        monkeypatch.setattr(pool, "_back_off", None)  # a pause would raise
        answer = await pool.extract(DOCUMENT, permit=lambda: True)
        assert answer.keywords.ranked
        (health,) = pool.servers()
        assert health.consecutive_failures == 0
        assert health.last_error == ""


async def test_a_resend_asks_for_permission_again() -> None:
    async with StubLlm() as stub, pool_of(stub.url) as pool:
        await keywords(pool)
        stub.close_idle_on_next_call = "end"
        asked: list[bool] = []
        await pool.extract(DOCUMENT, permit=lambda: asked.append(True) is None)
        assert len(asked) >= 2


async def test_a_new_connection_that_breaks_is_a_failure_of_the_server() -> None:
    async with raw(b"", close=True) as server, pool_of(server.url) as pool:
        failed = await failure(pool)
        assert failed.kind is ErrorKind.transport
        assert failed.attempts == 2  # the first went over a connection that had been used: it may have been stale
        assert pool.servers()[0].consecutive_failures == 1


# servers that report little about themselves


@pytest.mark.parametrize("api", ["ollama", "openai"])
async def test_a_server_that_knows_only_the_path_of_its_api_is_used_all_the_same(api: str) -> None:
    output = json.dumps({"descriptive": ["connection pool"], "technical": ["tokio"]})
    ollama = json.dumps({"message": {"content": output}, "done": True, "prompt_eval_count": 42}).encode()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = re.search(r"content-length: (\d+)", head, re.I)
        await reader.readexactly(int(length[1]) if length else 0)
        known = "/api/chat" in head or "/v1/chat/completions" in head
        body = (GOOD if api == "openai" else ollama) if known else b"not found"
        writer.write(http(body, "connection: close", status=200 if known else 404))
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening, pool_of(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}", api=api) as pool:
        assert await keywords(pool) == ("connection pool", "tokio")
        assert (await pool.check()).ok


# bytes


async def test_a_compressed_answer_that_was_not_asked_for_is_read() -> None:
    for encoding, body in (("gzip", gzip.compress(GOOD)), ("deflate", zlib.compress(GOOD))):
        async with raw(http(body, f"content-encoding: {encoding}")) as server, pool_of(server.url) as pool:
            assert await keywords(pool)
            assert "accept-encoding: identity" in server.asked[0].lower()


async def test_a_gzip_bomb_is_cut_off_by_its_size_in_memory_not_on_the_wire() -> None:
    bomb = gzip.compress(b" " * (64 << 20))
    assert len(bomb) < ANSWER_BYTES
    async with raw(http(bomb, "content-encoding: gzip")) as server, pool_of(server.url) as pool:
        import tracemalloc

        await keywords_or_none(pool)
        tracemalloc.start()
        failed = await failure(pool)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert failed.kind is ErrorKind.invalid
        assert "larger than" in failed.message
        assert most < 16 * ANSWER_BYTES


async def keywords_or_none(pool: LlmPool) -> None:
    with pytest.raises(LlmFailure):
        await keywords(pool)


@pytest.mark.parametrize("encoding", ["gzip", "br"])
async def test_an_encoding_that_cannot_be_read_is_an_invalid_answer(encoding: str) -> None:
    async with raw(http(b"\x00 no such thing", f"content-encoding: {encoding}")) as server, pool_of(server.url) as pool:
        failed = await failure(pool)
        assert failed.kind is ErrorKind.invalid
        assert encoding in failed.message


async def test_a_header_without_end_ends_with_the_deadline() -> None:
    async with raw(b"HTTP/1.1 200 OK\r\nx: ") as server, pool_of(server.url, timeout_s=0.3) as pool:
        assert (await failure(pool)).kind is ErrorKind.timeout


# where it goes


async def test_a_redirect_is_not_followed_with_the_key_and_states_where_it_leads() -> None:
    async with raw(http(GOOD)) as other:
        moved = http(b"", f"location: {other.url}/v1/chat/completions?token=x", status=307)
        async with raw(moved) as server, pool_of(server.url, key="sk-1") as pool:
            failed = await failure(pool)
            assert failed.attempts == 1  # it cannot succeed
            assert f"redirects calls to {other.url} (307)" in failed.message
            assert "token" not in failed.message
        assert other.asked == []


async def test_an_address_with_a_path_keeps_it() -> None:
    async with raw(http(GOOD)) as server, pool_of(f"{server.url}/team-a/llm/v1") as pool:
        assert await keywords(pool)
        assert server.asked[0].startswith("POST /team-a/llm/v1/chat/completions ")


@pytest.mark.skipif(not socket.has_ipv6 or not os.path.exists("/proc/net/if_inet6"), reason="no IPv6 here")
async def test_ipv6_addresses_work_and_no_proxy_is_used_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    async with raw(http(GOOD), host="::1") as server, pool_of(server.url) as pool:
        assert await keywords(pool)


async def test_a_proxy_of_the_environment_is_used_for_other_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    async with raw(http(GOOD)) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        async with pool_of("http://llm.test:11434") as pool:
            assert await keywords(pool)
        assert proxy.asked[0].startswith("POST http://llm.test:11434/v1/chat/completions ")
        monkeypatch.setenv("no_proxy", "llm.test")
        async with pool_of("http://llm.test:11434") as pool:
            assert (await failure(pool)).kind is ErrorKind.transport


async def test_a_server_that_is_not_there_reports_it_in_words() -> None:
    with refusing_port() as port:
        async with pool_of(f"http://127.0.0.1:{port}") as pool:
            failed = await failure(pool)
        assert failed.kind is ErrorKind.transport
        assert (
            failed.message
            == f"http://127.0.0.1:{port}: connection refused; start the server there, or correct [llm] url"
        )


@contextmanager
def refusing_port() -> Iterator[int]:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


# TLS


def tls(certificate: Path = PEM) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, PEM)
    return context


async def test_an_untrusted_certificate_is_reported_once_and_ssl_cert_file_fixes_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with raw(http(GOOD), tls=tls()) as server:
        url = server.url.replace("http:", "https:")
        async with pool_of(url, retries=2) as pool:
            failed = await failure(pool)
            assert failed.attempts <= 1
            assert "certificate is not trusted" in failed.message
            assert "SSL_CERT_FILE" in failed.message
        monkeypatch.setenv("SSL_CERT_FILE", str(PEM))
        async with pool_of(url) as pool:
            assert await keywords(pool)


@pytest.fixture
def expired(tmp_path: Path) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is missing: apt-get install openssl")
    again = tmp_path / "expired.pem"
    signing = ["openssl", "x509", "-in", PEM, "-signkey", PEM, "-days", "-1", "-out", again]
    subprocess.run(signing, check=True, capture_output=True)
    return again


async def test_what_is_wrong_with_a_certificate_decides_what_to_do(
    expired: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for certificate, host, cure in ((expired, "127.0.0.1", "renew it"), (PEM, "127.0.0.2", "[llm] url")):
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        served = raw(http(GOOD), host, tls=tls(certificate))
        async with served as server, pool_of(server.url.replace("http:", "https:")) as pool:
            message = (await failure(pool)).message
            assert cure in message
            assert "SSL_CERT_FILE" not in message


async def test_https_to_a_plain_port_reports_it() -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    listening = await asyncio.start_server(plain, "127.0.0.1", 0)
    async with listening, pool_of(f"https://127.0.0.1:{listening.sockets[0].getsockname()[1]}", retries=2) as pool:
        failed = await failure(pool)
        assert failed.attempts <= 1
        assert "does this port speak https?" in failed.message


# secrets


async def test_a_key_appears_in_no_error_health_line_or_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    key = "sk-live-4242424242"
    echo = json.dumps({"error": {"message": f"Incorrect API key provided: {key}."}}).encode()
    async with raw(http(echo, status=401)) as server:
        async with pool_of(server.url, key=key) as pool:
            await failure(pool)
            assert f"authorization: bearer {key}" in server.asked[0].lower()
        server.asked.clear()
        async with pool_of(server.url.replace("//", "//user:hunter2@"), key=key) as pool:
            failed = await failure(pool)
            shown = "\n".join([failed.message, repr(failed), repr(pool.servers()), repr(await pool.check())])
        assert "authorization: basic dxnlcjpodw50zxiy" in server.asked[0].lower()
    assert failed.attempts == 1
    assert "api_key_env" in failed.message
    for secret in (key, "hunter2"):
        assert secret not in shown
        assert secret not in "\n".join(record.getMessage() for record in caplog.records if record.name != "asyncio")
