"""The triggers, each with value, threshold, n, timer and rule, and the decision matrix with its live rows lit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from textual.binding import BindingType

from console import explain
from console.screens.drill.evidence import EvidencePage
from console.screens.fetching import matches
from console.screens.ordering import Order, Ordered
from console.screens.page import LIST_KEYS, Hint, key
from console.screens.rows import Rows, draw
from console.widgets import blocks, logs, words
from console.widgets.blocks import Area
from console.widgets.canvas import Canvas, Span, fit
from engine.plan.durations import clock, format_duration
from engine.view.model import MatrixView, TriggerView, View


class Triggers(Ordered):
    NUMBER: ClassVar[int] = 3
    TITLE: ClassVar[str] = "Triggers"
    TRAVELS: ClassVar[bool] = True
    ABOUT: ClassVar[str] = "what triggers automatic action, and the decision matrix"
    PROMPT: ClassVar[str] = "filter the triggers"
    ENTER: ClassVar[str] = "open"
    ORDERS: ClassVar[tuple[Order, ...]] = (
        Order(),  # as the plan lists them
        Order("first to act", lambda t: (t.verdict != "breach", t.fires_in_s if t.fires_in_s is not None else 1e9)),
        Order("name", lambda t: t.id),
        Order("action", lambda t: (t.action, t.id)),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        *LIST_KEYS,
        key("enter", "open", "its evidence over time"),
        key("s", "app.servers", "the LLM servers and their errors"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.rows = Rows()

    def hints(self) -> tuple[Hint, ...]:
        return (
            ("enter", "evidence", "open"),
            ("S", "sort", "sort"),
            ("s", "servers", "app.servers"),
            ("/", "filter", "search"),
            ("0", "faults, to try the triggers", "app.go(0)")
            if self.console.rehearsal
            else ("8", "what they did", "app.go(8)"),
        )

    def triggers(self, v: View) -> list[TriggerView]:
        shown = [t for t in v.triggers if matches(self.text_wanted, t.id, t.text, t.action, t.severity, t.verdict)]
        return self.sorted_by.sort(shown)

    def paint(self, c: Canvas, v: View, y: int) -> None:
        area = self.area(c, y)
        triggers = self.triggers(v)
        self.rows.hold([t.id for t in triggers])  # a filter keeps the selection
        if c.width < 120 or area.height < 28:
            self._narrow(c, v, area, triggers)
            return
        left, right = blocks.beside(area, (5, 4))
        matrix_rows = len(v.matrix) + 2
        list_rows = min(area.height - matrix_rows, len(v.triggers) + 2)
        self._list(c, left._replace(height=list_rows), v, triggers)
        left_over = blocks.below(left, list_rows)
        _matrix(c, left_over._replace(height=matrix_rows), v.matrix)
        left_over = blocks.below(left_over, matrix_rows)
        chosen = self._chosen(triggers)
        large = self._metric(chosen) if chosen else ""
        drawn = self.console.series_cache.metrics
        others = [metric for metric in drawn if metric != large]  # one is drawn once
        for metric, spot in zip(others, _spots(left_over, len(others)), strict=True):
            self.curve(c, v, metric, spot)
        detail, curve, acted = blocks.stack(right, (14, min(24, area.height - 20), 0))
        if chosen:
            sign_style = words.VERDICT.get(chosen.verdict, ("", "dim"))[1]
            facts = self._facts(chosen, words.nothing_to_lower(v, chosen))
            blocks.facts(c, blocks.panel(c, detail, chosen.id, chosen.verdict, sign_style), facts)
            if large in drawn:
                self.curve(c, v, large, curve)
        self._acted(c, acted, v)

    def _acted(self, c: Canvas, area: Area, v: View) -> None:
        """Recent actions by triggers and people."""
        if area.height < 4:
            return
        x, y, width, rows = blocks.panel(c, area, "changes of the percentage, and by whom")
        acted = [d for d in v.log if d.percent_from != d.percent_to or d.kind == "trigger"]
        if not acted:
            c.put(x, y, "none recently; the log (8) has all", "dim", width)
        for row, d in enumerate(acted[:rows]):
            c.spans(x, y + row, logs.decision_spans(d, v.at), width)

    def _narrow(self, c: Canvas, v: View, area: Area, triggers: Sequence[TriggerView]) -> None:
        x, y, width, height = area
        matrix_rows = len(v.matrix) + 1 if height >= 14 else 0
        short = len(v.triggers) + 1 + 2 + matrix_rows - height  # a notice or a banner takes from the plan's matrix
        matrix_rows = max(0, matrix_rows - max(0, short)) if matrix_rows - short > 1 else 0
        list_rows = min(len(v.triggers) + 1, height - matrix_rows - 2)
        self._list(c, Area(x, y, width, list_rows), v, triggers)
        if chosen := self._chosen(triggers):
            self._detail(c, Area(x, y + list_rows, width, height - matrix_rows - list_rows), chosen)
        if matrix_rows:
            _matrix(c, Area(x, y + height - matrix_rows, width, matrix_rows), v.matrix)

    def _list(self, c: Canvas, area: Area, v: View, triggers: Sequence[TriggerView]) -> None:
        running = sum(t.verdict == "breach" for t in v.triggers)
        title = self.titled("triggers")
        inner = blocks.panel(
            c, area, title, f"{running} running" if running else "none running", "bad+" if running else "dim"
        )
        if not triggers:
            c.put(inner.x, inner.y, "No trigger matches; esc shows all.", "dim", inner.width)
        draw(
            c,
            inner,
            self.rows,
            len(triggers),
            lambda index, y: _line(c, inner, y, triggers[index], words.nothing_to_lower(v, triggers[index])),
        )

    def _chosen(self, triggers: Sequence[TriggerView]) -> TriggerView | None:
        return triggers[min(self.rows.at, len(triggers) - 1)] if triggers else None

    def explained(self) -> list[explain.Explained]:
        v = self.snapshot.view
        chosen = self._chosen(self.triggers(v)) if v is not None else None
        return [] if chosen is None else explain.trigger(chosen, self._metric(chosen))

    def _metric(self, t: TriggerView) -> str:
        return next((p.metric for p in self.console.plan.triggers if p.id == t.id), "error_rate")

    def _detail(self, c: Canvas, area: Area, t: TriggerView) -> None:
        """Two rows: the plan's rule with its figures, and the whole sentence. A lock needs both rows, since nothing
        is judged during one."""
        rows = 0
        if t.verdict != "locked":
            rule = f"{t.text} → {words.ACTION.get(t.action, t.action)}"
            whole = f"{rule}; {self._figures(t)}"  # its figures are in the sentence too
            rows = c.block(area.x, area.y, area.width, 1, whole if cell_len(whole) <= area.width else rule, "text")
        c.block(area.x, area.y + rows, area.width, max(1, area.height - rows), t.sentence, "dim")

    def _figures(self, t: TriggerView) -> str:
        metric = self._metric(t)
        limit = f" against {words.figure(metric, t.threshold)}" if t.threshold is not None else ""
        return f"{words.figure(metric, t.value)}{limit}, n {t.n}" + (f", rule {t.rule}" if t.rule else "")

    def _facts(self, t: TriggerView, nothing_to_lower: bool) -> list[tuple[str, str, str]]:
        metric = self._metric(t)
        of = f", {t.k} of them" if t.k is not None else ""
        rows = [
            ("condition", t.text, "strong"),
            ("does", words.ACTION.get(t.action, t.action), "text"),
            ("severity", t.severity, "warn" if t.severity == "critical" else "text"),
            ("value", words.figure(metric, t.value), "strong"),
            ("threshold", words.figure(metric, t.threshold) if t.threshold is not None else "", "text"),
            ("based on", f"n {t.n}{of}", "text"),
            ("rule", t.rule, "text"),
            (
                "clock",
                (words.AT_ZERO if nothing_to_lower else words.acts(t)) if t.verdict in ("breach", "muted") else "",
                "bad+",
            ),
            ("held", f"{clock(t.held_s)} of {clock(t.for_s)}" if t.for_s and t.held_s else "", "text"),
            ("resets when", t.resets_when, "text"),
            ("people act", f"within {format_duration(t.timeline_s)}" if t.timeline_s else "", "text"),
            ("now", t.sentence, "text"),
        ]
        return [row for row in rows if row[1]]

    def action_open(self) -> None:
        v = self.snapshot.view
        if v is not None and (chosen := self._chosen(self.triggers(v))):
            self.console.push_screen(EvidencePage(chosen.id))

    def action_move(self, by: int) -> None:
        v = self.snapshot.view
        if v is not None:
            self.rows.move(by, len(self.triggers(v)))
            self.repaint()


def _line(c: Canvas, area: Area, y: int, t: TriggerView, nothing_to_lower: bool) -> None:
    """Mark, name, action, its timer as a bar and a clock while it runs, the sentence."""
    sign, style = ("▼", "bad") if t.fired else words.VERDICT.get(t.verdict, ("·", "dim"))
    live = t.verdict == "breach"
    c.spans(area.x, y, [(f"{sign} ", style), (t.id, "strong" if live or t.fired else "text")], 18)
    c.put(area.x + 18, y, f"→ {words.ACTION.get(t.action, t.action)}", "text" if live else "dim", 17)
    x = area.x + 36
    if live and nothing_to_lower:
        x = c.put(x, y, f"{words.AT_ZERO}  ", "dim")
    elif live and t.for_s:
        cells = 8 if area.width < 100 else 12
        blocks.meter(c, x, y, cells, words.passed(t), "bad")
        x = c.put(x + cells + 1, y, f"{words.acts(t, brief=True)}  ", "bad+")
    sentence = t.sentence or t.text
    if t.fired:
        sentence = "FIRED: locked; e on the gate (2) resumes"
    elif t.verdict == "locked":
        sentence = "locked"
    c.put(x, y, sentence, "text" if live else "dim", area.x + area.width - x)


def _spots(area: Area, count: int) -> list[Area]:
    """Two in a row; of an odd number the first is as wide as two."""
    if count % 2 == 0:
        return blocks.grid(area, count, 2)
    rows = count // 2 + 1
    first, rest = blocks.stack(area, (area.height // rows, 0))
    return [first, *blocks.grid(rest, count - 1, 2)] if count > 1 else [first]


def _matrix(c: Canvas, area: Area, rows: Sequence[MatrixView]) -> None:
    """The plan's decision matrix. A lit row is live and shows the remaining time."""
    lit = sum(m.lit for m in rows)
    inner = blocks.panel(
        c, area, "rollback decision matrix", f"{lit} live" if lit else "no row live", "bad+" if lit else "dim"
    )
    if len(rows) > inner.height:
        rows = sorted(rows, key=lambda m: not m.lit)
    for row, m in enumerate(rows[: inner.height]):
        live = "bad+" if m.lit else "text"
        left = m.lit and m.left_s is not None
        time = (f"acts in {clock(m.left_s)}" if m.left_s else "acts now") if left else m.timeline
        room = inner.width - 2 - 20 - len(time)
        severity = f"{m.severity:<9}" if room >= 42 else ""  # the time matters more, and the trigger has it too
        parts: list[Span] = [
            ("▶ " if m.lit else "  ", "bad+"),
            (f"{m.condition:<20}", live),
            (severity, "bad" if m.lit else "dim"),
            (f"{fit(m.action, min(32, room - len(severity) - 1)):<{min(33, room - len(severity))}}", live),
            (time, "bad+" if left else "dim"),
            (f"  of {m.timeline.removeprefix('< ')}" if left and inner.width >= 84 else "", "dim"),
        ]
        c.spans(inner.x, inner.y + row, parts, inner.width)
