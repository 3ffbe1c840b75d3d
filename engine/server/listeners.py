"""uvicorn on the engine's own sockets: it obeys the process's signals and drains within a bound."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from engine.server.connections import ACCEPTED_AT_ONCE, IDLE_S, WAITING, ConnectionBudget

DRAIN_S = 9.0  # systemd gives up after 10 to 15 s, and the store needs its last commit
CUT_S = 1.0  # seconds, at the end of a stop, until clients that take no answer are disconnected
DRAIN_CALLS_S = 5.0  # at shutdown, LLM calls in flight get this long, then their documents are finished by frequency


class _Uvicorn(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for sock in sockets or ():
            sock.listen(
                WAITING
            )  # the kernel queues them; few are accepted at a time, so that a flood does not block the loop

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # the process handles signals


class Listeners:
    """The servers that run, by the task that runs each."""

    def __init__(self) -> None:
        self.running: dict[asyncio.Task[None], _Uvicorn] = {}

    def serve(self, app: ASGIApp, sock: socket.socket, protocol: Any) -> None:
        config = uvicorn.Config(
            app,
            http=protocol,
            log_config=None,
            log_level="warning",
            access_log=False,
            lifespan="off",
            ws="none",
            loop="asyncio",
            timeout_graceful_shutdown=int(DRAIN_S),
            timeout_keep_alive=IDLE_S,
            server_header=False,
            backlog=ACCEPTED_AT_ONCE,
            proxy_headers=False,  # a header must not override the peer's address
        )
        server = _Uvicorn(config)
        self.running[asyncio.create_task(server.serve(sockets=[sock]))] = server

    async def drain(self, cancel_calls: Callable[[], object], *budgets: ConnectionBudget) -> None:
        """Accept nothing more and finish what is in flight. What still runs after that is cut off, so that no request
        reads a store that is being closed."""
        for server in self.running.values():
            server.should_exit = True
        _, unfinished = await asyncio.wait(self.running, timeout=DRAIN_CALLS_S)
        if unfinished:
            cancel_calls()  # their documents are finished by frequency
            _, unfinished = await asyncio.wait(unfinished, timeout=DRAIN_S - DRAIN_CALLS_S - CUT_S)
        if unfinished:
            for budget in budgets:
                budget.cut()
            await asyncio.wait(unfinished, timeout=CUT_S)
