"""Why it would act: every trigger with value, threshold, n, timer and rule; and the decision matrix with its live rows lit."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType

from console.screens.page import LIST_KEYS, Page, Rows
from console.widgets import blocks, words
from console.widgets.canvas import Canvas, Span
from engine.plan.durations import clock, format_duration
from engine.view import MatrixView, TriggerView, View

SELECT = {
    "text": "select",
    "dim": "select-dim",
    "ok": "select-ok",
    "warn": "select-warn",
    "bad": "select-bad",
    "strong": "select",
    "bad+": "select-bad",
    "faint": "select-dim",
    "*": "select",
}


class Triggers(Page):
    NUMBER: ClassVar[int] = 3
    TITLE: ClassVar[str] = "Triggers"
    ABOUT: ClassVar[str] = "what makes it act by itself, and the decision matrix"
    BINDINGS: ClassVar[list[BindingType]] = [*LIST_KEYS]

    def __init__(self) -> None:
        super().__init__()
        self.rows = Rows()

    def paint(self, c: Canvas, v: View, y: int) -> None:
        blocks.stage_line(c, y, v)
        y += 1
        running = sum(t.verdict == "breach" for t in v.triggers)
        c.rule(1, y, c.width - 2, f"triggers · {running} running" if running else "triggers · none running")
        y += 1
        bottom = c.height - 1
        matrix_rows = len(v.matrix) + 1
        detail = 4 if c.height < 34 else 7
        room = max(3, bottom - y - matrix_rows - detail)
        shown = self.rows.window(len(v.triggers), room)
        for row, index in enumerate(shown):
            self._line(c, y + row, v.triggers[index])
            if index == self.rows.at:
                c.tint(y + row, SELECT)
        y += len(shown)
        if v.triggers:
            self._detail(c, y, detail, v.triggers[self.rows.at], v)
        self._matrix(c, bottom - matrix_rows, v.matrix)

    def _line(self, c: Canvas, y: int, t: TriggerView) -> None:
        sign, style = words.VERDICT.get(t.verdict, ("·", "dim"))
        x = c.spans(1, y, [(f"{sign} ", style), (f"{t.id:<17}", "strong" if t.verdict == "breach" else "text")])
        goes = words.ACTION.get(t.action, t.action)
        x = c.put(x, y, f"→ {goes:<15}", "dim", 18)
        if t.verdict == "breach" and t.for_s:
            blocks.meter(c, x, y, 8, t.held_s / t.for_s, "bad")
            x = c.put(x + 9, y, f"{clock(t.held_s)} of {clock(t.for_s)}  ", "bad+")
        c.put(x, y, t.sentence or t.text, "text" if t.verdict == "breach" else "dim", c.width - x - 1)

    def _detail(self, c: Canvas, y: int, rows: int, t: TriggerView, v: View) -> None:
        c.rule(1, y, c.width - 2, t.id)
        plan = next((p for p in self.console.plan.triggers if p.id == t.id), None)
        metric = plan.metric if plan else "error_rate"
        window = f" for {format_duration(t.for_s)}" if t.for_s else ""
        facts: list[list[Span]] = [
            [(t.text, "text"), (f" → {t.action.replace('_', ' ')}", "strong"), (f" · {t.severity}", "warn" if t.severity == "critical" else "dim")],
            [
                ("value ", "dim"), (words.figure(metric, t.value), "strong"), ("  threshold ", "dim"), (words.figure(metric, t.threshold) if t.threshold is not None else "–", "text"),
                (f"  n {t.n}" + (f", {t.k} of them" if t.k is not None else ""), "dim"), (window, "dim"), (f"  rule: {t.rule}" if t.rule else "", "dim"),
            ],
            [("now ", "dim"), (t.verdict, words.VERDICT.get(t.verdict, ("", "dim"))[1]), (f"  held {clock(t.held_s)}" if t.held_s else "", "text"), (f"  fires in {clock(t.fires_in_s)}" if t.fires_in_s is not None else "", "bad+"), (f"  resets when {t.resets_when}" if t.resets_when else "", "dim")],
        ]  # fmt: skip
        if t.sentence:
            facts.append([(t.sentence, "text")])
        if t.timeline_s:
            facts.append([("people have dealt with it within ", "dim"), (format_duration(t.timeline_s), "text")])
        for row, spans in enumerate(facts[: rows - 1]):
            c.spans(1, y + 1 + row, spans, c.width - 2)

    def _matrix(self, c: Canvas, y: int, rows: tuple[MatrixView, ...]) -> None:
        c.rule(1, y, c.width - 2, "rollback decision matrix")
        for i, m in enumerate(rows):
            style = "bad" if m.lit else "text"
            mark = "▶ " if m.lit else "  "
            x = c.spans(
                1,
                y + 1 + i,
                [
                    (mark, "bad+"),
                    (f"{m.condition:<20}", "bad+" if m.lit else style),
                    (f"{m.severity:<9}", "dim"),
                    (f"{m.action:<31}", style),
                    (m.timeline, "dim"),
                ],
                c.width - 2,
            )
            if m.lit and m.left_s is not None:
                c.put(x + 1, y + 1 + i, f" {clock(m.left_s)} left", "bad+")

    def action_move(self, by: int) -> None:
        v = self.sight.view
        if v is not None:
            self.rows.move(by, len(v.triggers))
            self.repaint()
