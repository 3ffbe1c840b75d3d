"""Watching a link: one look at a time, off the screen's loop, and a look that hangs is a sentence, not a frozen screen."""

from __future__ import annotations

import time

from console.daemon_call import in_background
from console.link import Link, Pulse, Sight

READ_EVERY_S = 0.5
HANGS_S = 1.5


class Poller:
    """`sight` is the latest; `look` brings a newer one."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.sight = Sight(None, Pulse("starting"), 0.0)
        self._began: float | None = None  # a look is under way since then, monotonic seconds

    def look_now(self) -> Sight:
        """In this thread; before the first paint, so that the first picture has live numbers."""
        self.sight = self.link.look()
        return self.sight

    async def look(self) -> Sight:
        """While an earlier look hangs there is no second one; the answer says how long the store has been silent."""
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
            sentence = f"The store has not answered for {waited:.0f} s; the disk may hang. R works all the same."
            self.sight = Sight(self.sight.view, Pulse("gone", sentence, waited), self.sight.at)
        return self.sight
