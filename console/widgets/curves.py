"""Curves with their thresholds, the part beyond them in another colour, and marks where the percentage changed."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, log10
from typing import NamedTuple

from rich.cells import cell_len

from console.widgets import blocks, plot, words
from console.widgets.blocks import Area
from console.widgets.canvas import Canvas
from console.widgets.timegrid import Grid, ticks
from engine.view.model import DecisionView

LEAST_ROWS = 5  # a curve with fewer is uninformative
MARKED = {"promote": "▲", "undo_rollback": "▲", "rollback": "▼", "trigger": "▼"}
CLIPPED = 4.0  # times the highest threshold: values above are clipped, and the edge shows it
AXIS_ROWS = 5  # from this height on a curve has a time axis


class Measure(NamedTuple):
    """How a metric is drawn: its name in the store, a title, and the unit that scales and labels its values."""

    metric: str
    title: str
    scale: float
    unit: str
    low_is_bad: bool = False
    least: float = 1.0  # the least upper end of the scale, in the unit shown: a flat line at zero isn't magnified
    counted: bool = False  # documents of a bucket, shown as documents a minute


QUANTILES = ("p50", "p95", "p99")
MEASURES = {
    m.metric: m
    for m in (
        Measure("error_rate", "error rate", 0.01, " %"),
        Measure("latency_mean", "latency", 1000.0, " s"),
        Measure("latency_quantiles", "latency p50 p95 p99", 1000.0, " s"),
        Measure("cache_hit_rate", "cache hits", 0.01, " %", low_is_bad=True),
        Measure("llm_share", "documents by LLM", 0.01, " %", least=10.0),
        Measure("llm_documents", "LLM documents", 1.0, "", counted=True),
        Measure("documents", "documents enriched", 1.0, "", counted=True),
    )
}


class Chart(NamedTuple):
    """What is drawn. `limits` are (value, words), `marks` (moment, sign) decisions; `other` is the other arm, a thin
    line; `cursor` the moment that the screen shows when it is not now; `lines` are several of one unit on a scale of
    powers of ten."""

    measure: Measure
    series: Sequence[float | None]
    grid: Grid
    window: str
    limits: Sequence[tuple[float, str]] = ()
    now: str = ""
    marks: Sequence[tuple[float, str]] = ()
    empty: str = "no data in this window"
    other: Sequence[float | None] = ()
    cursor: float | None = None
    lines: Sequence[tuple[str, Sequence[float | None]]] = ()

    @property
    def scale(self) -> float:
        return self.measure.scale * (self.grid.span / 60.0 if self.measure.counted else 1.0)

    @property
    def unit(self) -> str:
        return "a minute" if self.measure.counted else self.measure.unit.strip()


def curve(c: Canvas, area: Area, chart: Chart) -> None:
    """A titled plot on the screen's grid of time, or why there is none."""
    measure = chart.measure
    title = " · ".join(part for part in (measure.title, chart.window, chart.unit) if part)
    notes = [*_notes(chart), ""]
    note = next(
        n for n in notes if not n or cell_len(title) + cell_len(n) + (8 if c.width >= blocks.BOXED else 4) < area.width
    )
    x, y, width, height = blocks.panel(c, area, title, note)
    axis_row = height >= AXIS_ROWS
    rows = height - axis_row
    plotted, low, top = _scale(c, Area(x, y, width, rows), chart)
    if chart.lines:
        _lines(c, plotted, chart, low, top)
    else:
        _one(c, plotted, chart, top)
    known = any(v is not None for v in chart.series) or any(v is not None for _, line in chart.lines for v in line)
    if not known:
        _empty(c, plotted, chart.empty)
    columns: dict[int, list[str]] = {}
    for at, sign in chart.marks:
        if chart.grid.start <= at <= chart.grid.end:
            column = column_of(chart.grid, at, plotted)
            signs = columns.setdefault(column, [])
            signs += [sign] if sign not in signs else []
            _mark(c, plotted, column, sign, signs.index(sign))
    if axis_row:
        _axis(c, plotted, y + rows, chart.grid)
    _cursor(c, plotted, chart)


def _empty(c: Canvas, area: Area, text: str) -> None:
    """Why there is no curve, in the row nearest to the middle that no threshold's label is in."""
    size, middle = min(cell_len(text) + 2, area.width - 1), area.height // 2
    rows = sorted(range(area.height), key=lambda row: abs(row - middle))
    free = (row for row in rows if "limit" not in c.styles[area.y + row][area.x : area.x + area.width])
    row = area.y + next(free, middle)
    c.fill(area.x + 1, row, size, "dim")
    c.put(area.x + 1, row, f" {text} ", "dim", size)


def column_of(grid: Grid, at: float, area: Area) -> int:
    return area.x + round((at - grid.start) / grid.seconds * (area.width - 1))


