"""The rollout as one read-only page for people without a shell: where it is, how it is, what comes next.

Pure: a view and its trends in, HTML out. The script replaces `main` by what the engine sends; without script the page
reloads every 15 s. No request leaves for another host, and the Content-Security-Policy names the one script and the one
style sheet by hash. It shows nothing that `/v1/status` does not: no address, no terminal, no document.
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import files
from xml.etree import ElementTree as ET

from msgspec import Struct

from engine.plan.durations import format_duration, iso
from engine.plan.units import target
from engine.report import charts
from engine.report.elements import Child, Element, el, page
from engine.report.html_parts import tile, when
from engine.report.model import Point
from engine.text import milliseconds, percent, rate_percent
from engine.view.model import ConditionView, DecisionView, GateView, Gauge, View

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 340.0, 118.0, 46.0, 10.0, 96.0
DECISIONS = 12
RELOAD_S = 15
GOOD, QUIET = ("ok",), ("idle", "no_traffic")


class Trend(Struct, frozen=True):
    """One small chart. `second` is drawn beside `first`; `unit` words a value."""

    title: str
    first: tuple[Point, ...]
    least: float  # the end of the scale at the least
    unit: Callable[[float], str]
    names: tuple[str, str] = ("", "")
    second: tuple[Point, ...] = ()
    target: float | None = None
    most: float = math.inf  # the scale never goes beyond it


class LiveTrends(Struct, frozen=True):
    start: float
    end: float
    of: tuple[Trend, ...] = ()


@cache
def _asset(name: str) -> str:
    return (files("engine.report") / name).read_text(encoding="utf-8")


@cache
def _style() -> str:
    return _asset("page.css") + _asset("live.css")


def _hash(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


@cache
def policy() -> str:
    """The Content-Security-Policy of the page: nothing but its own script, style and event stream."""
    return (
        f"default-src 'none'; script-src {_hash(_asset('live.js'))}; style-src {_hash(_style())}; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def document(view: View, trends: LiveTrends) -> str:
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("meta", name="robots", content="noindex"),
        el("title", f"{view.service}: {percent(view.effective_bp)}"),
        el("link", rel="icon", href="data:,"),
        el("style", _style()),
        el("noscript", el("meta", http_equiv="refresh", content=str(RELOAD_S))),
    )
    lost = el("p", "No connection to the engine. What you see may be old.", id="lost", role="alert", hidden="hidden")
    body = el("body", lost, el("main", *_parts(view, trends), id="live"), el("script", _asset("live.js")))
    return page(el("html", head, body, lang="en"))


def fragment(view: View, trends: LiveTrends) -> str:
    """The inside of `main`, in one line, as the event stream sends it."""
    parts = (ET.tostring(part, encoding="unicode", method="html") for part in _parts(view, trends))
    return "".join(parts).replace("\r", " ").replace("\n", " ")


def _parts(view: View, trends: LiveTrends) -> list[Element]:
    parts = (
        _head(view),
        _ladder(view),
        _gauges(view),
        _next(view),
        _charts(trends),
        _gate(view),
        _log(view),
        _foot(view),
    )
    return [part for part in parts if part is not None]


# -- at a glance -------------------------------------------------------------------------------------------------------


def _head(view: View) -> Element:
    kind = "good" if view.health in GOOD else "quiet" if view.health in QUIET else "bad"
    share = percent(view.effective_bp)
    below = "" if view.effective_bp == view.percent_bp else f" ({percent(view.percent_bp)} decided)"
    stage = "stable" if view.stable else f"stage {view.stage}"
    rehearsal = el("p", "A rehearsal: simulated service, sample documents, accelerated time.", class_="rehearsal")
    rollback = view.rollback.sentence if view.rollback is not None and not view.effective_bp else ""
    return el(
        "header",
        el("p", f"{view.service} · {view.environment}", class_="kicker"),
        el("h1", f"{share} by LLM{below}"),
        el("p", f"{stage}, {view.stage_name}. {view.stage_objective}", class_="where"),
        el("p", view.health_sentence, class_=f"health {kind}", role="status"),
        el("p", view.attribution, class_="note") if view.attribution else None,
        el("p", rollback, class_="note") if rollback else None,
        rehearsal if view.rehearsal else None,
    )


def _ladder(view: View) -> Element | None:
    """The stages in order, the current one marked."""
    if not view.stage_names:
        return None
    steps = []
    for number, (name, bp) in enumerate(zip(view.stage_names, view.stage_percents, strict=False)):
        here = number == view.stage
        kind = "here" if here else "done" if number < view.stage else "ahead"
        current = "step" if here else None
        steps.append(el("li", el("b", percent(bp)), f" {name}", class_=kind, aria_current=current))
    return el("ol", *steps, class_="ladder", aria_label="Stages")


def _gauges(view: View) -> Element:
    return el(
        "dl",
        _gauge("Error rate", view.error_rate, rate_percent),
        _gauge("Latency", view.latency, milliseconds),
        _gauge("Cache hits", view.cache, rate_percent),
        tile("Documents", f"{view.engine.documents_per_min:.3g}/min", _methods(view)),
        class_="figures",
    )


def _gauge(title: str, gauge: Gauge, unit: Callable[[float], str]) -> Element:
    mark = "" if gauge.ok is None else "✔ " if gauge.ok else "✖ "
    kind = None if gauge.ok is None else "good" if gauge.ok else "bad"
    value = "no data" if gauge.value is None else unit(gauge.value)
    wanted = "" if gauge.target is None else f"target {gauge.op} {target(gauge.metric, gauge.target)}, "
    return tile(title, el("span", mark + value, class_=kind), f"{wanted}n = {gauge.n:,}")


def count(value: float) -> str:
    return f"{value:,.0f}"


def _methods(view: View) -> str:
    """The share that each method served in the gauges' window."""
    counts = {name: view.methods.get(name, 0) for name in ("llm", "frequency")}
    total = sum(counts.values())
    return ", ".join(f"{name} {rate_percent(share / total)}" for name, share in counts.items()) if total else "none yet"


