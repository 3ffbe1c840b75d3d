"""Whose request on TCP is begun next: one in each turn of the event loop, in the order in which they came.

A rollback waits a few turns of the loop for its answer. If each of 200 clients had a request begun in every turn, each
turn would take a second.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable


class Turns:
    """Of one listener."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()
        self._taken = False  # whether a request was begun in this turn

    def take(self, begin: Callable[[], None]) -> bool:
        """Call `begin` when it is its turn; whether that was at once."""
        if self._taken:
            self._waiting.append(begin)
            return False
        self._begin(begin)
        return True

    def _begin(self, begin: Callable[[], None]) -> None:
        self._taken = True
        asyncio.get_running_loop().call_soon(self._next)
        begin()

    def _next(self) -> None:
        self._taken = False
        if self._waiting:
            self._begin(self._waiting.popleft())
