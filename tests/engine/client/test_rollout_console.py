"""The client that other services import, against a real engine, a dead one, a slow one, and one that is something else."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from rollout_console import AsyncClient, Client, Document, Extraction, Failure, Rejected, RolloutError, Unavailable
from rollout_console.asynchronous import PAUSE_S

from tests.engine.service.rig import TEXT, EngineRig
from tests.machine import crowd

README = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineRig]:
    with EngineRig(tmp_path_factory.mktemp("client"), speed=None) as made:
        made.engine()
        yield made


@pytest.fixture(params=["tcp", "socket"])
def url(rig: EngineRig, request: pytest.FixtureRequest) -> str:
    return rig.view.engine.address if request.param == "tcp" else f"unix:{rig.folder.socket}"


class Listener:
    """A server that takes connections and answers `reply`, a byte every `drip_s`."""

    def __init__(self, reply: bytes = b"", drip_s: float = 0.0, tls: ssl.SSLContext | None = None) -> None:
        self.tls = tls
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.sock.getsockname()[1]}"
        self.taken: list[socket.socket] = []
        threading.Thread(target=self._serve, args=(reply, drip_s), daemon=True).start()

    def _serve(self, reply: bytes, drip_s: float) -> None:
        while True:
            try:
                connection, _ = self.sock.accept()
            except OSError:
                return
            self.taken.append(connection)
            threading.Thread(target=self._answer, args=(connection, reply, drip_s), daemon=True).start()

    def _answer(self, connection: socket.socket, reply: bytes, drip_s: float) -> None:
        try:
            if self.tls is not None:
                connection = self.tls.wrap_socket(connection, server_side=True)
            connection.recv(65536)
            step = 1 if drip_s else max(1, len(reply))
            for i in range(0, len(reply), step):
                connection.sendall(reply[i : i + step])
                time.sleep(drip_s)
            if reply:
                connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def test_a_document_gets_its_keywords(url: str) -> None:
    with Client(url, timeout_s=10) as client:
        made = client.extract("client/a.md", TEXT, title="A")
    assert isinstance(made, Extraction)
    assert (made.id, made.method, made.fallback) == ("client/a.md", "frequency", False)
    assert made.keywords
    assert set(made.keywords) == {*made.descriptive, *made.technical}


def test_a_batch_keeps_the_order_and_one_bad_document_costs_the_others_nothing(url: str) -> None:
    documents = [Document(f"b/{n}", f"{TEXT} {n}") for n in range(1100)]
    documents[7] = Document("bad\x1b", TEXT)
    with Client(url) as client:
        made = client.batch(documents)
    assert [one.id for one in made] == [one.id for one in documents]
    bad = [one for one in made if isinstance(one, Failure)]
    assert [(one.id, one.status, one.code) for one in bad] == [("bad\x1b", 422, "document")]


class Overloaded:
    """An engine's batch route that refuses the documents of an odd number, in its first `refusals` requests."""

    def __init__(self, refusals: int, retry_after_s: float) -> None:
        self.refusals, self.retry_after_s = refusals, retry_after_s
        self.requests: list[list[str]] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        asked = [document["id"] for document in json.loads(request.content)["documents"]]
        self.requests.append(asked)
        refuses = len(self.requests) <= self.refusals
        return httpx.Response(200, text="\n".join(self._line(i, id, refuses) for i, id in enumerate(asked)))

    def _line(self, index: int, id: str, refuses: bool) -> str:
        if refuses and int(id) % 2:
            why = {"ok": False, "status": 429, "code": "busy", "error": "Busy.", "retry_after_s": self.retry_after_s}
            return json.dumps({"index": index, **why})
        made = {"id": id, "keywords": ["queue"], "descriptive": ["queue"], "technical": [], "method": "llm"}
        return json.dumps({"index": index, **made})

    async def batch(self, timeout_s: float) -> list[Extraction | Failure]:
        async with AsyncClient("http://engine") as client:
            await client._http.aclose()
            client._http = httpx.AsyncClient(transport=httpx.MockTransport(self), base_url="http://engine")
            return await client.batch([Document(str(n), TEXT) for n in range(6)], timeout_s=timeout_s)


def test_documents_of_a_batch_that_are_refused_for_now_are_sent_again() -> None:
    engine = Overloaded(refusals=2, retry_after_s=0.0)
    made = asyncio.run(engine.batch(timeout_s=600.0))
    assert [(type(one), one.id) for one in made] == [(Extraction, str(n)) for n in range(6)]
    assert engine.requests == [[str(n) for n in range(6)], ["1", "3", "5"], ["1", "3", "5"]]


def test_a_retry_after_beyond_the_time_limit_is_not_waited_for() -> None:
    engine = Overloaded(refusals=2, retry_after_s=3600.0)
    made = asyncio.run(engine.batch(timeout_s=600.0))
    refused = [one for one in made if isinstance(one, Failure)]
    assert [(one.id, one.status, one.retry_after_s) for one in refused] == [(n, 429, 3600.0) for n in ("1", "3", "5")]
    assert len(engine.requests) == 1


