"""Panels that several screens share: the header, the stage line, the percentage bar, gauges, plots, the footer."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from rich.cells import cell_len

from console.link import Sight
from console.widgets import plot, words
from console.widgets.canvas import Canvas, Span, fit, wrapped
from engine.plan.durations import clock, format_duration
from engine.view import DecisionView, Gauge, TriggerView, View


def header(c: Canvas, sight: Sight, who: str, read_only: bool = False) -> None:
    """Row 0: where this is, how to roll back, who looks, the time. Production never looks like a rehearsal."""
    v = sight.view
    c.fill(0, 0, c.width, "bar")
    if v is None:
        c.put(1, 0, "rollout", "bar-key")
        return
    if v.rehearsal:
        x = c.put(0, 0, f" ╱╱ REHEARSAL {v.speed:g}x ╱╱ ", "rehearsal")
    else:
        x = c.put(
            0, 0, f" {v.environment.upper()} ", "production" if v.environment.lower().startswith("prod") else "other"
        )
    now = words.moment(v.at) + "Z "
    right = c.right(c.width, 0, now, "bar" if sight.pulse.state == "well" else "bar-bad")
    names = sorted({o.name for o in v.operators} - {who})
    others = "" if not names else f" (+ {', '.join(names)})" if len(names) < 3 else f" (+ {len(names)})"
    room = right - x
    mode = "  READ-ONLY" if read_only else ""
    people = f"{who}{others}{mode}  "
    roll = "R rollback to 0 %   "
    if len(roll) + cell_len(people) <= room:
        right = c.right(right, 0, people, "bar-dim")
    if len(roll) <= room:
        start = right - len(roll)
        c.spans(start, 0, [("R", "bar-key"), (roll[1:], "bar")])
        c.zone(start, 0, len(roll), 1, "app.roll_back")
        right = start
    if right - x > 3:
        c.put(x + 1, 0, v.service, "bar-dim", right - x - 2)


def banner(c: Canvas, y: int, sight: Sight) -> bool:
    """A line that says that the numbers are old. True when it was needed."""
    pulse = sight.pulse
    if pulse.state in ("well", "late"):
        return False
    c.fill(0, y, c.width, "alarm" if pulse.state != "starting" else "caution")
    word = {"frozen": "ENGINE FROZEN", "dead": "NO ENGINE", "gone": "NO STORE", "starting": "STARTING"}[pulse.state]
    c.put(1, y, f"{word}  {pulse.sentence}", "alarm" if pulse.state != "starting" else "caution")
    return True


def stage_line(c: Canvas, y: int, v: View) -> None:
    """The stage, the percentage that is obeyed, the health in a word and a sentence."""
    sign, word, style = words.HEALTH[v.health]
    reduced = v.percent_bp < v.stage_percent_bp and not v.stable
    parts: list[Span] = [
        (" " + words.stage(v, brief=c.width < 110), "strong"),
        (f"  {words.percent(v.percent_bp)}", f"{style}+" if style in ("ok", "warn", "bad") else "strong"),
    ]
    if reduced and v.percent_bp:
        parts.append((f" reduced from {words.percent(v.stage_percent_bp)}", "warn"))
    if v.shadow_bp:
        parts.append((f"  shadow {words.percent(v.shadow_bp)}", "dim"))
    parts.append(("   ", "text"))
    x = c.spans(0, y, parts)
    x = c.put(x, y, f" {sign} {word} ", {"ok": "fine", "warn": "caution", "bad": "alarm"}.get(style, "bar"))
    c.put(x + 1, y, words.sentence(v), style if style != "dim" else "text")


def coming(v: View) -> list[Span]:
    """What the system does next if nobody touches it, in one line."""
    worst = words.worst(v)
    if v.why_effective:
        return [("routers obey ", "text"), (words.percent(v.effective_bp), "bad+"), (f" now: {v.why_effective}", "bad")]
    if worst is not None and worst.fires_in_s is not None:
        return [
            ("→ ", "bad+"), (f"{worst.id} → {words.ACTION.get(worst.action, worst.action)}", "strong"), (" in ", "text"), (clock(worst.fires_in_s), "bad+"),
            (f"  ({clock(worst.held_s)} of {clock(worst.for_s)})", "dim"),
        ]  # fmt: skip
    if v.next:
        return [("→ ", "accent"), (v.next[0], "text")]
    return [("→ nothing changes by itself", "dim")]


def bar(c: Canvas, y: int, v: View, x: int = 1, width: int | None = None) -> None:
    """0 to 100 % with the plan's stages marked; the part that the LLM gets is drawn heavy and ends in a dot."""
    width = width if width is not None else c.width - x - 1
    left, right = x + 2, x + width - 4
    span = max(1, right - left - 1)
    c.put(x, y, "0", "dim")
    c.put(right + 1, y, "100", "dim" if v.percent_bp < 10_000 else "llm")
    at = left + round(span * min(v.percent_bp, 10_000) / 10_000)
    c.fill(left, y, right - left, "faint", "-" if c.ascii else "─")
    heavy = "=" if c.ascii else "━"
    c.fill(left, y, at - left, "llm", heavy)
    marks = sorted({p for p in v.stage_percents if 0 < p < 10_000})
    taken = at + len(f"● {v.percent_bp / 100:g} ")
    for p in marks:
        position = left + round(span * p / 10_000)
        label = f" {p / 100:g} "
        if abs(position - at) > 1 and not (at <= position < taken + 1) and position + len(label) < right:
            c.put(position - 1, y, label, "dim" if p > v.percent_bp else "llm")
    c.put(at, y, "●", "llm" if v.effective_bp == v.percent_bp else "bad+")
    if 0 < v.percent_bp < 10_000 and at + 6 < right:
        c.put(at + 1, y, f" {v.percent_bp / 100:g} ", "strong")


