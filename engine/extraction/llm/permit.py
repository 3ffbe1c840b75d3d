"""The one gate of every request that makes a model work: documents, shadow calls, loading a model, questions to the model itself.

Asked right before the request goes out; what is out can be cut, which closes its connection. So what a rollback proves is what
happens on the sockets, whoever sent the request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from engine.extraction.llm.failure import NotPermitted

T = TypeVar("T")


class Gate:
    """`allowed` says whether any request may go out now."""

    def __init__(self, allowed: Callable[[], bool]) -> None:
        self._allowed = allowed
        self._open: set[asyncio.Task[Any]] = set()
        self.sent = 0  # requests so far

    @property
    def open(self) -> int:
        """Requests that are out and not answered, or whose connection is not closed yet."""
        return len(self._open)

    async def send(self, request: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The answer. NotPermitted when it may not go out, or was cut."""
        if not self._allowed():
            raise NotPermitted
        self.sent += 1
        task = asyncio.create_task(request())
        self._open.add(task)
        task.add_done_callback(self._open.discard)
        try:
            return await task
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                raise
            raise NotPermitted(sent=True) from None

    def cut(self) -> None:
        """End every request that is out."""
        for task in tuple(self._open):
            task.cancel()
