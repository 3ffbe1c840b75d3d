"""The report's charts as SVG without script, font or network; each has a description in words.

Widths are in user units of a drawing 760 wide that scales with the page. Colours are classes of page.css, so they
follow the reader's light or dark setting and print in black.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from msgspec import Struct

from engine.plan.durations import format_duration
from engine.report.elements import Element, el
from engine.report.model import Curves, Incident, Point, StageStory
from engine.report.timeline import duration, moment_of
from engine.text import counted, percent

WIDTH, LEFT, RIGHT = 760.0, 58.0, 12.0
HOUR, DAY = 3600.0, 86400.0

Scale = Callable[[float], float]


def drawing(height: float, title: str, about: str, *children: Element | None, width: float = WIDTH) -> Element:
    """An SVG for screen readers too: role, title and description come first."""
    return el(
        "svg", el("title", title), el("desc", about), *children,
        viewBox=f"0 0 {width:g} {height:g}", role="img", aria_label=f"{title}. {about}", class_="chart",
    )  # fmt: skip


def text(x: float, y: float, content: str, kind: str = "label", anchor: str = "start") -> Element:
    return el("text", content, x=x, y=y, class_=kind, text_anchor=anchor)


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Element:
    return el("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=kind)


class Plot(Struct, frozen=True):
    """Where values are drawn: from 0 at the bottom to `high` at the top."""

    left: float
    right: float
    top: float
    bottom: float
    high: float

    def y(self, value: float) -> float:
        return self.bottom - (self.bottom - self.top) * min(max(value, 0.0), self.high) / self.high

    def across(self, value: float, kind: str) -> Element:
        return line(self.left, self.y(value), self.right, self.y(value), kind)

    def grid(self, values: Sequence[float], unit: Callable[[float], str]) -> list[Element | None]:
        labels = [text(self.left - 6, self.y(value) + 3.5, unit(value), anchor="end") for value in values]
        return [*(self.across(value, "grid") for value in values), *labels]


def scale_end(curves: Sequence[Sequence[Point]], least: float, target: float | None, most: float = math.inf) -> float:
    """A round number above nearly all values and the target, so that one hour of three documents does not flatten weeks
    to a line."""
    known = sorted(value for points in curves for _, value in points if value is not None)
    usual = known[min(len(known) - 1, int(len(known) * 0.98))] * 1.2 if known else 0.0
    return min(most, round_up(max(usual, least, (target or 0.0) * 1.25)))


# -- the percentage over time -----------------------------------------------------------------------------------------


def percentage(curves: Curves, stages: Sequence[StageStory], stable: int) -> Element:
    """The percentage over time as a stepped area, stages named above it, incidents marked."""
    top, bottom, height = 40.0, 178.0, 206.0
    x, plot = _time_scale(curves), Plot(LEFT, WIDTH - RIGHT, top, bottom, 10_000)
    y = plot.y
    parts = plot.grid((0, 1000, 2500, 5000, 10_000), lambda bp: percent(int(bp)))
    parts += _stage_names(curves, stages, stable, x, top - 8)
    steps = [f"M{x(curves.start):.1f} {y(0):.1f}"]
    for moment, bp in curves.percent:
        steps.append(f"H{x(moment):.1f}V{y(bp):.1f}")
    steps.append(f"H{x(curves.end):.1f}")
    path = "".join(steps)
    parts += [
        el("path", d=f"{path}V{y(0):.1f}H{x(curves.start):.1f}Z", class_="area"),
        el("path", d=path, class_="curve"),
    ]
    parts += _incidents([x(moment) for moment in curves.incidents], top, bottom)
    parts += _time_axis(curves, x, bottom)
    last = curves.percent[-1][1] if curves.percent else 0
    highest = max((bp for _, bp in curves.percent), default=0)
    about = (
        f"From {moment_of(curves.start)} to {moment_of(curves.end)}. Highest {percent(highest)}, at the end "
        f"{percent(last)}; {counted(len(curves.incidents), 'incident')} marked with numbers."
    )
    return drawing(height, "Share of documents that may use the LLM", about, *parts)


def _stage_names(curves: Curves, stages: Sequence[StageStory], stable: int, x: Scale, y: float) -> list[Element | None]:
    """Each visit's short name above its span, if it fits."""
    out: list[Element | None] = []
    ends = [moment for moment, _ in curves.stages[1:]] + [curves.end]
    free = 0.0
    for (begin, number), end in zip(curves.stages, ends, strict=True):
        at, wide = x(max(begin, curves.start)), x(end) - x(max(begin, curves.start))
        name = "stable" if number >= stable else stages[number].name.split()[0] if number < len(stages) else ""
        for label in (name, *(() if number >= stable else (str(number),))):
            if wide >= 6.4 * len(label) + 6 and at >= free:
                out += [line(at, y + 4, at, y - 8, "tick"), text(at + 4, y, label, "stage")]
                free = at + 6.4 * len(label) + 6
                break
    return out


