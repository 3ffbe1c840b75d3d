"""No rollback fits between the permission of a request and the request."""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from itertools import chain, pairwise, repeat
from pathlib import Path
from types import FrameType

import pytest

from engine.extraction.llm.failure import NotPermitted
from engine.extraction.llm.http import Http
from engine.extraction.llm.permit import RequestGuard

pytestmark = pytest.mark.anyio

PEM = Path(__file__).with_name("self_signed.pem")


async def test_a_permission_that_ends_while_the_request_is_about_to_start_stops_it() -> None:
    allowed, sent = True, []
    guard = RequestGuard(lambda: allowed)

    async def request() -> str:
        sent.append("request")
        return "answer"

    sending = asyncio.ensure_future(guard.send(request))
    while not guard.open:  # noqa: ASYNC110
        await asyncio.sleep(0)
    allowed = False
    with pytest.raises(NotPermitted):
        await sending
    assert (sent, guard.sent, guard.open) == ([], 0, 0)
    allowed = True
    assert await guard.send(request) == "answer"
    assert (sent, guard.sent) == (["request"], 1)


class Receiver:
    """Answers HTTP requests with a body of two bytes and keeps what it received, a connection an entry."""

    def __init__(self) -> None:
        self.received: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = b""
        while part := await reader.read(1000):
            data += part
            if data.endswith(b"the body"):
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
        self.received.append(data)
        writer.close()


@pytest.mark.parametrize("checks", [1, 2], ids=["while it connected", "after its head was written"])
async def test_a_permission_that_ends_before_the_last_write_stops_a_request(checks: int) -> None:
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/api/chat"
    answers: Iterator[bool] = chain([True] * checks, [False], repeat(True))
    http = Http(time.monotonic, gate=RequestGuard(lambda: next(answers)))
    with pytest.raises(NotPermitted):
        await http.generate(url, b"the body")
    while not receiver.received:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    assert receiver.received[0].startswith(b"POST") == (checks > 1)
    assert b"the body" not in receiver.received[0]
    assert (await http.generate(url, b"the body")).status == 200
    await http.close()
    server.close()


class Slow:
    """A server in a thread of its own. It answers a call whose body does not contain "held", and keeps any other
    open. Notes each connection, each held call and each end of a connection."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}/api/chat"
        self.connections = 0
        self.holds, self.left = threading.Event(), threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            while part := connection.recv(10_000):
                if part.endswith(b"held"):
                    self.holds.set()
                elif part.endswith(b"body"):
                    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
            self.left.set()

    def close(self) -> None:
        self._listening.close()


@pytest.mark.parametrize("reused", [False, True], ids=["new connection", "reused connection"])
async def test_another_thread_ends_a_call_while_the_loop_is_busy(reused: bool) -> None:
    server, guard = Slow(), RequestGuard(lambda: True)
    http = Http(time.monotonic, gate=guard)
    if reused:
        await http.generate(server.url, b"body")
    calling = asyncio.ensure_future(http.generate(server.url, b"held"))
    assert await asyncio.to_thread(server.holds.wait, 30)
    # from here to the wait below the loop runs nothing else, as while it reads documents
    asyncio.get_running_loop().call_soon(guard.cut)
    threading.Thread(target=http.shut).start()
    assert server.left.wait(30), "the server sees the end while the loop is busy"
    assert guard.open == 1, "and until the loop has closed the call, it counts as open"
    with pytest.raises(NotPermitted):  # no fault of the service
        await calling
    assert guard.open == 0
    assert server.connections == 1
    await http.generate(server.url, b"body")
    await http.close()
    server.close()


async def test_ending_the_calls_leaves_idle_connections_and_other_requests_alone() -> None:
    server = Slow()
    http = Http(time.monotonic)
    await http.generate(server.url, b"body")
    http.shut()
    await http.generate(server.url, b"body")
    assert server.connections == 1
    asked = asyncio.ensure_future(http.send("POST", server.url, b"held"))  # about the server, without a model
    assert await asyncio.to_thread(server.holds.wait, 30)
    http.shut()
    await http.generate(server.url, b"body")
    assert not server.left.is_set()
    assert not asked.done()
    asked.cancel()
    await http.close()
    server.close()


async def test_nothing_of_a_call_leaves_after_its_end_though_it_was_checked_before() -> None:
    """The rollback's thread comes between the last check and the write."""
    server, checks = Slow(), 0

    def allowed() -> bool:
        nonlocal checks
        checks += 1
        if checks == 3:  # at the start, before the head, before the body
            asyncio.get_running_loop().call_soon(guard.cut)
            thread = threading.Thread(target=http.shut)
            thread.start()
            thread.join()
        return True

    guard = RequestGuard(allowed)
    http = Http(time.monotonic, gate=guard)
    with pytest.raises(NotPermitted):
        await http.generate(server.url, b"held")
    assert await asyncio.to_thread(server.left.wait, 30)
    assert not server.holds.is_set()
    await http.close()
    server.close()


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_nothing_runs_between_the_permission_and_the_kernel(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process may be stopped anywhere for longer than its lease, and goes on right there when it wakes."""
    monkeypatch.setenv("SSL_CERT_FILE", str(PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PEM)
    receiver, steps = Receiver(), ["the start"]
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0, ssl=context if scheme == "https" else None)
    url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}/api/chat"

    def allowed() -> bool:
        return True

    def step(frame: FrameType, event: str, called: object) -> None:
        if event == "return" and frame.f_code is allowed.__code__:
            steps.append("permitted")
        elif event == "c_call" and getattr(called, "__name__", "") == "send":
            sock = getattr(called, "__self__", None)
            if isinstance(sock, socket.socket) and sock.getpeername() == server.sockets[0].getsockname():
                steps.append("sent")
        elif event in ("call", "c_call"):
            steps.append(getattr(called, "__name__", frame.f_code.co_name))

    http = Http(time.monotonic, gate=RequestGuard(allowed))
    sys.setprofile(step)
    try:
        assert (await http.generate(url, b"the body")).status == 200
    finally:
        sys.setprofile(None)
    assert [before for before, now in pairwise(steps) if now == "sent"] == ["permitted"] * steps.count("sent")
    assert steps.count("sent") >= 2, "the head and the body"
    await http.close()
    server.close()


async def test_a_permission_that_ends_in_the_middle_of_a_body_stops_the_rest() -> None:
    body, read = b"x" * (32 << 20), 0  # the kernel takes the rest when the server has read a part
    left = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal read
        while read < len(body) and (part := await reader.read(1 << 20)):
            read += len(part)
        left.set()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    answers = chain([True] * 3, repeat(False))  # at the start, before the head, before the body's first part
    http = Http(time.monotonic, gate=RequestGuard(lambda: next(answers)))
    with pytest.raises(NotPermitted):
        await http.generate(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/api/chat", body)
    await left.wait()
    assert 0 < read < len(body)
    await http.close()
    server.close()
