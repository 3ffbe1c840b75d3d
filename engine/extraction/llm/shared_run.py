"""Work that runs once for all callers that wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


class SharedRun:
    """Runs never overlap: a caller that joins during a run waits for its end. Cancelling one that waits does not
    end the run."""

    def __init__(self, now: Callable[[], float], succeeded: Callable[[], None]) -> None:
        self._now, self._succeeded = now, succeeded
        self._task: asyncio.Task[None] | None = None
        self._since: float | None = None
        self._took_s = 0.0

    @property
    def running(self) -> bool:
        return self._task is not None

    @property
    def total_s(self) -> float:
        """Seconds that all runs took, including the current one."""
        return self._took_s + (0.0 if self._since is None else self._now() - self._since)

    async def join(self, work: Callable[[], Awaitable[None]]) -> None:
        """Start the work unless it is running, and wait for its end. Raises what the work raises."""
        if self._task is None:
            self._since = self._now()
            self._task = asyncio.ensure_future(work())
            self._task.add_done_callback(self._end)
        await asyncio.shield(self._task)

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._task = None
        self._took_s, self._since = self.total_s, None
        if not task.cancelled() and task.exception() is None:
            self._succeeded()
