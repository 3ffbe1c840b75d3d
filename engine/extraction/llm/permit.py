"""The single gate for every request that uses a model: documents, shadow calls, loading a model, test questions.

Checked when a request starts, and at its connection before each write (`connection.py`): connecting takes time, and so
does a busy loop between two parts, and a rollback may come in that time. NotPermitted closes the connection; a server
that has not read a whole body has not started a call. An open request can be cut, which closes its connection too.
Another thread may end that connection first, while the loop is busy (`ConnectionPool.shut`); the request counts as open
until the loop has closed it. So the proof of a rollback counts sockets, whoever sent the request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from engine.extraction.llm.failure import NotPermitted

T = TypeVar("T")


class RequestGuard:
    """`allowed` returns whether any request may go out now."""

    def __init__(self, allowed: Callable[[], bool]) -> None:
        self.allowed = allowed
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
        if not self.allowed():
            raise NotPermitted
        self.sent += 1
        return await request()

    def cut(self) -> None:
        """End every open request."""
        for task in tuple(self._open):
            task.cancel()