def test_what_cannot_succeed_is_rejected(url: str) -> None:
    with Client(url, timeout_s=10) as client:
        with pytest.raises(Rejected, match="one line of visible text") as refused:
            client.extract("bad\x1bid", TEXT)
        assert (refused.value.code, refused.value.status) == ("document", 422)
        assert client.extract_or_none("bad\x1bid", TEXT) is None


def test_an_engine_that_is_gone_is_noticed_at_once_and_asked_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("rollout_console.asynchronous.time", SimpleNamespace(monotonic=lambda: now[0]))
    with Client("http://127.0.0.1:9", timeout_s=5) as client:
        codes = []
        for _ in range(5):
            with pytest.raises(Unavailable) as lost:
                client.extract("a", TEXT)
            codes.append(lost.value.code)
        assert codes == ["unreachable"] * 3 + ["paused"] * 2
        now[0] += PAUSE_S
        with pytest.raises(Unavailable, match="cannot be reached"):
            client.extract("a", TEXT)
        made = client.batch([Document("a", TEXT), Document("b", TEXT)])
        assert [(one.id, one.status) for one in made if isinstance(one, Failure)] == [("a", 0), ("b", 0)]


@pytest.mark.parametrize(
    ("reply", "drip_s"),
    [(b"", 0.0), (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 5000, 0.01), (b"HTTP/1.1 200 OK\r\n\r\n" + b" " * 5000, 0.01)],
    ids=["silent", "headers drip", "body drips"],
)
def test_the_time_limit_holds_however_the_engine_hangs(reply: bytes, drip_s: float) -> None:
    listener = Listener(reply, drip_s)
    with Client(listener.url, timeout_s=0.4) as client:
        began = time.monotonic()
        assert client.extract_or_none("a", TEXT) is None
        assert 0.3 < time.monotonic() - began < 1.5 * crowd()
    listener.sock.close()


def test_the_time_limit_holds_though_the_client_s_own_thread_does_not_run() -> None:
    with Client(Listener().url, timeout_s=0.2) as client:
        loop = client._ready().loop
        free = threading.Event()
        loop.call_soon_threadsafe(free.wait)
        try:
            with pytest.raises(Unavailable) as why:
                client.extract("a", TEXT)
            assert why.value.code == "timeout"
            assert client.extract_or_none("a", TEXT) is None
        finally:
            free.set()


