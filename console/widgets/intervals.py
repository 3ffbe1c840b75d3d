"""An estimate with its interval on an axis through zero, in one row of cells."""

from __future__ import annotations

from collections.abc import Iterable

from console.widgets.canvas import Canvas
from engine.experiment.effects import Interval

SPANS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0)  # half an axis, as a relative change


def span_of(intervals: Iterable[Interval | None]) -> float:
    """The narrowest axis that fits most intervals; the others end in an arrow."""
    reach = sorted(max(abs(i.low or 0.0), abs(i.high or 0.0)) for i in intervals if i is not None)
    wanted = reach[int(0.8 * (len(reach) - 1))] if reach else 0.25
    return next((span for span in SPANS if span >= wanted), SPANS[-1])


def interval(c: Canvas, x: int, y: int, width: int, of: Interval | None, span: float, style: str) -> None:
    """`of` between -span and +span; the part outside becomes an arrow at the edge. The zero line is drawn where nothing
    covers it."""

    def column(value: float) -> int:
        return round((min(span, max(-span, value)) + span) / (2 * span) * (width - 1))

    zero = x + (width - 1) // 2
    c.put(zero, y, "│", "faint")
    if of is None:
        return
    low = column(-span if of.low is None else of.low)
    high = column(span if of.high is None else of.high)
    c.fill(x + low, y, high - low + 1, style, "-" if c.ascii else "─")
    cut_low, cut_high = (of.low is None or of.low < -span), (of.high is None or of.high > span)
    c.put(x + low, y, "◂" if cut_low else "├", style)
    c.put(x + high, y, "▸" if cut_high else "┤", style)
    if low < zero - x < high:
        c.put(zero, y, "┼" if not c.ascii else "|", style)
    if -span <= of.estimate <= span:
        c.put(x + column(of.estimate), y, "●", style)
