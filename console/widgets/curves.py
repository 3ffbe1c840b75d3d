"""Curves that say something: the thresholds drawn in, what lies over them in another colour, and where the percentage was changed."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import NamedTuple

from rich.cells import cell_len

from console.widgets import blocks, plot, words
from console.widgets.blocks import Area
from console.widgets.canvas import Canvas
from engine.view.model import DecisionView

MARKED = {"promote": "▲", "undo_rollback": "▲", "rollback": "▼", "trigger": "▼"}
CLIPPED = 4.0  # times the highest threshold: what lies above is drawn to the edge, which says so
AXIS_ROWS = 8  # from this height on a curve has a time axis


class Measure(NamedTuple):
    """A metric as it is drawn: its name in the store, a title, and the unit that its values are divided by and shown with."""

    metric: str
    title: str
    scale: float
    unit: str
    low_is_bad: bool = False
    of: str = ""  # what a count counts, where it stands alone
    least: float = 1.0  # the scale never ends below this, in the unit shown: a flat line at zero is not magnified


MEASURES = {
    m.metric: m
    for m in (
        Measure("error_rate", "error rate", 0.01, " %"),
        Measure("latency_mean", "latency", 1000.0, " s"),
        *(Measure(f"latency_{q}", f"latency, {q}", 1000.0, " s") for q in ("p50", "p95", "p99")),
        Measure("cache_hit_rate", "cache hits", 0.01, " %", low_is_bad=True),
        Measure("llm_share", "documents by LLM", 0.01, " %", least=10.0),
        Measure("llm_documents", "LLM documents a minute", 1.0, ""),
        Measure("documents", "documents enriched", 1.0, "", of=" documents"),
    )
}


def curve(
    c: Canvas,
    area: Area,
    measure: Measure,
    series: Sequence[float | None],
    limits: Sequence[tuple[float, str]],
    window: str,
    now: str = "",
    marks: Sequence[tuple[float, str]] = (),
    empty: str = "no data in this window",
) -> None:
    """A titled plot, or `empty`. `limits` are (value, words), `marks` (where between 0 and 1, a sign): decisions on the time axis."""
    known = [value for value in series if value is not None]
    lasts = next((v for v in reversed(series) if v is not None), None)
    note = now or ("" if lasts is None else said(measure, lasts))
    x, y, width, height = blocks.panel(c, area, f"{measure.title} · {window}", note)
    axis_row = height >= AXIS_ROWS
    rows = height - axis_row
    top = _top(
        [v / measure.scale for v in known],
        [v / measure.scale for v, _ in limits],
        measure.least,
        100.0 if measure.unit == " %" else inf,
    )
    # one bad document in a quiet minute is 100 %: it must not press the thresholds to the ground
    if limits and not measure.low_is_bad:
        top = min(top, nice(CLIPPED * max(v for v, _ in limits) / measure.scale))
    cut = any(v / measure.scale > top for v in known)
    labels = {0: f"{'≥' if cut else ''}{top:,.10g}{measure.unit}", rows - 1: "0"}
    if rows >= 5:
        labels[rows // 2] = f"{top / 2:,.10g}"
    left = max(len(label) for label in labels.values()) + 1
    for row, label in labels.items():
        c.right(x + left - 1, y + row, label, "dim")
    plotted = Area(x + left, y, width - left, rows)
    values = [None if v is None else v / measure.scale for v in series]
    _draw(c, plotted, values, top, [v / measure.scale for v, _ in limits], measure.low_is_bad)
    for value, text in reversed(limits):
        _limit(c, plotted, value / measure.scale / top, text)
    if not known:
        size = min(cell_len(empty) + 2, plotted.width - 1)
        c.fill(plotted.x + 1, y + rows // 2, size, "dim")  # a threshold may run there
        c.put(plotted.x + 1, y + rows // 2, f" {empty} ", "dim", size)
    for where, sign in marks:
        _mark(c, plotted, where, sign)
    if axis_row:
        c.put(plotted.x, y + rows, f"-{window}", "dim", plotted.width)
        c.right(x + width, y + rows, "now", "dim")


def said(measure: Measure, value: float) -> str:
    """A value in words: those of its metric; of a mere count of documents the number."""
    if measure.unit:
        return words.figure(measure.metric, value)
    return f"{value:,.0f}{measure.of}" if value >= 100 else f"{value:.3g}{measure.of}"


def _top(known: Sequence[float], limits: Sequence[float], least: float, most: float) -> float:
    """The value at the upper edge: room above the curve, and above the lowest threshold and those near it."""
    highest = max([*(v * 1.15 for v in known), *(v * 1.25 for v in sorted(limits)[:1])], default=0.0)
    near = [v * 1.2 for v in limits if v <= highest * 1.6]
    return min(nice(max([highest, least, *near])), most)


def _draw(
    c: Canvas, area: Area, series: Sequence[float | None], top: float, limits: Sequence[float], low_is_bad: bool
) -> None:
    """The curve; its part beyond the first threshold in the colour of trouble."""
    rows = plot.curve(series, area.width, area.height, 0.0, top, c.ascii, filled=True)
    edge = round((1 - min(limits) / top) * (area.height - 1)) if limits else None
    for row, line in enumerate(rows):
        beyond = edge is not None and not low_is_bad and row < edge
        c.put(area.x, area.y + row, line, "over" if beyond else "curve", area.width)
    if edge is None or not low_is_bad:
        return
    for column in range(area.x, min(c.width, area.x + area.width)):  # a column that ends below the line is too low
        if all(c.chars[area.y + row][column] == " " for row in range(min(edge + 1, area.height))):
            for row in range(edge + 1, area.height):
                c.styles[area.y + row][column] = "over"


def _limit(c: Canvas, area: Area, share: float, text: str) -> None:
    """A dashed line where the curve is not, with its words where they stand free."""
    row = min(area.height - 1, max(0, round((1 - share) * (area.height - 1))))
    if share > 1 or row == area.height - 1 or "limit" in c.styles[area.y + row][area.x : area.x + area.width]:
        return
    y, end = area.y + row, min(c.width, area.x + area.width)
    for column in range(area.x, end):
        if c.chars[y][column] == " ":
            c.fill(column, y, 1, "limit", "-" if c.ascii else "╌")
    size = cell_len(text)
    for start in (area.x + 1, end - size - 2, area.x + (area.width - size) // 2):
        if start > area.x and all(style == "limit" for style in c.styles[y][start - 1 : start + size + 1]):
            c.fill(start, y, size, "limit")
            c.put(start, y, text, "limit", size)
            return


def _mark(c: Canvas, area: Area, where: float, sign: str) -> None:
    """A decision on the time axis: a sign at the top and a dotted line down."""
    column = area.x + round(where * (area.width - 1))
    style = "bad" if sign == "▼" else "accent"
    rows = range(area.y, min(c.height, area.y + area.height))
    free = [
        row for row in rows if c.chars[row][column] == " " and c.styles[row][column] != "limit"
    ]  # words of a threshold stay whole
    for row in free:
        c.fill(column, row, 1, style, ":" if c.ascii else "┊")
    if free:
        c.fill(column, free[0], 1, style)
        c.put(column, free[0], sign, style)


def marks(log: Sequence[DecisionView], now: float, window_s: float) -> list[tuple[float, str]]:
    """Where in the window the percentage was raised or lowered."""
    start = now - window_s
    return [
        (min(1.0, (d.at - start) / window_s), MARKED[d.kind])
        for d in log
        if d.kind in MARKED and d.at >= start and d.percent_from != d.percent_to
    ]


def nice(value: float) -> float:
    """The next round number: 1, 2, 2.5, 5, 10 times a power of ten."""
    power = 1.0
    while power > value:
        power /= 10
    while power * 10 <= value:
        power *= 10
    return next(
        (step * power for step in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10) if step * power >= value * 0.999), 10 * power
    )
