"""The grid of time that all charts of a screen share, and its ticks. Pure."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import NamedTuple

FUTURE = 0.1  # of a window in the past, what lies after the cursor at least


class Zoom(NamedTuple):
    """A window and the width of its buckets, which are the same at every paint."""

    seconds: float
    name: str
    span: float


ZOOMS = (
    Zoom(900.0, "15m", 10.0),
    Zoom(3600.0, "1h", 30.0),
    Zoom(6 * 3600.0, "6h", 120.0),
    Zoom(86_400.0, "24h", 600.0),
    Zoom(7 * 86_400.0, "7d", 3600.0),
    Zoom(30 * 86_400.0, "30d", 21_600.0),
)
HOUR = 1  # the zoom that a console begins with


class Grid(NamedTuple):
    """The one grid of time of a screen's charts: buckets of `span` seconds, at multiples of it, the same at every
    paint."""

    start: float
    span: float
    points: int

    @property
    def end(self) -> float:
        return self.start + self.span * self.points

    @property
    def seconds(self) -> float:
        return self.span * self.points


def grid_of(zoom: Zoom, now: float, at: float | None) -> Grid:
    """The window up to now; around a cursor that is before it, in steps of half a window, so that it does not move with
    the cursor."""
    end = (math.floor(now / zoom.span) + 1) * zoom.span
    if at is not None and at < end - zoom.seconds * (1 - FUTURE):
        half = zoom.seconds / 2
        end = min(end, math.ceil((at + FUTURE * zoom.seconds) / half) * half)
        end = math.ceil(end / zoom.span) * zoom.span
    points = round(zoom.seconds / zoom.span)
    return Grid(end - points * zoom.span, zoom.span, points)


TICKS = (60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800)


def ticks(grid: Grid, most: int) -> list[tuple[float, str]]:
    """At most `most` round moments of the grid, each with its name: times of day, over days dates."""
    step = next((s for s in TICKS if grid.seconds / s <= max(1, most)), TICKS[-1])
    first = math.ceil(grid.start / step) * step
    form = "%d %b" if step >= 86_400 else "%H:%M"
    count = int((grid.end - first) // step) + 1
    return [(t, datetime.fromtimestamp(t, UTC).strftime(form)) for t in (first + n * step for n in range(count))]
