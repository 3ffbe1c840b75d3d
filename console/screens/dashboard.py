"""The first glance: where the rollout stands, whether it is healthy, what tripped, what happens next if nobody touches it."""

from __future__ import annotations

from typing import ClassVar

from console.screens.page import Page
from console.widgets import blocks, words
from console.widgets.canvas import Canvas, columns
from engine.plan.durations import clock, format_duration
from engine.view import View


class Dashboard(Page):
    NUMBER: ClassVar[int] = 1
    TITLE: ClassVar[str] = "Live"
    ABOUT: ClassVar[str] = "stage, health, the four gauges, curves, what happens next, the log"

    def paint(self, c: Canvas, v: View, y: int) -> None:
        if c.width < 78 or c.height < 22:
            self._small(c, v, y)
        elif c.width < 120 or c.height < 34:
            self._normal(c, v, y)
        else:
            self._large(c, v, y)

    # -- 80x24 -------------------------------------------------------------------------------------------------------------

    def _normal(self, c: Canvas, v: View, y: int) -> None:
        y = self._head(c, v, y)
        y += blocks.gauges(c, y, v)
        blocks.evidence_line(c, y, v)
        y += 1
        room = c.height - 1 - y
        log_rows = max(3, min(4 if c.height < 28 else room // 4, room - 12))
        next_rows = 5 if room < 20 else 7
        plot_rows = room - log_rows - next_rows
        (left, lw), (right, rw) = columns(c.width - 2, (1, 1))
        self._plot(c, v, "error_rate", 1 + left, y, lw, plot_rows)
        self._plot(c, v, "latency_mean", 1 + right, y, rw, plot_rows)
        y += plot_rows
        self._next(c, v, 1 + left, y, lw, next_rows - 1)
        self._waiting(c, v, 1 + right, y, rw, next_rows - 1)
        y += next_rows
        self._log(c, v, y, c.height - 1 - y)

    def _head(self, c: Canvas, v: View, y: int) -> int:
        blocks.stage_line(c, y, v)
        blocks.bar(c, y + 1, v)
        return y + 2

    def _next(self, c: Canvas, v: View, x: int, y: int, width: int, rows: int) -> None:
        lines = list(v.next)
        if v.why_effective:
            lines.insert(0, f"routers obey {words.percent(v.effective_bp)} now: {v.why_effective}")
        worst = words.worst(v)
        c.rule(x, y, width, "what happens next")
        row = 1
        if worst is not None:
            cells = max(4, min(16, width - 34))
            blocks.meter(c, x, y + 1, cells, worst.held_s / worst.for_s if worst.for_s else 1.0, "bad")
            c.spans(
                x + cells + 1, y + 1,
                [(f"{clock(worst.held_s)} of {clock(worst.for_s)} ", "bad+"), (f"{worst.id} → {words.ACTION.get(worst.action, worst.action)}", "strong")],
                width - cells - 1,
            )  # fmt: skip
            row, lines = 2, [line for line in lines if worst.id not in line]
        inner = Canvas(c.width, c.height, c.ascii)
        blocks.bullets(
            inner,
            x,
            y + row - 1,
            width,
            rows - row + 1,
            "",
            lines,
            "→",
            "accent",
            "" if worst else "nothing changes by itself",
        )
        for r in range(y + row, y + rows + 1):
            if r < c.height:
                c.chars[r][x : x + width] = inner.chars[r][x : x + width]
                c.styles[r][x : x + width] = inner.styles[r][x : x + width]

    def _waiting(self, c: Canvas, v: View, x: int, y: int, width: int, rows: int) -> None:
        blocks.bullets(
            c,
            x,
            y,
            width,
            rows,
            "waiting for a person",
            v.waiting,
            "○",
            "warn",
            "nothing: watch, or go to the gate with 2",
        )

    def _log(self, c: Canvas, v: View, y: int, rows: int, x: int = 1, width: int | None = None) -> None:
        title, since = "log", self.console.since
        if since:
            fresh = [row for row in blocks.log_lines(v) if row[0] > since]
            if fresh:
                title = f"since you left {words.ago(since, v.at)}: {len(fresh)} new"
        blocks.log_tail(c, y, rows, v, title, since, x, width)

    def _plot(self, c: Canvas, v: View, metric: str, x: int, y: int, width: int, rows: int) -> None:
        app = self.console
        series = app.history.get(metric, width)
        limits = app.limits(metric)
        match metric:
            case "error_rate":
                now = words.rate(v.error_rate.value)
                blocks.curve(
                    c, x, y, width, rows, "error rate", series, limits, 0.01, " %", app.history.window_text, now
                )
            case "latency_mean":
                blocks.curve(
                    c,
                    x,
                    y,
                    width,
                    rows,
                    "latency",
                    series,
                    limits,
                    1000.0,
                    " s",
                    app.history.window_text,
                    words.ms(v.latency.value),
                )
            case "cache_hit_rate":
                blocks.curve(
                    c,
                    x,
                    y,
                    width,
                    rows,
                    "cache hits",
                    series,
                    limits,
                    0.01,
                    " %",
                    app.history.window_text,
                    words.rate(v.cache.value, 0),
                )
            case _:
                blocks.curve(
                    c,
                    x,
                    y,
                    width,
                    rows,
                    "LLM documents a minute",
                    series,
                    (),
                    1.0,
                    "",
                    app.history.window_text,
                    f"{v.engine.llm_per_min:.1f}",
                )

    # -- 120x34 and up ---------------------------------------------------------------------------------------------------

    def _large(self, c: Canvas, v: View, y: int) -> None:
        y = self._head(c, v, y)
        c.put(2, y, v.stage_objective, "dim", c.width - 4)
        y += 2
        y += blocks.gauges(c, y, v)
        y += 1
        blocks.evidence_line(c, y, v)
        y += 2
        bottom = c.height - 1
        log_rows = max(7, (bottom - y) // 4)
        main = bottom - y - log_rows - 1
        (left, lw), (right, rw) = columns(c.width - 2, (3, 2), 3)
        four = lw >= 130 and main >= 24
        metrics = (
            ("error_rate", "latency_mean", "cache_hit_rate", "llm_documents")
            if four
            else ("error_rate", "latency_mean")
        )
        across = 2 if four else 1
        each = main // (len(metrics) // across)
        for i, metric in enumerate(metrics):
            px, pw = columns(lw, [1] * across, 3)[i % across]
            self._plot(c, v, metric, 1 + left + px, y + (i // across) * each, pw, each - 1)
        self._side(c, v, 1 + right, y, rw, main)
        self._log(c, v, bottom - log_rows, log_rows)

    def _side(self, c: Canvas, v: View, x: int, y: int, width: int, rows: int) -> None:
        n_next = min(len(v.next) + 2, max(4, rows // 5))
        self._next(c, v, x, y, width, n_next)
        y, rows = y + n_next + 2, rows - n_next - 2
        n_wait = min(len(v.waiting) + 1, max(3, rows // 4))
        self._waiting(c, v, x, y, width, n_wait)
        y, rows = y + n_wait + 2, rows - n_wait - 2
        if rows < 4:
            return
        c.rule(x, y, width, f"triggers · {sum(t.verdict == 'breach' for t in v.triggers)} running")
        drawn = blocks.trigger_rows(c, x, y + 1, width, rows - 1, v.triggers)
        y, rows = y + drawn + 2, rows - drawn - 2
        if rows >= 4:
            gate = v.gate
            c.rule(x, y, width, f"gate to {gate.next_name} · {gate.met} of {gate.total} met")
            blocks.meter(c, x, y + 1, 16, gate.baked_s / gate.bake_s if gate.bake_s else 1.0, "accent")
            c.put(
                x + 18,
                y + 1,
                f"bake {format_duration(gate.baked_s)} of {format_duration(gate.bake_s)}",
                "dim",
                width - 18,
            )
            for i, missing in enumerate(gate.missing[: rows - 2]):
                c.spans(x, y + 2 + i, [("○ ", "warn"), (missing, "text")], width)

    # -- below 80x24: what matters, down to 40x10 ----------------------------------------------------------------------------

    def _small(self, c: Canvas, v: View, y: int) -> None:
        sign, word, style = words.HEALTH[v.health]
        strong = {"ok": "fine", "warn": "caution", "bad": "alarm"}.get(style, "bar")
        x = c.spans(1, y, [(words.stage(v, brief=True), "strong"), (f" {words.percent(v.effective_bp)} ", "strong")])
        c.put(x + 1, y, f" {sign} {word} ", strong)
        y += 1
        bottom = c.height - 1
        roll = "R rollback to 0 %"
        if c.width < 60:
            c.spans(1, bottom - 1, [("R", "key"), (roll[1:], "text")])
            bottom -= 1
        y += c.block(
            1, y, c.width - 2, 2 if c.height >= 10 else 1, words.sentence(v), style if style != "dim" else "text"
        )
        e, lat = v.error_rate, v.latency
        es, est = words.mark(e.ok)
        ls, lst = words.mark(lat.ok)
        if y < bottom:
            c.spans(
                1,
                y,
                [
                    ("error rate ", "dim"),
                    (f"{es} {words.rate(e.value)}", f"{est}+" if e.ok is not None else "strong"),
                    (f" {words.target(e)}  {blocks.details_of(e)}", "dim"),
                ],
                c.width - 2,
            )
            y += 1
        if y < bottom - 1:
            c.spans(
                1,
                y,
                [
                    ("latency    ", "dim"),
                    (f"{ls} {words.ms(lat.value)}", f"{lst}+" if lat.ok is not None else "strong"),
                    (f" {words.target(lat)}", "dim"),
                ],
                c.width - 2,
            )
            y += 1
        if y < bottom - 1:
            c.spans(1, y, blocks.coming(v), c.width - 2)
            y += 1
        for at, _, text in blocks.log_lines(v)[: max(1, bottom - y)]:
            if y >= bottom:
                break
            c.spans(1, y, [(f"{words.minute(at)} ", "dim"), (text, "text")], c.width - 2)
            y += 1
