"""An application on a port of loopback that can be taken away and brought back."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp


class _Uvicorn(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # signals are the process's affair


class Listener:
    """An application on a port of loopback that can be shut and opened again; shut, connections are refused and open ones reset."""

    def __init__(self, app: ASGIApp, port: int = 0) -> None:
        self._app = app
        self._server: _Uvicorn | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._held = _bound(port)  # bound and not listening: nobody else gets the port while it is shut
        self.port: int = self._held.getsockname()[1]

    async def open(self) -> None:
        if self._server is not None:
            return
        config = uvicorn.Config(
            self._app, http="h11", ws="none", lifespan="off", loop="asyncio", log_config=None, access_log=False,
            log_level="critical",
            server_header=False, timeout_keep_alive=600,
        )  # fmt: skip
        server = self._server = _Uvicorn(config)
        task = asyncio.create_task(server.serve(sockets=[_bound(self.port)]))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        while not server.started and not task.done():  # noqa: ASYNC110, uvicorn tells nobody
            await asyncio.sleep(0.001)

    def shut(self) -> None:
        server, self._server = self._server, None
        if server is None:
            return
        for listening in server.servers:
            listening.close()
        for connection in tuple(server.server_state.connections):
            transport = connection.transport
            sock = transport.get_extra_info("socket")
            with contextlib.suppress(OSError):  # close with a reset, as a killed process does
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        server.should_exit = server.force_exit = True


def _bound(port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # else asyncio leaves Nagle on
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", port))
    return sock
