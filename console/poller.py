"""Polls a link, one look at a time, off the screen's loop. A look that hangs becomes a sentence, not a frozen
screen."""

from __future__ import annotations

import time

from console.daemon_call import in_background
from console.link import Link, Pulse, Sight

READ_EVERY_S = 0.5
HANGS_S = 1.5


class Poller:
    """`sight` is the latest reading; `look` gets a newer one."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.sight = Sight(None, Pulse("starting"), 0.0)
        self._began: float | None = None  # start of the look in progress, monotonic seconds

    def look_now(self) -> Sight:
        """Look in this thread, before the first paint, so that it shows live figures."""
        self.sight = self.link.look()
        return self.sight

    async def look(self) -> Sight:
        """Start no second look while one hangs; the result then reports how long the store has been silent."""
        if self._began is not None:
            return self._hanging(time.monotonic() - self._began)
        self._began = time.monotonic()
        try:
            self.sight = await in_background(self.link.look)
        finally:
            self._began = None
        return self.sight

    def _hanging(self, waited: float) -> Sight:
        if waited > HANGS_S:
            sentence = f"The store has not answered for {waited:.0f} s; the disk may hang. R still works."
            self.sight = Sight(self.sight.view, Pulse("gone", sentence, waited), self.sight.at)
        return self.sight
