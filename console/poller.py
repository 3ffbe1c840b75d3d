"""Polls a link, one read at a time, off the screen's loop. A read that hangs becomes a sentence, not a frozen
screen."""

from __future__ import annotations

import time

from console.daemon_call import in_background
from console.link import EngineSnapshot, Link
from console.liveness import Liveness

READ_EVERY_S = 0.5
HANGS_S = 1.5


class Poller:
    """`snapshot` is the latest reading; `poll` gets a newer one."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.snapshot = EngineSnapshot(None, Liveness("starting"), 0.0)
        self._began: float | None = None  # start of the read in progress, monotonic seconds

    def poll_now(self) -> EngineSnapshot:
        """Read in this thread, before the first paint, so that it shows live figures."""
        self.snapshot = self.link.poll()
        return self.snapshot

    async def poll(self) -> EngineSnapshot:
        """Start no second read while one hangs; the result then reports how long the store has been silent."""
        if self._began is not None:
            return self._hanging(time.monotonic() - self._began)
        self._began = time.monotonic()
        try:
            self.snapshot = await in_background(self.link.poll)
        finally:
            self._began = None
        return self.snapshot

    def _hanging(self, waited: float) -> EngineSnapshot:
        if waited > HANGS_S:
            sentence = f"The store has not answered for {waited:.0f} s; the disk may hang. R still works."
            self.snapshot = EngineSnapshot(self.snapshot.view, Liveness("gone", sentence, waited), self.snapshot.at)
        return self.snapshot
