"""Series for the plots: read when a column closes, not at every tick, and never by the screen's own loop."""

from __future__ import annotations

import contextlib
import time

from console.link import Link
from engine.plan.durations import format_duration
from engine.store.folder import StoreError

METRICS = ("error_rate", "latency_mean", "cache_hit_rate", "llm_documents")


class SeriesCache:
    """The last `window_s` of a few metrics at the resolution of a screen."""

    def __init__(self, link: Link, window_s: float = 3600.0, metrics: tuple[str, ...] = METRICS) -> None:
        self.link = link
        self.window_s = window_s
        self.metrics = metrics
        self.points = 120
        self.series: dict[str, list[float | None]] = {}
        self._closed = -1
        self._read_at = 0.0
        self.busy = False

    @property
    def window_text(self) -> str:
        return format_duration(self.window_s)

    def get(self, metric: str, width: int) -> list[float | None]:
        """What is known now; a wide plot asks for more points next time."""
        if width > 100 and self.points < 240:
            self.points, self._closed = 240, -1
        return self.series.get(metric, [])

    def due(self, now: float) -> bool:
        """Whether a column closed since the last read (`now` is the engine's time); in a time lapse at most every 2 s."""
        column = int(now / (self.window_s / self.points))
        if self.busy or column == self._closed or (self.series and time.monotonic() - self._read_at < 2.0):
            return False
        self._closed = column
        return True

    def read(self, now: float) -> dict[str, list[float | None]]:
        """All metrics; called from a thread. A store that cannot be read leaves what there was."""
        column = self.window_s / self.points
        end = (int(now / column) + 1) * column
        found = self.series
        with contextlib.suppress(StoreError):
            found = self.link.curves(self.metrics, self.window_s, self.points, end)
        self._read_at = time.monotonic()
        return found
