"""The HTTP connection to an engine's socket, kept open between exchanges.

By h11, which the server uses too: `http.client` imports ssl and email, a seventh of the CPU time of `rollout status`.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Mapping

import h11

from engine.store.folder import Folder

READ = 1 << 16


class UnixConnection:
    def __init__(self, folder: Folder, timeout_s: float) -> None:
        self._folder = folder
        self._timeout_s = timeout_s
        self._http = h11.Connection(h11.CLIENT)
        self._sock: socket.socket | None = None

    def close(self) -> None:
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    def exchange(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Status and body. OSError where no whole answer comes, ValueError where it or the request is not HTTP."""
        try:
            return self._exchange(method, path, body, headers)
        except h11.ProtocolError as error:
            unread, closed = self._http.trailing_data
            if closed and b"HTTP/".startswith(unread[:5]):
                raise ConnectionAbortedError("the answer ended early") from error
            raise ValueError(f"not HTTP: {error}") from error

    def _exchange(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> tuple[int, bytes]:
        fields = {"Host": "localhost", **headers}
        if body is not None:
            fields["Content-Length"] = str(len(body))
        sock = self._connected()
        http = self._http
        head = http.send(h11.Request(method=method, target=path, headers=list(fields.items()))) or b""
        content = http.send(h11.Data(body)) if body else None
        end = http.send(h11.EndOfMessage())
        with contextlib.suppress(BrokenPipeError):  # an engine that refuses a body answers before it has read it
            sock.sendall(head + (content or b"") + (end or b""))
        status, parts = 0, []
        for event in _events(http, sock):
            if isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                parts.append(event.data)
        return status, b"".join(parts)

    def _connected(self) -> socket.socket:
        """The socket for the next exchange: the open one if the last answer left it usable."""
        if self._sock is not None and self._http.our_state is self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
            return self._sock
        self.close()
        self._http = h11.Connection(h11.CLIENT)
        self._sock = self._folder.connect(self._timeout_s)
        return self._sock


def _events(http: h11.Connection, sock: socket.socket) -> Iterator[h11.Event]:
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            http.receive_data(sock.recv(READ))
        elif isinstance(event, h11.EndOfMessage):
            return
        elif isinstance(event, h11.Event):
            yield event
