"""No rollback fits between the permission of a request and the request."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from itertools import chain, repeat

import pytest

from engine.extraction.llm.failure import NotPermitted
from engine.extraction.llm.http import Http
from engine.extraction.llm.permit import RequestGuard

pytestmark = pytest.mark.anyio


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
