"""The app's polling: reads the link and shows what is new."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import Any

from console.app.base import Base
from console.daemon_call import in_background
from console.link import EngineSnapshot
from console.widgets import plot, words

PRESENCE_EVERY_S = 10.0
CALM_S = 0.8


class ViewReading(Base):
    """Nothing here waits in the key loop: a store that hangs must not block R."""

    def _read_soon(self) -> None:
        """Read without the key loop waiting: a poll that hangs must not block R.

        A task, because a worker's messages cost as much as painting. An error is left to the next poll, as with a
        worker.
        """
        task = asyncio.get_running_loop().create_task(self._read())
        self._reads.add(task)
        task.add_done_callback(self._read_done)

    def _read_done(self, task: asyncio.Task[None]) -> None:
        self._reads.discard(task)
        if not task.cancelled():
            task.exception()  # retrieved, or asyncio writes it over the screen

    async def _read(self) -> None:
        if self.terminal is not None:
            if self.terminal.gone:
                self._leave_by_signal(128 + signal.SIGHUP)
                return
            if self.terminal.stalled:
                return
        self._see(await self.poller.poll())
        v = self.live.view
        if v is not None and plot.loaded():
            await self._read_history()

    async def _read_history(self) -> None:
        """Read the curves of the moment that is shown, if they are due."""
        v = self.live.view
        shown = self.travel.snapshot.view if self.travel.at is not None else v
        if v is None or shown is None:
            return
        at, arm = self.travel.at, words.watched_arm(shown)
        if not self.series_cache.due(v.at, at, arm):
            return
        self.series_cache.busy = True
        try:
            await in_background(lambda: self.series_cache.read(v.at, at, arm))
        finally:
            self.series_cache.busy = False
        self._page_refreshed()

    def _see(self, snapshot: EngineSnapshot) -> None:
        old = self._shown
        expired = self.notice is not None and time.monotonic() > self._notice_until
        if expired:
            self.notice = None
        attempt = self.attempt
        if attempt is not None and attempt.proven_s is None and attempt.result is not None and not snapshot.fresh:
            attempt.unreachable = self.link.out_of_reach()
        same = old.view is not None and old.view == snapshot.view and old.liveness == snapshot.liveness
        if expired or (not same and not self._can_wait(old, snapshot)):
            self._shown = snapshot
            self._page_refreshed()
        self.attention.notice(snapshot)
        if snapshot.fresh and time.monotonic() - self._present_at > PRESENCE_EVERY_S:
            self._report_presence()

    def _can_wait(self, old: EngineSnapshot, new: EngineSnapshot) -> bool:
        """Whether only figures moved, within a second of the last change: they can wait for the next poll. In a time
        lapse the engine publishes several times a second; painting each would multiply the load on a remote line and a
        core."""
        if old.view is None or new.view is None or (self.attempt is not None and self.attempt.awaited()):
            return False
        alike = (old.view.rev, old.view.health, old.liveness.state) == (
            new.view.rev,
            new.view.health,
            new.liveness.state,
        )
        return alike and time.monotonic() - self._painted_at < CALM_S

    def _report_presence(self) -> None:
        """Report this console's presence, which every console shows."""
        self._present_at = time.monotonic()
        title = self.page.TITLE if self.page is not None else ""
        self.run_worker(
            in_background(lambda: self.report_presence(timeout_s=1.0, screen=title)),
            exit_on_error=False,
            group="presence",
        )

    def report_presence(self, **fields: Any) -> None:
        """Under an id of this process: the next console on the same terminal is another one."""
        self.link.command("presence", console=f"{self.link.terminal} {os.getpid()}", **fields)