def _incidents(places: Sequence[float], top: float, bottom: float) -> list[Element | None]:
    """Numbered marks; overlapping ones are stacked."""
    out: list[Element | None] = []
    depth, before = 0, -100.0
    for number, x in enumerate(places, 1):
        depth = depth + 1 if x - before < 15 else 0
        before = x
        y = min(top + 15 * depth, bottom - 8)
        mark = el("circle", cx=x, cy=y, r=7, class_="mark")
        out += [line(x, top, x, bottom, "incident"), mark, text(x, y + 3.5, str(number), "number", "middle")]
    return out


# -- a measured curve --------------------------------------------------------------------------------------------------


def measured(
    curves: Curves,
    title: str,
    lines: Sequence[tuple[str, str, Sequence[Point]]],
    unit: Callable[[float], str],
    target: float | None,
    least: float,
    most: float = math.inf,
) -> Element:
    """One or two curves (name, class, points) over the report's time, with the target; gaps stay gaps. The axis ends
    between `least` and `most`."""
    top, bottom, height = 26.0, 118.0, 146.0
    x, high = _time_scale(curves), scale_end([points for _, _, points in lines], least, target, most)
    plot = Plot(LEFT, WIDTH - RIGHT, top, bottom, high)
    highest = max((value for _, _, points in lines for _, value in points if value is not None), default=0.0)
    parts = plot.grid((0.0, high / 2, high), unit)
    parts += [line(x(moment), top, x(moment), bottom, "incident") for moment in curves.incidents]
    if target is not None:
        label = text(WIDTH - RIGHT, plot.y(target) - 4, f"target {unit(target)}", "target-label", "end")
        parts += [plot.across(target, "target"), label]
    parts += [curve(points, curves.span_s, x, plot.y, kind) for _, kind, points in lines]
    if highest > high:
        parts.append(text(WIDTH - RIGHT, 15.5, f"cut off at the top: the maximum is {unit(highest)}", anchor="end"))
    at = LEFT
    for name, kind, _ in lines:
        parts += [line(at, 12, at + 16, 12, kind), text(at + 21, 15.5, name, "stage")]
        at += 34 + 6.4 * len(name)
    parts += _time_axis(curves, x, bottom)
    return drawing(height, title, _about(lines, unit, target), *parts)


def _about(
    lines: Sequence[tuple[str, str, Sequence[Point]]], unit: Callable[[float], str], target: float | None
) -> str:
    parts = []
    for name, _, points in lines:
        known = [value for _, value in points if value is not None]
        parts.append(
            f"{name}: from {unit(min(known))} to {unit(max(known))}, at the end {unit(known[-1])}"
            if known
            else f"{name}: nothing was measured"
        )
    return "; ".join(parts) + (f". The target is {unit(target)}." if target is not None else ".")


def curve(points: Sequence[Point], span: float, x: Scale, y: Scale, kind: str) -> Element:
    """Runs of known values, each point in the middle of its span; a single one is a dot."""
    runs: list[list[tuple[float, float]]] = [[]]
    for moment, value in points:
        if value is None:
            runs.append([])
        else:
            runs[-1].append((x(moment + span / 2), y(value)))
    drawn = "".join(
        f"{'L' if at else 'M'}{px:.1f} {py:.1f}" for run in runs if len(run) > 1 for at, (px, py) in enumerate(run)
    )
    dots = [el("circle", cx=run[0][0], cy=run[0][1], r=1.8, class_=f"{kind} dot") for run in runs if len(run) == 1]
    return el("g", el("path", d=drawn, class_=f"{kind} curve") if drawn else None, *dots)


# -- where the time went -----------------------------------------------------------------------------------------------

SPENT = (
    ("bake", "bake"),
    ("until the figures met the gate", "figures"),
    ("waiting for people", "people"),
    ("held or locked", "held"),
)


