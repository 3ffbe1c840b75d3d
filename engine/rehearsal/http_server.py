"""HTTP/1.1 on a loopback port for a server that must misbehave: drip, stop midway, reset, send something other than
HTTP, refuse connections and accept them again.

No well-behaved library does that, and this takes a tenth of the CPU, which the rehearsed engine needs.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import struct
from collections.abc import Awaitable, Callable
from http.client import responses
from typing import Any

import msgspec

BODY_BYTES = 64 << 20
LOOPBACK = "127.0.0.1"
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)[ \t]*\r\n", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection:[ \t]*close[ \t]*\r\n", re.IGNORECASE)


class Call:
    """A request, and every way to answer it. If the client leaves, the handler is cancelled."""

    def __init__(self, transport: asyncio.Transport, method: str, path: str, body: bytes) -> None:
        self.method = method
        self.path = path
        self.body = body
        self._transport = transport

    def send(self, status: int, body: bytes, kind: str = "application/json; charset=utf-8") -> None:
        self.begin(status, kind, len(body))
        self.write(body)

    def begin(self, status: int, kind: str, length: int | None = None) -> None:
        """Send the head; the body follows with `write`, in chunks if its length is unknown."""
        framing = "transfer-encoding: chunked" if length is None else f"content-length: {length}"
        reason = responses.get(status, "Status")
        self.write(f"HTTP/1.1 {status} {reason}\r\ncontent-type: {kind}\r\n{framing}\r\n\r\n".encode())

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    def close(self) -> None:
        """Close the connection after sending what was written."""
        self._transport.close()

    def reset(self) -> None:
        _reset(self._transport)

    @property
    def left(self) -> bool:
        return self._transport.is_closing()


Handler = Callable[[Call], Awaitable[None]]


class HttpServer:
    """A port that can be shut and opened again; shut, connections are refused and open ones reset, as a killed process
    does.

    No other process can take the port meanwhile.
    """

    def __init__(self, handler: Handler, port: int = 0, host: str = LOOPBACK) -> None:
        self.handler = handler
        self.host = host
        self.connections: set[_Connection] = set()
        self._server: asyncio.Server | None = None
        self._held = _bound(host, port)
        self.port: int = self._held.getsockname()[1]

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    async def open(self) -> None:
        if self._server is None:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(
                lambda: _Connection(self), sock=_bound(self.host, self.port), backlog=1024
            )

    def shut(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for connection in tuple(self.connections):
            connection.reset()

    def close(self) -> None:
        """Close permanently."""
        self.shut()
        self._held.close()


class _Connection(asyncio.Protocol):
    """A connection: one request at a time, in order."""

    def __init__(self, door: HttpServer) -> None:
        self._door = door
        self._buffer = bytearray()
        self._task: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._door.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._door.connections.discard(self)
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._next()

    def reset(self) -> None:
        if self._transport is not None:
            _reset(self._transport)

    def _next(self) -> None:
        """Hand over the next complete request once the previous one is answered."""
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0 or self._transport is None or (self._task is not None and not self._task.done()):
            return
        head = bytes(self._buffer[: end + 2])
        match = _LENGTH.search(head)
        length = int(match[1]) if match else 0
        line = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        if len(line) != 3 or length > BODY_BYTES:
            self._transport.close()
            return
        if len(self._buffer) < end + 4 + length:
            return
        body = bytes(self._buffer[end + 4 : end + 4 + length])
        del self._buffer[: end + 4 + length]
        call = Call(self._transport, line[0], line[1], body)
        self._task = asyncio.get_running_loop().create_task(self._answer(call, bool(_CLOSE.search(head))))

    async def _answer(self, call: Call, last: bool) -> None:
        try:
            await self._door.handler(call)
        except Exception as error:
            call.send(500, msgspec.json.encode({"error": f"the simulated server failed: {error!r}"}))
        if last:
            call.close()
        elif self._buffer:
            asyncio.get_running_loop().call_soon(self._next)


def send_json(call: Call, body: Any, status: int = 200) -> None:
    call.send(status, msgspec.json.encode(body))


def _reset(transport: asyncio.Transport) -> None:
    sock = transport.get_extra_info("socket")
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _bound(host: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # named, or asyncio leaves Nagle on
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((host, port))
    return sock
