"""The four numbers of the first glance, each with its goal and what it stands on; whose fault it looks like; the LLM servers."""

from __future__ import annotations

from math import ceil

from rich.cells import cell_len

from console.widgets import blocks, numerals, words
from console.widgets.blocks import Area
from console.widgets.canvas import Canvas, Span, columns
from engine.plan.durations import format_duration
from engine.view.model import Gauge, View

LARGE_ROWS = numerals.ROWS + 3
SMALL_ROWS = 3


def gauges(c: Canvas, y: int, v: View, large: bool = False) -> int:
    """The four side by side; how many rows they took. `large`: numerals that are read from across the room."""
    draw, rows = (_large, LARGE_ROWS) if large else (_small, SMALL_ROWS)
    spots = [Area(1 + x, y, width, rows) for x, width in columns(c.width - 2, (1, 1, 1, 1), 2)]
    named = (
        ("error rate", v.error_rate, words.rate(v.error_rate.value)),
        ("latency", v.latency, words.ms(v.latency.value)),
        ("cache hits", v.cache, words.rate(v.cache.value, 0)),
    )
    for area, (name, g, value) in zip(spots, named, strict=False):
        draw(c, area, name, g, value)
    _methods(c, spots[3], v)
    return rows


def _small(c: Canvas, area: Area, name: str, g: Gauge, value: str) -> None:
    sign, style = words.mark(g.ok)
    x, y, width, _ = area
    c.spans(x, y, [(name, "head"), (f" · {format_duration(g.window_s)}", "dim")], width)
    c.spans(x, y + 1, [(f"{sign} ", style), (value, value_style(g)), (f"  {words.target(g)}", "dim")], width)
    c.put(x, y + 2, evidence(g), "dim", width)


def _large(c: Canvas, area: Area, name: str, g: Gauge, value: str) -> None:
    sign, style = words.mark(g.ok)
    inner = blocks.panel(
        c,
        area,
        f"{name} · {format_duration(g.window_s)}",
        f"goal {words.target(g)}" if g.target is not None else "",
        "dim",
    )
    x, y, width, _ = inner
    c.put(x, y + 1, sign, style)
    if g.value is not None and numerals.width(value) <= width - 2:
        numerals.put(c, x + 2, y, value, value_style(g))
    else:
        c.put(x + 2, y + 1, value, value_style(g), width - 2)
    c.put(x, y + numerals.ROWS, evidence(g), "dim", width)


def value_style(g: Gauge) -> str:
    return "strong" if g.ok is None else "ok+" if g.ok else "bad+"


def evidence(g: Gauge) -> str:
    """What a number stands on: "17/304 · at most 8.4 %"; for a mean "p95 2.11 s · n 287"."""
    if g.n == 0:
        return "no documents yet"
    if g.metric.startswith("latency"):
        return (f"p95 {words.ms(g.p95)} · " if g.p95 is not None else "") + f"n {words.count(g.n)}"
    of = f"{words.count(g.k)}/{words.count(g.n)}" if g.k is not None else f"n {words.count(g.n)}"
    return of + (f" · ≤ {g.bound * 100:.1f} %" if g.bound is not None else "")


def _methods(c: Canvas, area: Area, v: View) -> None:
    """Who served the documents of the window: two bars, so that a share is seen and read."""
    title = f"methods · {format_duration(v.error_rate.window_s)}"
    if area.height > SMALL_ROWS:
        x, y, width, _ = blocks.panel(c, area, title, f"{v.engine.documents_per_min:.0f} a minute", "dim")
    else:
        c.spans(area.x, area.y, [("methods", "head"), (title[len("methods") :], "dim")], area.width)
        x, y, width = area.x, area.y + 1, area.width
    llm, freq = v.methods.get("llm", 0), v.methods.get("frequency", 0)
    total = llm + freq
    room = max(3, width - 11)
    for row, (name, n, style) in enumerate((("llm ", llm, "llm"), ("freq", freq, "freq"))):
        share = n / total if total else 0.0
        cells = ceil(room * share) if share else 0
        c.put(x, y + row, name, "dim")
        c.fill(x + 5, y + row, cells, style, "#" if c.ascii else "▆")
        c.put(x + 6 + cells, y + row, f"{share * 100:.0f} %" if total else "–", "text")
    if area.height > SMALL_ROWS:
        fallback, cached = v.methods.get("fallback", 0), v.methods.get("cached", 0)
        c.put(x, y + 2, f"{words.count(total)} documents", "dim", width)
        c.put(x, y + 3, f"{words.count(cached)} cached · {words.count(fallback)} fell back", "dim", width)


def servers(v: View, calls: bool = False) -> list[Span]:
    """Each LLM server in a word: up and how fast, or what is wrong; with `calls` also those in flight of those it gets at a time."""
    parts: list[Span] = []
    for s in v.servers:
        sign, style = words.mark(s.up)
        fact = words.ms(s.latency_ms) if s.up and s.latency_ms is not None else s.state
        if calls and s.up:
            fact = f"{fact} {s.in_flight}/{s.window:.0f}"
        parts += [(f"{s.name} ", "text"), (f"{sign} ", style), (f"{fact}   ", "dim" if s.up else style)]
    return [*parts[:-1], (parts[-1][0].rstrip(), parts[-1][1])] if parts else [("no LLM server known", "dim")]


def evidence_line(c: Canvas, y: int, v: View) -> None:
    """Whose fault it looks like, and how the LLM servers are."""
    parts = servers(v, calls=True)
    need = sum(cell_len(text) for text, _ in parts)
    if need > c.width // (2 if v.attribution else 1) - 3:
        parts = servers(v)
        need = sum(cell_len(text) for text, _ in parts)
    left = c.width - need - 5 if need < c.width // 2 else c.width // 2 - 3
    if v.attribution:
        c.put(1, y, v.attribution, "text", left)
        c.spans(left + 3, y, parts, c.width - left - 3)
    else:
        c.spans(1, y, parts, c.width - 2)