# -- what follows ------------------------------------------------------------------------------------------------------


def _section(title: str, *content: Child, name: str = "") -> Element:
    return el("section", el("h2", title), *content, class_=name or None)


def _next(view: View) -> Element | None:
    tasks = [task.sentence for task in view.inbox] if view.inbox is not None else view.waiting
    if not view.next and not tasks:
        return None
    people = [el("h3", "Waits for a person"), _list(tasks)] if tasks else []
    return _section("What happens next", _list(view.next) if view.next else None, *people, name="next")


def _list(lines: Sequence[str]) -> Element:
    return el("ul", *(el("li", line) for line in lines))


def _gate(view: View) -> Element | None:
    gate = view.gate
    if view.stable:
        return None
    state = "open" if gate.open else "not open yet"
    unsigned = [f"Checklist: {item.text}" for item in gate.items if item.required and item.state != "done"]
    title = f"Gate to stage {gate.next_stage} {gate.next_name}, {percent(gate.next_percent_bp)}"
    met = el("b", f"{state}, {gate.met} of {gate.total} met. ")
    return _section(
        title,
        el("p", met, gate.sentence, class_="good" if gate.open else None),
        _bake(gate),
        el("ul", *(_condition(one) for one in gate.conditions), class_="ticks") if gate.conditions else None,
        el("ul", *(el("li", line) for line in (*gate.blocked, *gate.others, *unsigned)), class_="missing"),
        name="gate",
    )


def _bake(gate: GateView) -> Element | None:
    if not gate.bake_s:
        return None
    done = min(gate.baked_s, gate.bake_s)
    of = f"Bake time: {format_duration(done)} of {format_duration(gate.bake_s)}. "
    return el("p", of, el("progress", max=str(round(gate.bake_s)), value=str(round(done)), aria_label="Bake time"))


def _condition(one: ConditionView) -> Element:
    failed = one.met is False and not one.lacks_samples
    mark, kind = ("✔", "good") if one.met else ("✖", "bad") if failed else ("…", "quiet")
    return el("li", el("span", mark, class_=f"tick {kind}"), one.text, el("small", one.sentence))


def _log(view: View) -> Element | None:
    if not view.log:
        return None
    return _section("Decisions", el("ol", *(_decision(one) for one in view.log[:DECISIONS]), class_="log"))


def _decision(one: DecisionView) -> Element:
    return el("li", when(one.at), " ", one.sentence)


def _foot(view: View) -> Element:
    more = "Read-only; the console (ssh, rollout) decides."
    return el("footer", el("p", "As of ", el("time", iso(view.at), datetime=iso(view.at)), f". {more}"))


# -- trends ------------------------------------------------------------------------------------------------------------


def _charts(trends: LiveTrends) -> Element | None:
    drawn = [_chart(trends, trend) for trend in trends.of]
    span = format_duration(trends.end - trends.start)
    return _section(f"Trends, {span}", el("div", *drawn, class_="charts")) if drawn else None


def _chart(trends: LiveTrends, trend: Trend) -> Element:
    high = charts.scale_end((trend.first, trend.second), trend.least, trend.target, trend.most)
    plot = charts.Plot(LEFT, WIDTH - 4, TOP, BOTTOM, high)

    def x(at: float) -> float:
        return LEFT + (WIDTH - LEFT - 4) * (at - trends.start) / max(trends.end - trends.start, 1.0)

    parts = plot.grid((0.0, high / 2, high), trend.unit)
    if trend.target is not None:
        parts.append(plot.across(trend.target, "target"))
    span = (trends.end - trends.start) / max(len(trend.first), 1)
    curves = ((trend.second, "second"), (trend.first, "first"))
    parts += [charts.curve(points, span, x, plot.y, kind) for points, kind in curves if points]
    parts += [
        charts.text(LEFT, HEIGHT - 6, iso(trends.start)[11:16]),
        charts.text(WIDTH - 4, HEIGHT - 6, f"{iso(trends.end)[11:16]} UTC", anchor="end"),
    ]
    legend = ", ".join(_named(trend.names, (trend.first, trend.second), trend.unit))
    wanted = f"; target {trend.unit(trend.target)}" if trend.target is not None else ""
    about = f"{legend or 'nothing was measured'}{wanted}"
    drawing = charts.drawing(HEIGHT, trend.title, about, *parts, width=WIDTH)
    return el("figure", el("figcaption", el("b", trend.title), f" {about}"), drawing)


def _named(names: Sequence[str], curves: Sequence[Sequence[Point]], unit: Callable[[float], str]) -> list[str]:
    """Each curve with its last value."""
    named = []
    for name, points in zip(names, curves, strict=True):
        last = next((value for _, value in reversed(points) if value is not None), None)
        if last is not None:
            named.append(f"{name} {unit(last)}".strip())
    return named