def spent(stages: Sequence[StageStory]) -> Element:
    """One bar per stage: bake, figures, people, holds."""
    entered = [s for s in stages if s.entered is not None]
    row, top, left = 24.0, 30.0, 150.0
    height = top + row * len(entered) + 6
    longest = max((sum(_parts(s)) for s in entered), default=0.0) or 1.0
    room = WIDTH - left - 92
    parts: list[Element | None] = []
    at = left
    for name, kind in SPENT:
        parts += [el("rect", x=at, y=4, width=10, height=10, class_=f"{kind} bar"), text(at + 15, 13, name, "stage")]
        at += 30 + 6.2 * len(name)
    for index, stage in enumerate(entered):
        y = top + row * index
        parts.append(text(left - 8, y + 13, f"{stage.number} {_short(stage.name)}", "stage", "end"))
        at = left
        for seconds, (_, kind) in zip(_parts(stage), SPENT, strict=True):
            wide = room * seconds / longest
            if wide > 0.2:
                parts.append(el("rect", x=at, y=y + 2, width=wide, height=row - 9, class_=f"{kind} bar"))
            at += wide
        parts.append(text(at + 6, y + 13, format_duration(sum(_parts(stage)))))
    about = "; ".join(
        f"stage {s.number} {s.name}: "
        + ", ".join(
            f"{name} {format_duration(value)}" for value, (name, _) in zip(_parts(s), SPENT, strict=True) if value >= 1
        )
        for s in entered
    )
    return drawing(height, "Where the time went, by stage", f"{about}.", *parts)


def _short(name: str, most: int = 20) -> str:
    """The whole words of a stage's name that fit next to its bar."""
    kept = ""
    for word in name.split():
        if kept and len(kept) + 1 + len(word) > most:
            break
        kept = f"{kept} {word}".strip()
    return kept[:most]


def _parts(stage: StageStory) -> tuple[float, float, float, float]:
    return stage.baked_s, stage.figures_s, stage.waited_s, stage.held_s


# -- an incident -------------------------------------------------------------------------------------------------------


def moments(incident: Incident) -> Element | None:
    """First failure, first breach, decision and effect on one line; None if fewer than two are known."""
    known = [
        (at, name)
        for at, name in (
            (incident.onset, "first failure"),
            (incident.detected, "first breach"),
            (incident.decided, "decided"),
            (incident.effective, "in force"),
        )
        if at is not None
    ]
    if len(known) < 2:
        return None
    start, end = known[0][0], max(at for at, _ in known)
    left, right, y = 70.0, WIDTH - 70.0, 26.0
    places: list[float] = []
    for at, _ in known:  # to scale, but never so close that names overlap
        exact = left + (right - left) * (at - start) / (end - start or 1.0)
        places.append(max(exact, places[-1] + 120.0) if places else exact)
    over = places[-1] - right
    if over > 0:
        places = [
            min(place, right - 120.0 * (len(places) - 1 - at)) if at else place for at, place in enumerate(places)
        ]
    parts: list[Element | None] = [line(places[0], y, places[-1], y, "axis")]
    for (at, name), x in zip(known, places, strict=True):
        parts += [
            el("circle", cx=x, cy=y, r=4.5, class_="moment"),
            text(x, y - 11, name, "stage", "middle"),
            text(x, y + 19, _clock(at), anchor="middle"),
        ]
    for (a, _), (b, _), left_x, right_x in zip(known, known[1:], places, places[1:], strict=False):
        parts.append(text((left_x + right_x) / 2, y - 4, duration(round(b - a, 3)), "span", "middle"))
    about = "; ".join(f"{name} at {moment_of(at, seconds=True)}" for at, name in known)
    return drawing(54, f"Incident of decision {incident.rev}", f"{about}.", *parts)


# -- axes --------------------------------------------------------------------------------------------------------------


def _time_scale(curves: Curves) -> Scale:
    length = max(curves.end - curves.start, 1.0)
    return lambda at: LEFT + (WIDTH - LEFT - RIGHT) * min(max(at - curves.start, 0.0), length) / length


_STEPS = (60.0, 300.0, 900.0, HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 14 * DAY, 28 * DAY)


def _time_axis(curves: Curves, x: Scale, bottom: float) -> list[Element | None]:
    length = curves.end - curves.start
    step = next((step for step in _STEPS if length / step <= 9), _STEPS[-1])
    out: list[Element | None] = [line(LEFT, bottom, WIDTH - RIGHT, bottom, "axis")]
    at = curves.start // step * step + step
    while at < curves.end:
        label = _day(at) if step >= DAY else _clock(at)[:5] if at % DAY else _day(at)
        out += [line(x(at), bottom, x(at), bottom + 4, "axis"), text(x(at), bottom + 17, label, anchor="middle")]
        at += step
    return out


def round_up(value: float) -> float:
    """The next of 1, 2, 2.5, 5 times a power of ten."""
    scale = 1e-6
    while scale < 1e12:
        for factor in (1.0, 2.0, 2.5, 5.0):
            if value <= factor * scale:
                return factor * scale
        scale *= 10
    return value


def _utc(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def _day(at: float) -> str:
    return f"{_utc(at).day} {_utc(at):%b}"


def _clock(at: float) -> str:
    return f"{_utc(at):%H:%M:%S}"