@pytest.mark.parametrize(("scheme", "when_made"), [("http", 0), ("https", 1)])
def test_the_trusted_authorities_are_read_before_any_call(
    scheme: str, when_made: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes 0.05 s, 0.3 s where the CPU is short, which no time limit of a call covers."""
    read: list[ssl.SSLContext] = []
    load = ssl.SSLContext.load_default_certs

    def counted(context: ssl.SSLContext, *given: Any) -> None:
        read.append(context)
        load(context, *given)

    monkeypatch.setattr(ssl.SSLContext, "load_default_certs", counted)
    listener = Listener()
    with Client(listener.url.replace("http", scheme), timeout_s=0.1) as client:
        assert len(read) == when_made
        assert client.extract_or_none("a", TEXT) is None
        assert len(read) == when_made
    listener.sock.close()


@pytest.mark.parametrize("body", [b"<html>hello</html>", b'{"ok": true}', b"[]", b"\xff"])
def test_something_else_at_the_address_is_not_taken_for_an_engine(body: bytes) -> None:
    listener = Listener(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    with Client(listener.url, timeout_s=30) as client:
        with pytest.raises(Unavailable, match="not a rollout engine"):
            client.extract("a", TEXT)
        (one,) = client.batch([Document("a", TEXT)])
        assert isinstance(one, Failure)
    listener.sock.close()


def test_behind_tls_an_authority_of_one_s_own_is_trusted_where_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """As behind a proxy with a company's certificate, in the environment or in the code; else no document is sent."""
    pem = Path(__file__).parents[1] / "extraction" / "self_signed.pem"
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    listener = Listener(b"HTTP/1.1 418 T\r\ncontent-length: 2\r\n\r\n{}", tls=server)
    url = listener.url.replace("http:", "https:")

    def met(**given: Any) -> int:
        with Client(url, timeout_s=10 * crowd(), **given) as client, pytest.raises(RolloutError) as why:
            client.extract("a", TEXT)
        return why.value.status

    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    assert met() == 0
    assert met(ssl_context=ssl.create_default_context(cafile=str(pem))) == 418
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    assert met() == 418


def test_a_kept_connection_that_the_engine_closed_costs_nothing(rig: EngineRig) -> None:
    with Client(rig.view.engine.address, timeout_s=20) as client:
        client.extract("kept", TEXT)
        engine = rig.running()
        engine.terminate()
        engine.wait(20)
        assert client.extract_or_none("kept", TEXT) is None
        rig.engine()
    with Client(rig.view.engine.address, timeout_s=20) as client:
        assert client.extract("kept", TEXT).keywords


async def _both(url: str) -> list[Any]:
    async with AsyncClient(url, timeout_s=10) as client:
        return await asyncio.gather(*(client.extract(f"async/{n}", TEXT) for n in range(20)), client.batch([]))


def test_the_asynchronous_client_asks_many_at_once(rig: EngineRig) -> None:
    *made, none = asyncio.run(_both(rig.view.engine.address))
    assert [one.id for one in made] == [f"async/{n}" for n in range(20)]
    assert none == []


def test_a_forked_process_has_connections_of_its_own(rig: EngineRig) -> None:
    script = (
        "import os, sys\nfrom rollout_console import Client\n"
        f"client = Client({rig.view.engine.address!r}, timeout_s=10)\nclient.extract('fork', {TEXT!r})\n"
        "child = os.fork()\nmade = client.extract('fork', 'worker pool scheduler ' * 9)\n"
        "os._exit(0) if child == 0 else sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_the_readme_s_ten_lines_work_with_an_engine_and_without(rig: EngineRig) -> None:
    match = re.search(r"<!-- client -->\n```python\n(.*?)```", README, re.S)
    assert match is not None
    code = match.group(1)
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    here: dict[str, Any] = {}
    exec(code.replace("http://127.0.0.1:8080", rig.view.engine.address).replace("0.5", "10"), here)
    assert "worker pool" in here["keywords_of"]("readme/a.md", TEXT)
    gone: dict[str, Any] = {}
    exec(code.replace("127.0.0.1:8080", "127.0.0.1:9"), gone)
    assert "exponential" in gone["keywords_of"]("readme/a.md", TEXT)


def test_it_is_typed_and_imports_nothing_of_the_engine() -> None:
    import rollout_console

    assert (Path(rollout_console.__file__).parent / "py.typed").exists()
    script = "import sys, rollout_console; print([m for m in sys.modules if m.split('.')[0] in ('engine', 'console', 'textual')])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_closing_ends_what_other_threads_wait_for() -> None:
    silent = Listener()
    client = Client(silent.url, timeout_s=60)
    made: list[Any] = []
    threads = [
        threading.Thread(target=lambda: made.append(client.batch([Document("a", TEXT)]))),
        threading.Thread(target=lambda: made.append(client.extract_or_none("a", TEXT))),
    ]
    for thread in threads:
        thread.start()
    while len(silent.taken) < 2:
        time.sleep(0.01)
    client.close()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    assert [one.code for many in made if many for one in many] == ["closed"]
    assert None in made


def test_a_closed_client_is_unavailable(rig: EngineRig) -> None:
    async def closed() -> list[Any]:
        client = AsyncClient(rig.view.engine.address)
        await client.close()
        return [await client.extract_or_none("a", TEXT), *await client.batch([Document("a", TEXT)])]

    nothing, failure = asyncio.run(closed())
    assert (nothing, failure.code) == (None, "closed")
    with Client(rig.view.engine.address, timeout_s=10) as client:
        client.close()
        assert client.extract("closed/again.md", TEXT).keywords, "the synchronous one opens again"


def test_text_that_json_cannot_carry_is_rejected_and_costs_the_others_nothing(url: str) -> None:
    """Such as the name of a file that is not UTF-8."""
    with Client(url, timeout_s=10) as client:
        assert client.extract_or_none("a\udc80.md", TEXT) is None
        with pytest.raises(Rejected, match="surrogates"):
            client.extract("a", TEXT + "\ud800")
        lines = client.batch([Document("fit/1", TEXT), Document("a\udc80.md", TEXT), Document("fit/2", TEXT)])
        assert [(line.id, isinstance(line, Extraction)) for line in lines] == [
            ("fit/1", True),
            ("a\udc80.md", False),
            ("fit/2", True),
        ]
        assert [line.code for line in client.batch([Document("\udc80", TEXT)]) if isinstance(line, Failure)] == [
            "fields"
        ]


@pytest.mark.parametrize(
    "url",
    ["http://[::1", "http://\x00", "http://127.0.0.1:99999", "", "localhost:8080", "ftp://x", "unix:", "unix:/a\x00b"],
)
@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_an_address_that_no_engine_can_have_is_a_value_error(kind: type[Client] | type[AsyncClient], url: str) -> None:
    with pytest.raises(ValueError, match="is not an engine's address"):
        kind(url)


def test_a_fork_while_another_thread_opens_the_client_does_not_deadlock(rig: EngineRig) -> None:
    client = Client(rig.view.engine.address, timeout_s=20)
    with client._lock:  # as that thread holds it
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                code = 0 if client.extract_or_none("forked/lock.md", TEXT) is not None else 1
            finally:
                os._exit(code)
        assert os.waitpid(pid, 0)[1] == 0
