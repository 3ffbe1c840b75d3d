"""The single gate for every request that uses a model: documents, shadow calls, loading a model, test questions.

Checked when a request starts and before each part of it is written: connecting takes time, and so does a busy loop
between two parts, and a rollback may come in that time. An open request can be cut, which closes its connection.
Another thread may end that connection first, while the loop is busy (`ConnectionPool.shut`); the request counts as open
until the loop has closed it. So the proof of a rollback counts sockets, whoever sent the request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

from engine.extraction.llm.failure import NotPermitted

T = TypeVar("T")

# httpcore's names for the moments before a write
WRITES = ("http11.send_request_headers.started", "http11.send_request_body.started")


class RequestGuard:
    """`allowed` returns whether any request may go out now."""

    def __init__(self, allowed: Callable[[], bool]) -> None:
        self._allowed = allowed
        self._open: set[asyncio.Task[Any]] = set()
        self.sent = 0  # requests so far

    @property
    def open(self) -> int:
        """Requests without an answer, or whose connection is still open."""
        return len(self._open)

    async def send(self, request: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Send a request; return the answer. NotPermitted if it may not go out, or was cut."""
        task = asyncio.create_task(self._start(request))
        self._open.add(task)
        task.add_done_callback(self._open.discard)
        try:
            return await task
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                raise
            raise NotPermitted(sent=True) from None

    async def _start(self, request: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Checked in the same step of the loop that sends the request, so that no rollback fits in between."""
        if not self._allowed():
            raise NotPermitted
        self.sent += 1
        return await request()

    async def check(self, event: str, _: Mapping[str, Any]) -> None:
        """Trace hook of httpcore, called before a request's head and before its body. NotPermitted closes the
        connection; a server that has not read the body has not started a call."""
        if event in WRITES and not self._allowed():
            raise NotPermitted

    def cut(self) -> None:
        """End every open request."""
        for task in tuple(self._open):
            task.cancel()