def _notes(chart: Chart) -> list[str]:
    """Right of the title: the value at the cursor, with its time if it fits; else the current value. One that is not
    of the newest buckets, or that no gauge has, has its time."""
    if chart.cursor is None:
        unknown = chart.now == words.NO_DATA
        if chart.now and not unknown:
            return [chart.now]
        last = next(((i, v) for i, v in reversed([*enumerate(chart.series)]) if v is not None), None)
        if last is None:
            return [chart.now]
        shown, old = in_unit(chart, last[1]), unknown or last[0] < len(chart.series) - NEWEST
        at = words.moment(chart.grid.start + last[0] * chart.grid.span)[:5]
        return [f"{shown} at {at}", words.NO_DATA] if old else [shown]
    place = int((chart.cursor - chart.grid.start) // chart.grid.span)
    if chart.lines:
        shown = " ".join(words.ms(line[place]) for _, line in chart.lines if 0 <= place < len(line))
    else:
        value = chart.series[place] if 0 <= place < len(chart.series) else None
        shown = words.NO_DATA if value is None else in_unit(chart, value)
    return [f"{shown} at {words.moment(chart.cursor)[:5]}", shown]


NEWEST = 3  # buckets; the last one has only begun
LEFT = 6  # what the labels take at least, so that all charts of a screen have one grid


def _scale(c: Canvas, area: Area, chart: Chart) -> tuple[Area, float, float]:
    """The labels on the left; returns (the curve's area, the value at its lower edge, the value at its upper edge)."""
    measure, scale, rows = chart.measure, chart.scale, area.height
    limits = [v / scale for v, _ in chart.limits]
    if chart.lines:
        known = [v / scale for _, line in chart.lines for v in line if v is not None and v > 0]
        top, low = nice(max(known, default=1.0) * 1.1), _below(min(known, default=0.1))
        labels = {0: f"{top:,.3g}{measure.unit}", rows - 1: f"{low:,.3g}"}
        if rows >= 5:
            labels[rows // 2] = f"{(top * low) ** 0.5:,.2g}"
    else:
        known = [v / scale for v in (*chart.series, *chart.other) if v is not None]
        top = _top(known, limits, measure.least, 100.0 if measure.unit == " %" else inf)
        # one bad document in a quiet minute is 100 %: it must not flatten the thresholds
        if limits and not measure.low_is_bad:
            top = min(top, nice(CLIPPED * max(limits)))
        low, cut = 0.0, any(v > top for v in known)
        labels = {0: f"{'≥' if cut else ''}{top:,.10g}{measure.unit}", rows - 1: "0"}
        if rows >= 5:
            labels[rows // 2] = f"{top / 2:,.10g}"
    left = max(LEFT, *(len(label) + 1 for label in labels.values()))
    for row, label in labels.items():
        c.right(area.x + left - 1, area.y + row, label, "dim")
    return Area(area.x + left, area.y, area.width - left, rows), low, top


def _below(value: float) -> float:
    """The round number at or below: 1, 2 or 5 times a power of ten."""
    power = nice(value) / 10
    while power * 10 <= value:
        power *= 10
    return next((power * step for step in (5, 2, 1) if power * step <= value), power)


def _one(c: Canvas, area: Area, chart: Chart, top: float) -> None:
    values = [None if v is None else v / chart.scale for v in chart.series]
    limits = [v / chart.scale for v, _ in chart.limits]
    if any(v is not None for v in chart.other):
        _thin(c, area, [None if v is None else v / chart.scale for v in chart.other], 0.0, top)
    _draw(c, area, values, top, limits, chart.measure.low_is_bad, filled=chart.measure.counted)
    for value, text in reversed(chart.limits):
        _limit(c, area, value / chart.scale / top, text)


def _lines(c: Canvas, area: Area, chart: Chart, low: float, top: float) -> None:
    """Several lines on a logarithmic scale, so that the smallest shows next to the largest; each named at its end."""
    for number, (name, line) in enumerate(chart.lines):
        values = [None if v is None or v <= 0 else log10(v / chart.scale) for v in line]
        style = "curve" if number == 1 else "freq"
        _thin(c, area, values, log10(low), log10(top), style)
        last = next((v for v in reversed(values) if v is not None), None)
        if last is None:
            continue
        row = round((1 - (last - log10(low)) / (log10(top) - log10(low))) * (area.height - 1))
        _over(c, area.x + area.width - len(name), area.y + max(0, min(area.height - 1, row)), name, style)


def _over(c: Canvas, x: int, y: int, text: str, style: str) -> None:
    """Write over what is there."""
    c.fill(x, y, len(text), style)
    c.put(x, y, text, style)


def _ink(c: Canvas, x: int, y: int, line: str, style: str) -> None:
    """A row of a curve, whose blanks leave what is there. Cells are written as they are: this runs hundreds of times a
    paint."""
    if 0 <= y < c.height and line.strip():
        chars, styles = c.chars[y], c.styles[y]
        for column, char in enumerate(line[: c.width - x], x):
            if char != " ":
                chars[column], styles[column] = char, style


def _thin(c: Canvas, area: Area, values: Sequence[float | None], low: float, top: float, style: str = "freq") -> None:
    """A line without emphasis, over what is there."""
    for row, line in enumerate(plot.curve(values, area.width, area.height, low, top, c.ascii)):
        _ink(c, area.x, area.y + row, line, style)


def _axis(c: Canvas, area: Area, y: int, grid: Grid) -> None:
    """Round moments below the plot."""
    end = area.x - 1
    for at, name in ticks(grid, max(2, area.width // 9)):
        column = column_of(grid, at, area)
        start = max(area.x, min(column - len(name) // 2, area.x + area.width - len(name)))
        if start > end:
            end = c.put(start, y, name, "dim")


def _cursor(c: Canvas, area: Area, chart: Chart) -> None:
    """The moment that the screen shows, and a click on any column that goes to its moment."""
    grid = chart.grid
    if chart.cursor is not None and grid.start <= chart.cursor <= grid.end:
        column = column_of(grid, chart.cursor, area)
        for row in range(area.y, min(c.height, area.y + area.height)):
            if not _in_label(c, column, row):
                c.fill(column, row, 1, "accent", "|" if c.ascii else "│")
    for column in range(area.width if grid.start > 0 else 0):
        at = grid.start + (column + 0.5) / area.width * grid.seconds
        c.zone(area.x + column, area.y, 1, area.height, f"app.travel_to({at:.0f})")


def in_unit(chart: Chart, value: float) -> str:
    """A value in words: those of its metric; of documents how many a minute."""
    if not chart.measure.counted:
        return words.figure(chart.measure.metric, value)
    value /= chart.scale
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _top(known: Sequence[float], limits: Sequence[float], least: float, most: float) -> float:
    """The value at the upper edge, with room above the curve, the lowest threshold and those near it."""
    highest = max([*(v * 1.15 for v in known), *(v * 1.25 for v in sorted(limits)[:1])], default=0.0)
    near = [v * 1.2 for v in limits if v <= highest * 1.6]
    return min(nice(max([highest, least, *near])), most)


def _draw(
    c: Canvas,
    area: Area,
    series: Sequence[float | None],
    top: float,
    limits: Sequence[float],
    low_is_bad: bool,
    filled: bool,
) -> None:
    """Draw the curve; the part beyond the first threshold in the alarm colour."""
    rows = plot.curve(series, area.width, area.height, 0.0, top, c.ascii, filled=filled)
    edge = round((1 - min(limits) / top) * (area.height - 1)) if limits else None
    for row, line in enumerate(rows):
        beyond = edge is not None and (row > edge if low_is_bad else row < edge)
        _ink(c, area.x, area.y + row, line, "over" if beyond else "curve")


def _limit(c: Canvas, area: Area, share: float, text: str) -> None:
    """Draw a dashed line where the curve isn't, with its label in free space."""
    row = min(area.height - 1, max(0, round((1 - share) * (area.height - 1))))
    if share > 1 or row == area.height - 1 or "limit" in c.styles[area.y + row][area.x : area.x + area.width]:
        return
    y, end = area.y + row, min(c.width, area.x + area.width)
    chars, styles, dash = c.chars[y], c.styles[y], "-" if c.ascii else "╌"
    for column in range(area.x, end):
        if chars[column] == " ":
            chars[column], styles[column] = dash, "limit"
    size = cell_len(text)
    starts = (area.x + 1, end - size - 2, area.x + (area.width - size) // 2)
    free = [start for start in starts if all(style == "limit" for style in c.styles[y][start - 1 : start + size + 1])]
    start = (free or [area.x + 1])[0]
    if start + size < end:
        c.fill(start, y, size, "limit")
        c.put(start, y, text, "limit", size)


def _in_label(c: Canvas, x: int, y: int) -> bool:
    """Whether a threshold's label is here, not its line."""
    return c.styles[y][x] == "limit" and c.chars[y][x] != ("-" if c.ascii else "╌")


def _mark(c: Canvas, area: Area, column: int, sign: str, above: int) -> None:
    """Mark a decision on the time axis: a sign at the top, below others of the same column and a threshold's label, and
    a dotted line down."""
    style = "bad" if sign == "▼" else "accent"
    rows = range(area.y, min(c.height, area.y + area.height))
    free = [
        row for row in rows if c.chars[row][column] == " " and c.styles[row][column] != "limit"
    ]  # don't split a threshold's label
    for row in free:
        c.fill(column, row, 1, style, ":" if c.ascii else "┊")
    whole = [row for row in rows if not _in_label(c, column, row)]
    y = whole[min(above, len(whole) - 1)] if whole else area.y
    c.fill(column, y, 1, style)  # the sign itself hides behind nothing, and hides no label
    c.put(column, y, sign, style)


def marks(log: Sequence[DecisionView]) -> list[tuple[float, str]]:
    """Moments at which the percentage was raised or lowered."""
    return [(d.at, MARKED[d.kind]) for d in log if d.kind in MARKED and d.percent_from != d.percent_to]


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
