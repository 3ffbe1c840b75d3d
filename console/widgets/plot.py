"""A curve as rows of text, drawn by plotext, guarded against input that makes its kernel abort.

plotext 6 ends the whole process on one NaN or infinity in a line plot, and draws far outside its limits. So: runs of
finite values only (a gap stays a gap), clamped to the limits, both rulers set, at least 8x3 cells, at most eight points
a column, one thread.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import lru_cache
from math import isfinite
from typing import Any

_one = threading.Lock()
_plt: Any = None


def loaded() -> bool:
    """Whether plotext is imported. That costs 0.09 s, which the first paint doesn't wait for."""
    return _plt is not None


def load() -> None:
    """Import plotext once. Safe to call from any thread."""
    global _plt
    with _one:
        if _plt is None:
            import plotext

            plotext.terminal.limit(False, False)  # else it clips at the real terminal's size
            _plt = plotext


def runs(values: Sequence[float | None], low: float, high: float) -> list[tuple[list[float], list[float]]]:
    """(xs, ys) of each run of finite values, clamped to the limits; x counts from 0."""
    stretches: list[tuple[list[float], list[float]]] = []
    xs: list[float] = []
    ys: list[float] = []
    for x, y in enumerate(values):
        if y is None or not isfinite(y):
            if xs:
                stretches.append((xs, ys))
                xs, ys = [], []
            continue
        xs.append(float(x))
        ys.append(min(max(float(y), low), high))
    if xs:
        stretches.append((xs, ys))
    return stretches


def thinned(values: Sequence[float | None], most: int) -> list[float | None]:
    """At most `most` values, each the maximum of its span: a spike is never averaged away."""
    if len(values) <= most or most < 1:
        return list(values)
    out: list[float | None] = []
    for i in range(most):
        part = [
            v for v in values[i * len(values) // most : (i + 1) * len(values) // most] if v is not None and isfinite(v)
        ]
        out.append(max(part) if part else None)
    return out


def curve(
    values: Sequence[float | None],
    width: int,
    height: int,
    low: float,
    high: float,
    ascii_only: bool = False,
    filled: bool = False,
) -> tuple[str, ...]:
    """`height` rows of `width` characters: the curve alone, without axes. Blank rows when there is nothing to draw.

    `filled` paints down to the lower edge, so that the level shows, not only its change.
    """
    return _curve(tuple(values), width, height, low, high, ascii_only, filled)


@lru_cache(64)  # a screen repaints every second, but a plot's column closes every half minute
def _curve(
    values: tuple[float | None, ...], width: int, height: int, low: float, high: float, ascii_only: bool, filled: bool
) -> tuple[str, ...]:
    blank = (" " * width,) * height
    if width < 8 or height < 3 or not isfinite(low) or not isfinite(high) or not low < high:
        return blank
    points = thinned(values, width * 8)  # several in a column are all drawn: points are not regrouped as time passes
    parts = runs(points, low, high)
    if not parts:
        return blank
    load()
    with _one:
        figure = _plt.figure
        figure.clear()
        figure.plot_size(width, height)
        figure.axes(False)
        for axis in ("x", "y"):
            figure.ruler(axis).frequency(0)
        figure.ruler("x").lim(0, max(1, len(points) - 1))
        figure.ruler("y").lim(low, high)
        marker = "*" if ascii_only else "braille"
        for xs, ys in parts:
            signal = figure.signal(xs, ys, marker=marker)
            if len(xs) > 1:
                signal.lines()
            if filled:
                signal.fillx()
            figure.draw(signal)
        drawn = figure.build().string(True).split("\n")
    rows = tuple(row[:width].ljust(width).replace("\u2800", " ") for row in drawn[:height])
    return rows + blank[len(rows) :]