GAUGE_ROWS = 3


def gauge(c: Canvas, x: int, y: int, width: int, name: str, g: Gauge, value: str, details: Sequence[str]) -> None:
    """Name and window, sign and value and target, then what the value stands on."""
    sign, style = words.mark(g.ok)
    c.spans(x, y, [(name, "head"), (f"  {format_duration(g.window_s)}", "faint")], width)
    c.spans(
        x,
        y + 1,
        [
            (f"{sign} ", style),
            (value, f"{style}+" if style in ("ok", "bad") else "strong"),
            (f"  {words.target(g)}", "dim"),
        ],
        width,
    )
    for row, text in enumerate(details):
        c.put(x, y + 2 + row, text, "dim", width)


def details_of(g: Gauge) -> str:
    """ "17/304 · bound 8.4 %"; for a mean "p95 2.11 s · n 287"."""
    if g.n == 0:
        return "no documents yet"
    if g.metric.startswith("latency"):
        return (f"p95 {words.ms(g.p95)} · " if g.p95 is not None else "") + f"n {words.count(g.n)}"
    of = f"{words.count(g.k)}/{words.count(g.n)}" if g.k is not None else f"n {words.count(g.n)}"
    return of + (f" · ≤ {g.bound * 100:.1f} %" if g.bound is not None else "")


def methods(c: Canvas, x: int, y: int, width: int, v: View) -> None:
    """Who served the documents of the window: two bars, so that a share is seen and read."""
    llm, freq = v.methods.get("llm", 0), v.methods.get("frequency", 0)
    total = llm + freq
    c.spans(x, y, [("methods", "head"), (f"  {format_duration(v.error_rate.window_s)}", "faint")], width)
    room = max(3, width - 11)
    for row, (name, n, style) in enumerate((("llm ", llm, "llm"), ("freq", freq, "freq"))):
        share = n / total if total else 0.0
        cells = ceil(room * share) if share else 0
        c.put(x, y + 1 + row, name, "dim")
        c.fill(x + 5, y + 1 + row, cells, style, "#" if c.ascii else "▆")
        c.put(x + 6 + max(cells, 0), y + 1 + row, f"{share * 100:.0f} %" if total else "–", "text")


def gauges(c: Canvas, y: int, v: View) -> int:
    """The four; how many rows they took."""
    gap, count = 2, 4
    width = (c.width - 2 - gap * (count - 1)) // count
    xs = [1 + i * (width + gap) for i in range(count)]
    gauge(c, xs[0], y, width, "error rate", v.error_rate, words.rate(v.error_rate.value), [details_of(v.error_rate)])
    gauge(c, xs[1], y, width, "latency", v.latency, words.ms(v.latency.value), [details_of(v.latency)])
    gauge(c, xs[2], y, width, "cache hits", v.cache, words.rate(v.cache.value, 0), [details_of(v.cache)])
    methods(c, xs[3], y, width, v)
    return GAUGE_ROWS


def servers(v: View) -> list[Span]:
    """Each LLM server in a word: up and how fast, or what is wrong."""
    parts: list[Span] = []
    for s in v.servers:
        sign, style = words.mark(s.up)
        fact = words.ms(s.latency_ms) if s.up and s.latency_ms is not None else s.state
        parts += [(f"{s.name} ", "text"), (f"{sign} ", style), (f"{fact}   ", "dim" if s.up else style)]
    return parts or [("no LLM server known", "dim")]


