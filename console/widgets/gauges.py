"""The LLM's share; the four main figures, each with its target and sample size; the attribution; the LLM servers."""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

from msgspec.structs import replace
from rich.cells import cell_len

from console.widgets import blocks, numerals, words
from console.widgets.blocks import BOXED, Area
from console.widgets.canvas import Canvas, Span, fit
from engine.plan.durations import format_duration
from engine.text import rate_percent
from engine.view.model import Gauge, ServerView, View

LARGE_ROWS = numerals.ROWS + 3
SMALL_ROWS = 3


def percent_bar(c: Canvas, y: int, v: View) -> int:
    """0 to 100 % with the plan's stages marked; the LLM's share is drawn heavy and ends in a dot. Returns the rows
    used."""
    x, width = 1, c.width - 2
    left, right = x + 2, x + width - 4
    span = max(1, right - left - 1)
    at = left + round(span * min(v.percent_bp, 10_000) / 10_000)
    c.fill(left, y, right - left, "line", "-" if c.ascii else "─")
    c.fill(left, y, at - left, "llm", "=" if c.ascii else "━")
    c.put(x, y, "0", "dim")
    c.put(right + 1, y, "100", "dim" if v.percent_bp < 10_000 else "llm")
    here = f" {v.percent_bp / 100:g} " if 0 < v.percent_bp < 10_000 and at + 6 < right else ""
    c.put(at, y, "●", "llm" if v.effective_bp == v.percent_bp else "bad+")
    c.put(at + 1, y, here, "strong")
    named = width >= BOXED
    for percent, name in _marks(v):
        position = left + round(span * percent / 10_000)
        label = f" {percent / 100:g} "
        if not at - 4 < position < at + 3 + len(here) and position + len(label) < right:
            c.put(position - 1, y, label, "dim" if percent > v.percent_bp else "llm")
        if named:
            c.put(min(position - 1, right + 4 - len(name)), y + 1, name, "strong" if percent == v.percent_bp else "dim")
    return 2 if named else 1


def _marks(v: View) -> list[tuple[int, str]]:
    """(basis points, short name) of the plan's stages above 0 %."""
    pairs = zip(v.stage_percents, v.stage_names or [""] * len(v.stage_percents), strict=False)
    return sorted({percent: words.short(name) for percent, name in pairs if percent > 0}.items())


def gauges(c: Canvas, y: int, v: View, large: bool = False, old: bool = False) -> int:
    """The four figures side by side. `large`: numerals readable across the room. `old`: the figures are stale, so none
    is judged. Returns the rows used."""
    draw, rows = (_large, LARGE_ROWS) if large else (_small, SMALL_ROWS)
    spots = blocks.beside(Area(1, y, c.width - 2, rows), (1, 1, 1, 1), 2)
    error, latency = words.gauges(v)
    named = (
        (words.of_arm("error rate", error.arm), error, words.rate(error.value, 1, error.target)),
        (words.of_arm("latency", latency.arm), latency, words.ms(latency.value)),
        ("cache hits", v.cache, words.rate(v.cache.value, 0, v.cache.target)),
    )
    answered = error.n > (error.k or 0)
    for area, (name, g, value) in zip(spots, named, strict=False):
        g = replace(g, ok=None) if old else g
        uncounted = answered and not g.n and g.metric.startswith("latency")
        draw(c, area, name, g, value, "no answer counted" if uncounted else evidence(g))
    _methods(c, spots[3], v)
    return rows


def _small(c: Canvas, area: Area, name: str, g: Gauge, value: str, basis: str) -> None:
    sign, style = words.mark(g.ok)
    x, y, width, _ = area
    window = format_duration(g.window_s)
    between = " · " if len(name) + 3 + len(window) <= width else " "
    c.spans(x, y, [(name, "head"), (between + window, "dim")], width)
    c.spans(x, y + 1, [(f"{sign} ", style), (value, value_style(g)), (f"  {words.target(g)}", "dim")], width)
    c.put(x, y + 2, basis, "dim", width)


def _large(c: Canvas, area: Area, name: str, g: Gauge, value: str, basis: str) -> None:
    sign, style = words.mark(g.ok)
    inner = blocks.panel(
        c,
        area,
        f"{name} · {format_duration(g.window_s)}",
        f"target {words.target(g)}" if g.target is not None else "",
        "dim",
    )
    x, y, width, _ = inner
    c.put(x, y + 1, sign, style)
    if g.value is not None and numerals.width(value) <= width - 2:
        numerals.put(c, x + 2, y, value, value_style(g))
    else:
        c.put(x + 2, y + 1, value, value_style(g), width - 2)
    c.put(x, y + numerals.ROWS, basis, "dim", width)


