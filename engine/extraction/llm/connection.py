"""A connection whose writes ask for permission, each right before the kernel gets its bytes.

A process may be stopped at any instruction, for longer than its lease and through a rollback, and goes on right there
when it wakes. With httpx's own writes some 0.2 ms lie between a check and the kernel; here two instructions do. A long
body goes out in pieces, and each piece asks.

Reading, connecting and TLS are httpcore's and anyio's. Imported when a pool starts, like httpx.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import anyio.abc
import httpcore

from engine.extraction.llm.failure import NotPermitted


def always() -> bool:
    return True


class GuardedConnection(httpcore.AnyIOBackend):
    """Opens the connection of one transport, again if it was closed. `may_send`: whether bytes may go out now, for the
    request under way."""

    def __init__(self) -> None:
        self.may_send: Callable[[], bool] = always
        self._socket: socket.socket | None = None

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        made = await super().connect_tcp(host, port, timeout, local_address, socket_options)
        asking = _AskingStream(made._stream, self)  # type: ignore[attr-defined]
        made._stream = asking  # type: ignore[attr-defined]
        self._socket = asking.socket
        return made

    def shut(self) -> None:
        """End the connection; for any thread."""
        if self._socket is not None:
            with contextlib.suppress(OSError):  # it has ended
                self._socket.shutdown(socket.SHUT_RDWR)


class _AskingStream(anyio.abc.ByteStream):
    def __init__(self, inner: anyio.abc.SocketStream, connection: GuardedConnection) -> None:
        self._inner = inner
        self._connection = connection
        # a descriptor of its own, because the loop lets no one else wait for its transport's
        self.socket = inner.extra(anyio.abc.SocketAttribute.raw_socket).dup()

    async def send(self, item: bytes) -> None:
        left = memoryview(item)
        while left:
            try:
                if not self._connection.may_send():
                    raise NotPermitted
                sent = self.socket.send(left)  # nothing may come between the permission and this
            except BlockingIOError:
                await anyio.wait_writable(self.socket)
                continue
            except OSError as error:
                raise anyio.BrokenResourceError from error
            left = left[sent:]

    async def receive(self, max_bytes: int = 65536) -> bytes:
        return await self._inner.receive(max_bytes)

    async def send_eof(self) -> None:
        await self._inner.send_eof()

    async def aclose(self) -> None:
        anyio.notify_closing(self.socket)
        self.socket.close()
        await self._inner.aclose()

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        return self._inner.extra_attributes