def evidence_line(c: Canvas, y: int, v: View) -> None:
    """Whose fault it looks like, and how the LLM servers are."""
    parts = servers(v)
    need = sum(cell_len(text) for text, _ in parts)
    left = max(c.width // 2 - 2, c.width - need - 4)
    if v.attribution:
        c.put(1, y, v.attribution, "text", left)
        c.spans(left + 3, y, parts, c.width - left - 4)
    else:
        c.spans(1, y, parts, c.width - 2)


def curve(
    c: Canvas, x: int, y: int, width: int, height: int, title: str, series: Sequence[float | None], limits: Sequence[tuple[float, str]],
    scale: float, unit: str, window: str, now_text: str = "",
) -> None:  # fmt: skip
    """A titled plot: values divided by `scale`, shown with `unit`; each limit is drawn in as a dashed line with its words."""
    c.rule(x, y, width, f"{title} · {window}")
    if now_text:
        c.right(x + width, y, f" {now_text}", "text")
    known = [value / scale for value in series if value is not None]
    lines = sorted((value / scale, text) for value, text in limits)
    top = max([*(v * 1.15 for v in known[-400:]), *(v * 1.25 for v, _ in lines[:1]), 1e-9])
    near = [v for v, _ in lines if v <= top * 1.6]
    top = nice(max([top, *(v * 1.2 for v in near)]))
    rows = height - 2
    labels = [f"{top:g}{unit}", f"{top / 2:g}", "0"]
    axis = max(len(label) for label in labels) + 1
    inner = width - axis
    drawn = plot.curve([None if v is None else v / scale for v in series], inner, rows, 0.0, top, c.ascii)
    for i, text in ((0, labels[0]), (rows // 2, labels[1] if rows >= 5 else ""), (rows - 1, labels[2])):
        c.right(x + axis - 1, y + 1 + i, text, "faint")
    for row, line in enumerate(drawn):
        c.put(x + axis, y + 1 + row, line, "curve", inner)
    taken = {rows - 1}  # a line on the floor says nothing
    for value, text in reversed(lines):
        row = min(rows - 1, max(0, round((1 - value / top) * (rows - 1))))
        if value <= top and row not in taken:
            taken.add(row)
            _limit(c, x + axis, y + 1 + row, inner, text)
    if not known:
        c.put(x + axis + 1, y + 1 + rows // 2, "no data in this window", "dim", inner - 1)
    c.put(x + axis, y + height - 1, f"-{window}", "faint", inner)
    c.right(x + width, y + height - 1, "now", "faint")


def _limit(c: Canvas, x: int, y: int, width: int, text: str) -> None:
    """A dashed line that the curve passes over; its words stand where the curve does not."""
    dash = "-" if c.ascii else "╌"
    for column in range(x, min(c.width, x + width)):
        if c.chars[y][column] == " ":
            c.chars[y][column], c.styles[y][column] = dash, "limit"
    size = cell_len(text)
    for start in (x + 1, x + width - size - 1):
        if all(c.styles[y][column] == "limit" for column in range(start, min(c.width, start + size))):
            c.put(start, y, text, "limit", size)
            return


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


def bullets(
    c: Canvas,
    x: int,
    y: int,
    width: int,
    rows: int,
    title: str,
    lines: Sequence[str],
    sign: str,
    style: str,
    empty: str,
) -> None:
    """A titled list that says how many more there are when not all fit."""
    c.rule(x, y, width, title)
    if not lines:
        c.block(x, y + 1, width, rows, empty, "dim")
        return
    row = 0
    for i, line in enumerate(lines):
        wrap = wrapped(line, width - 2)
        keep = 1 if len(lines) > rows else max(1, rows - row - (len(lines) - i - 1))
        if row >= rows or (row == rows - 1 and len(lines) - i > 1):
            c.put(x, y + 1 + rows - 1, f"  and {len(lines) - i} more", "dim", width)
            return
        c.put(x, y + 1 + row, sign, style)
        shown = wrap[:keep]
        if len(wrap) > keep:
            shown[-1] = fit(shown[-1] + " " + wrap[keep], width - 2)
        for text in shown:
            c.put(x + 2, y + 1 + row, text, "text", width - 2)
            row += 1


KIND: dict[str, tuple[str, str]] = {
    "promote": ("▲", "ok"), "rollback": ("▼", "bad"), "trigger": ("▼", "bad"), "hold": ("‖", "warn"), "resume": ("▸", "ok"),
    "undo_rollback": ("▲", "warn"), "approve": ("✔", "ok"), "sign": ("✔", "ok"), "revoke": ("✗", "warn"), "restore": ("◂", "warn"),
    "proof": ("✔", "ok"), "event": ("·", "dim"),
}  # fmt: skip


def log_lines(v: View) -> list[tuple[float, str, str]]:
    """(at, kind, sentence) of decisions and events together, newest first."""
    rows = [(d.at, d.kind, d.sentence) for d in v.log] + [(at, "event", text) for at, text in v.events]
    return sorted(rows, key=lambda row: row[0], reverse=True)


def log_tail(
    c: Canvas, y: int, rows: int, v: View, title: str = "log", since: float = 0.0, x: int = 1, width: int | None = None
) -> None:
    """The newest at the top; what happened since this person last looked is marked."""
    width = width if width is not None else c.width - 2
    c.rule(x, y, width, title)
    for i, (at, kind, text) in enumerate(log_lines(v)[: rows - 1]):
        sign, style = KIND.get(kind, ("·", "text"))
        fresh = since and at > since
        c.spans(
            x, y + 1 + i,
            [(f"{words.hour(at, v.at)} ", "strong" if fresh else "dim"), (f"{sign} ", style), (text, "text" if kind != "event" else "dim")],
            width,
        )  # fmt: skip


def decision_spans(d: DecisionView, now: float) -> list[Span]:
    sign, style = KIND.get(d.kind, ("·", "text"))
    return [(f"{words.hour(d.at, now):<11} ", "dim"), (f"{sign} ", style), (d.sentence, "text")]


def trigger_rows(c: Canvas, x: int, y: int, width: int, rows: int, triggers: Sequence[TriggerView]) -> int:
    """One line a trigger: sign, name, its timer as a bar and a clock while it runs, the sentence; how many were drawn."""
    name = min(16, width // 2)
    for i, t in enumerate(triggers[:rows]):
        sign, style = words.VERDICT.get(t.verdict, ("·", "dim"))
        at = c.put(x, y + i, f"{sign} ", style)
        c.put(at, y + i, t.id, "strong" if t.verdict == "breach" else "text", name)
        at += name + 1
        if t.verdict == "breach" and t.for_s:
            meter(c, at, y + i, 8, t.held_s / t.for_s, "bad")
            at = c.put(at + 9, y + i, f"{clock(t.held_s)} of {clock(t.for_s)}  ", "bad+", x + width - at - 9)
        c.put(at, y + i, t.sentence, "text" if t.verdict == "breach" else "dim", x + width - at)
    return min(rows, len(triggers))


def meter(c: Canvas, x: int, y: int, width: int, share: float, style: str, back: str = "faint") -> None:
    """How much of something: filled and empty cells."""
    full = round(width * min(1.0, max(0.0, share)))
    c.fill(x, y, width, back, "." if c.ascii else "░")
    c.fill(x, y, full, style, "#" if c.ascii else "▇")


TABS = ("Live", "Gate", "Triggers", "Trends", "Review", "A/B", "Docs", "Log", "Msgs", "Faults")


def footer(c: Canvas, current: int, rehearsal: bool, hints: Sequence[tuple[str, str, str]] = ()) -> None:
    """The last row: a digit for every screen. The row above, where a screen has keys of its own: those (key, words, action)."""
    y = c.height - 1
    c.fill(0, y, c.width, "bar")
    names = TABS if rehearsal else TABS[:-1]
    wide = c.width >= sum(len(n) + 4 for n in names) + 26
    x = 0
    for i, name in enumerate(names, 1):
        digit = str(i % 10)
        label = f"{digit} {name}"
        if i == current:
            label = f" {label} " if wide else label
            end = c.put(x, y, label, "tab")
        else:
            end = c.spans(x + (1 if wide else 0), y, [(digit, "bar-key"), (f" {name}", "bar")])
            end += 1 if wide else 0
        c.zone(x, y, end - x, 1, f"app.go({i % 10})")
        x = end + 1
    tail = [("?", " help"), (":", " palette"), ("q", " quit")] if c.width - x > 26 else [("?", "")]
    for key, label in tail:
        x = c.spans(x + (1 if wide else 0), y, [(key, "bar-key"), (label, "bar")]) + 1
    if hints:
        keys(c, 1, y - 1, hints)


def keys(c: Canvas, x: int, y: int, hints: Sequence[tuple[str, str, str]]) -> None:
    for key, label, action in hints:
        if x + len(key) + len(label) + 1 > c.width:
            break
        start = x
        x = c.spans(x, y, [(key, "key"), (f" {label}", "dim")])
        if action:
            c.zone(start, y, x - start, 1, action)
        x += 3