def value_style(g: Gauge) -> str:
    return "strong" if g.ok is None else "ok+" if g.ok else "bad+"


def evidence(g: Gauge) -> str:
    """The evidence behind a figure: "17/304 · at most 8.4 %"; for a mean "p95 2.11 s · n 287"."""
    if g.n == 0:  # attempts may all have failed: they have no latency
        return "no LLM answers" if g.metric.startswith("latency") else "no LLM documents"
    if g.metric.startswith("latency"):
        return (f"p95 {words.ms(g.p95)} · " if g.p95 is not None else "") + f"n {words.count(g.n)}"
    of = f"{words.count(g.k)}/{words.count(g.n)}" if g.k is not None else f"n {words.count(g.n)}"
    return of + (f" · ≤ {rate_percent(g.bound, 1)}" if g.bound is not None else "")


def _methods(c: Canvas, area: Area, v: View) -> None:
    """The share of each method in the window's documents: two bars with figures."""
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
        c.put(x + 6 + cells, y + row, rate_percent(share, 0) if total else "–", "text")
    if area.height > SMALL_ROWS:
        fallback, cached = v.methods.get("fallback", 0), v.methods.get("cached", 0)
        c.put(x, y + 2, f"{words.count(total)} documents", "dim", width)
        c.put(x, y + 3, f"{words.count(cached)} cached · {words.count(fallback)} fell back", "dim", width)


class Detail(NamedTuple):
    """How much detail to show per LLM server."""

    calls: bool = False  # calls in flight of its limit
    speed: bool = True
    next: bool = False  # for a server that is down: what happens next


DETAILS = (Detail(calls=True, next=True), Detail(next=True), Detail(), Detail(speed=False))
CUT = (48, 32, 20, 12, 0)  # cells of a reason, where whole ones would hide another server


def servers(v: View, detail: Detail = DETAILS[0], most: int = 400) -> list[Span]:
    """Each LLM server: up and how fast, or why it is down, in `most` cells. Servers that are down for the same reason
    share a line."""
    parts: list[Span] = []
    facts = [fit(_fact(s, detail), most) for s in v.servers]
    for number, (s, fact) in enumerate(zip(v.servers, facts, strict=True)):
        failing = bool(s.up and s.failures)
        sign, style = ("▲", "warn") if failing else words.mark(s.up)
        shared = not s.up and any(
            fact == other and not after.up
            for other, after in zip(facts[number + 1 : number + 2], v.servers[number + 1 :], strict=False)
        )
        parts += [(f"{s.name} ", "text"), (f"{sign}{' ' if fact else '   '}", style)]
        if fact and not shared:
            parts.append((f"{fact}   ", "dim" if s.up and not failing else style))
    return [*parts[:-1], (parts[-1][0].rstrip(), parts[-1][1])] if parts else [("no LLM server known", "dim")]


def _fact(s: ServerView, detail: Detail) -> str:
    if not s.up or s.failures:
        reason = words.reason(s)
        return f"{reason}, {s.state}" if reason and detail.next else reason or s.state
    speed = words.ms(s.latency_ms) if s.latency_ms is not None else s.state
    calls = f" {s.in_flight}/{s.window:.0f}" if detail.calls and s.window else ""  # none is known of the past
    calls += f" {s.learnt}" if detail.calls and s.learnt else ""
    return f"{speed}{calls}" if detail.speed else ""


def evidence_line(c: Canvas, y: int, v: View) -> None:
    """The attribution in full, and next to it as much about the LLM servers as fits, always one that is down."""
    beside = cell_len(v.attribution) + 5 if v.attribution else 2
    for detail in DETAILS:
        parts = servers(v, detail)
        need = sum(cell_len(text) for text, _ in parts)
        if beside + need <= c.width:
            break
    for most in CUT:  # a reason gives way to the other servers, and to a part of the attribution
        if min(beside, c.width // 3 + 6) + need <= c.width:
            break
        parts = servers(v, detail, most)
        need = sum(cell_len(text) for text, _ in parts)
    if not v.attribution:
        c.spans(1, y, parts, c.width - 2)
        return
    if beside + need > c.width and all(server.up is not False for server in v.servers):
        c.put(1, y, v.attribution, "text", c.width - 2)  # servers that answer or were not called are not news
        return
    left = max(c.width - need - 5, c.width // 3)
    c.put(1, y, v.attribution, "text", left)
    c.spans(left + 3, y, parts, c.width - left - 3)
