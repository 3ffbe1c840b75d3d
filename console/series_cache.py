"""Series for the plots: read when a bucket closes, not at every tick, and never by the screen's own loop."""

from __future__ import annotations

import contextlib
import time

from console.link import Link
from console.widgets.timegrid import HOUR, ZOOMS, Grid, grid_of
from engine.measures.record import SeenArm
from engine.store.folder import StoreError

METRICS = ("error_rate", "latency_mean", "cache_hit_rate", "llm_documents")
COMPARED = ("error_rate", "latency_mean")  # what the frequency arm has too


class SeriesCache:
    """A window of a few metrics on the grid of the screen: of the arm that calls the LLM, and of the frequency arm."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.metrics = METRICS
        self.zoom = HOUR
        self.series: dict[str, list[float | None]] = {}
        self.control: dict[str, list[float | None]] = {}
        self.grid = grid_of(ZOOMS[HOUR], 0.0, None)  # of what was read, as is the arm
        self.arm: SeenArm = "treatment"
        self._wanted: tuple[Grid, SeenArm] | None = None
        self._read_at = 0.0
        self.busy = False

    @property
    def window_s(self) -> float:
        return ZOOMS[self.zoom].seconds

    @property
    def window_text(self) -> str:
        return ZOOMS[self.zoom].name

    def due(self, now: float, at: float | None = None, arm: SeenArm = "treatment") -> bool:
        """Whether there is something to read: a bucket closed since, or another window is wanted (`now` is the engine's
        time); in a time lapse at most every 2 s."""
        wanted = grid_of(ZOOMS[self.zoom], now, at), arm
        if self.busy or wanted == self._wanted:
            return False
        before = self._wanted
        closed = before is not None and (before[0].span, before[1]) == (wanted[0].span, arm) and at is None
        if closed and self.series and time.monotonic() - self._read_at < 2.0:
            return False
        self._wanted = wanted
        return True

    def read(self, now: float, at: float | None = None, arm: SeenArm = "treatment") -> None:
        """Read all metrics; called from a thread. If the store can't be read, return the previous ones."""
        grid = grid_of(ZOOMS[self.zoom], now, at)
        with contextlib.suppress(StoreError):
            series = self.link.reader.curves(self.metrics, grid.seconds, grid.points, grid.end, arm)
            control = self.link.reader.curves(COMPARED, grid.seconds, grid.points, grid.end, "control")
            self.series, self.control, self.grid, self.arm = series, control, grid, arm
        self._read_at = time.monotonic()
