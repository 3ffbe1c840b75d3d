"""What the Live screen shows: stage, health, triggers in breach, and what happens next without intervention."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len

from console.screens.painting import Painting
from console.widgets import bars, blocks, checklist, curves, gauges, logs, waiting, words
from console.widgets.bars import Hint
from console.widgets.blocks import Area
from console.widgets.canvas import Canvas, Span, wrapped
from console.widgets.tasks import KEY_WIDTH, tasks
from console.widgets.waiting import WaitingRow
from engine.view.model import Gauge, TriggerView, View

NEXT = "what happens next"
STALE = "may be stale"
WAITING = "waiting for you"
LEAST_PANEL = 4  # rows; a panel with a single line is useless


class Live(Painting):
    NUMBER: ClassVar[int] = 1
    TRAVELS: ClassVar[bool] = True
    LOG_LAST: ClassVar[bool] = True

    def paint(self, c: Canvas, v: View, y: int) -> None:
        if c.width < 78 or c.height < 22:
            self._small(c, v, y)
        elif c.width < 120 or c.height < 36:
            self._normal(c, v, y)
        else:
            self._large(c, v, y)

    def hints(self) -> tuple[Hint, ...]:
        v = self.snapshot.view
        out: list[Hint] = []
        if v and v.undo_until is not None and v.undo_until > v.at:
            out.append(("u", "undo the rollback", "app.undo"))
        if v and v.rollback is not None and (v.rolled_back or v.locked):
            out += [("v", "proof, restore" if self.acts else "proof", "app.proof"), ("2", "way back up", "app.go(2)")]
        if self.console.size.height >= 36:
            out += [("Y", "copy this screen for the incident channel", "app.copy_screen")]
        return tuple(out)

    @property
    def old(self) -> bool:
        return not self.snapshot.fresh

    # -- 80x24 ---------------------------------------------------------------------------------------------------------

    def _normal(self, c: Canvas, v: View, y: int) -> None:
        y += gauges.percent_bar(c, y, v)
        y += gauges.gauges(c, y, v, old=self.old)
        gauges.evidence_line(c, y, v)
        y += 1
        bottom = c.height - 1 - bool(self.keys_now())
        log_rows = (4 if c.height < 28 else 6) - v.as_of  # its line takes from the log, not the time axis
        next_rows = 5 if c.height < 28 else 7
        plot_rows = bottom - y - log_rows - next_rows
        if plot_rows < curves.LEAST_ROWS:  # a banner or a note above takes from the log, not the curves
            taken = min(curves.LEAST_ROWS - plot_rows, log_rows - 2)
            log_rows, plot_rows = log_rows - taken, plot_rows + taken
        plot_rows -= max(0, c.spare - log_rows)
        if plot_rows < curves.LEAST_ROWS and self._has_curves(v):  # no room for them: what comes next gets it
            next_rows, plot_rows = next_rows + max(0, plot_rows), 0
        if self._has_curves(v):
            left, right = blocks.beside(Area(1, y, c.width - 2, plot_rows), (1, 1), 2)
            self.curve(c, v, "error_rate", left)
            self.curve(c, v, "latency_mean", right)
        else:
            self._waiting(c, v, Area(1, y, c.width - 2, plot_rows))
        y += plot_rows
        left, right = blocks.beside(Area(1, y, c.width - 2, next_rows), (1, 1), 2)
        self._next(c, v, left)
        self._waiting(c, v, right) if self._has_curves(v) else self._gate(c, v, right)
        y += next_rows
        self._log(c, v, Area(1, y, c.width - 2, bottom - c.spare - y))

    def _has_curves(self, v: View) -> bool:
        """Before the first LLM document there is nothing to plot, and people look for the gate. Who looks back in time
        looks at the curves."""
        series = self.console.series_cache.series.get("error_rate", ())
        return v.as_of or v.percent_bp > 0 or any(value is not None for value in series)

    def _next(self, c: Canvas, v: View, area: Area) -> None:
        # "dead" and "frozen" have their own words below
        stale = not self.snapshot.fresh and self.snapshot.liveness.state not in ("dead", "frozen")
        x, y, width, rows = blocks.panel(c, area, NEXT, STALE if stale else "", "warn")
        timed, lines = self._timed(v)
        if timed is not None:
            act = f"{timed.id} → {words.ACTION.get(timed.action, timed.action)}"
            timer = f"{words.acts(timed, brief=True)} "
            cells = min(12, width - cell_len(timer + act) - 1)
            if cells >= 4:
                blocks.meter(c, x, y, cells, words.passed(timed), "bad")
            at = x + cells + 1 if cells >= 4 else x
            c.spans(at, y, [(timer, "bad+"), (act, "strong")], x + width - at)
            y, rows = y + 1, rows - 1
            if timed.acts_by and timed.fires_in_s and rows > len(lines):
                c.put(x + 2, y, f"by the {timed.acts_by}", "dim", width - 2)
                y, rows = y + 1, rows - 1
        blocks.bullets(
            c, Area(x, y, width, rows), lines, "→", "accent", "" if words.worst(v) else "no automatic change is due"
        )

    def _next_rows(self, v: View, width: int) -> int:
        """How many rows `_next` fills."""
        timed, lines = self._timed(v)
        return max(1, sum(len(wrapped(line, width)) for line in lines) + (timed is not None))

    def _timed(self, v: View) -> tuple[TriggerView | None, list[str]]:
        """The trigger whose timer has a row of its own, and the lines for the others."""
        lines, worst = self._upcoming(v), words.worst(v)
        if worst is None or not worst.for_s or worst.fires_in_s is None:
            return None, lines
        return worst, [line for line in lines if worst.id not in line]

    def _upcoming(self, v: View) -> list[str]:
        lines = list(v.next)
        if self.snapshot.liveness.state == "dead":
            lines = ["nothing: no engine is running. No document is extracted, no trigger evaluated"]
        elif self.snapshot.liveness.state == "frozen":
            lines = ["nothing until the engine responds. R rolls back without it"]
        if v.why_effective:
            lines.insert(0, f"{words.percent(v.effective_bp)} in force now: {v.why_effective}")
        return lines

    def _waiting(self, c: Canvas, v: View, area: Area) -> None:
        """What must I do, with its key: the same list as the inbox (!)."""
        if v.as_of:  # the tasks of a moment are not recorded
            self._gate(c, v, area)
            return
        todo = self._unsaid(c, v)
        inner = blocks.panel(c, area, WAITING, f"{len(self.todo)}" if todo else "", "warn+")
        if not todo and not waiting.listed(self.snapshot):
            blocks.bullets(c, inner, v.waiting, "○", "warn", waiting.empty(self.snapshot))
            return
        tasks(c, inner, todo, waiting.empty(self.snapshot))

    def _unsaid(self, c: Canvas, v: View) -> list[WaitingRow]:
        """What waits, without the problem that the banner above has whole."""
        _, banner = bars.problem_lines(c, v, self.old)
        return [row for row in self.todo if row.task is None or row.task.sentence != banner]

    def _log(self, c: Canvas, v: View, area: Area) -> None:
        if area.height < 2:  # a title over nothing
            return
        title, since = "log", self.console.since
        fresh = sum(at > since for at, _, _ in logs.lines(v)) if since else 0
        if fresh:
            title = f"since you left {words.ago(since, v.at)}: {fresh} new"
        logs.tail(c, blocks.panel(c, area, title), v, since)

    # -- 120x36 and up -------------------------------------------------------------------------------------------------

    def _large(self, c: Canvas, v: View, y: int) -> None:
        y += gauges.percent_bar(c, y, v)
        y += gauges.gauges(c, y, v, large=True, old=self.old)
        gauges.evidence_line(c, y, v)
        y += 1
        bottom = c.height - 2
        if c.width < 200:
            log_rows = min(len(logs.lines(v)) + 2, max(6, (bottom - y) // 4))
            main = bottom - y - max(log_rows, c.spare)
            left, right = blocks.beside(Area(1, y, c.width - 2, main), (5, 4))
            if self._has_curves(v):
                self._curves(c, v, left, ("error_rate", "latency_mean"), 1)
            else:
                self._waiting(c, v, left)
            self._side(c, v, right, triggers=True, inbox=self._has_curves(v) and not v.as_of)
            self._log(c, v, Area(1, y + main, c.width - 2, bottom - c.spare - y - main))
            return
        bottom -= c.spare
        left, middle, right = blocks.beside(Area(1, y, c.width - 2, bottom - y), (6, 4, 4))
        self._curves(c, v, left, ("error_rate", "latency_mean", "cache_hit_rate", "llm_documents"), 2)
        self._side(c, v, middle, triggers=False, inbox=not v.as_of)
        triggers, log = blocks.stack(right, (len(v.triggers) + 2, 0))
        self._triggers(c, v, triggers)
        self._log(c, v, log)

    def _curves(self, c: Canvas, v: View, area: Area, metrics: Sequence[str], across: int) -> None:
        for metric, spot in zip(metrics, blocks.grid(area, len(metrics), across), strict=True):
            self.curve(c, v, metric, spot)

    def _side(self, c: Canvas, v: View, area: Area, triggers: bool, inbox: bool) -> None:
        lines = sum(len(wrapped(row.text, area.width - 4 - KEY_WIDTH)) for row in self._unsaid(c, v)) or 1
        most = area.height // (2 if words.worst(v) is None else 3)  # running triggers come before a long inbox
        wanted = [self._next_rows(v, area.width - 6) + 2, min(lines + 2, most) if inbox else 0, 0, 0]
        left = area.height - sum(wanted)
        if triggers:
            wanted[2] = min(len(v.triggers) + 2, left)
            if left - wanted[2] < LEAST_PANEL and words.worst(v) is None:  # calm triggers give way to the gate
                rows = left - min(left, max(LEAST_PANEL, len(gate_lines(v)) + 2))
                wanted[2] = rows if rows >= LEAST_PANEL else 0
        if left - wanted[2] < LEAST_PANEL:
            wanted[1 if inbox else 0] += left - wanted[2]
        upcoming, mine, running, gate = blocks.stack(area, wanted)
        self._next(c, v, upcoming)
        if inbox:
            self._waiting(c, v, mine)
        if running.height:
            self._triggers(c, v, running)
        if gate.height >= LEAST_PANEL:
            self._gate(c, v, gate)

    def _triggers(self, c: Canvas, v: View, area: Area) -> None:
        """One line per trigger: mark, name, its timer while it runs, the sentence."""
        running = sum(t.verdict == "breach" for t in v.triggers)
        x, y, width, rows = blocks.panel(
            c, area, "triggers", f"{running} running" if running else "none running", "bad+" if running else "dim"
        )
        listed = sorted(v.triggers, key=lambda t: t.verdict != "breach") if len(v.triggers) > rows else v.triggers
        fits = listed[: rows if len(listed) <= rows else max(0, rows - 1)]
        if len(fits) < len(listed) and rows > 0:
            c.spans(x, y + rows - 1, [("3 ", "key"), (f"and {len(listed) - len(fits)} more", "dim")], width)
        for row, trigger in enumerate(fits):
            self._trigger(c, v, trigger, Area(x, y + row, width, 1))

    def _trigger(self, c: Canvas, v: View, t: TriggerView, area: Area) -> None:
        running = t.verdict == "breach"
        sign, style = ("▼", "bad") if t.fired else words.VERDICT.get(t.verdict, ("·", "dim"))
        c.spans(area.x, area.y, [(f"{sign} ", style), (t.id, "strong" if running else "text")], 18)
        timer = ""
        if running and words.nothing_to_lower(v, t):
            timer = f"{words.AT_ZERO}  "
        elif running and t.for_s:
            timer = f"{words.acts(t, brief=True)}  "
        room = area.width - 19
        text = f"FIRED: {t.sentence}" if t.fired else "locked" if t.verdict == "locked" else t.sentence
        for cut in (": ", " ("):  # the rest is secondary, and useless if cut
            if cell_len(text) > room and not running:
                text = text.split(cut)[0]
        c.spans(area.x + 19, area.y, [(timer, "bad+"), (text, "text" if running else "dim")], room)

    def _gate(self, c: Canvas, v: View, area: Area) -> None:
        """What the next stage still needs, in the gate screen's order."""
        gate = v.gate
        goal = f"gate to {words.short(gate.next_name)}" if gate.next_name else "gate to stable"
        x, y, width, rows = blocks.panel(
            c, area, f"{goal} · 2 opens it" if area.width > 44 else goal, f"{gate.met} of {gate.total} met"
        )
        promotes = ", p promotes" if self.acts else ""
        lines = gate_lines(v) or [("✔", "ok", f"everything is met: open the gate (2){promotes}")]
        fits = lines if len(lines) <= rows else lines[: max(0, rows - 1)]
        for row, (sign, style, text) in enumerate(fits):
            c.spans(x, y + row, [(f"{sign} ", style), (text, "text")], width)
        if len(fits) < len(lines) and rows > 0:
            c.put(x + 2, y + rows - 1, f"and {len(lines) - len(fits)} more", "dim", width)

    # -- below 80x24: what matters, down to 40x10 ----------------------------------------------------------------------

    def _small(self, c: Canvas, v: View, y: int) -> None:
        bottom = c.height - 1 - bool(self.keys_now()) - c.spare
        if c.width < 46:  # no room in the header
            bottom -= 1
            c.spans(1, bottom, [("R", "key"), (" rollback to 0 %", "text")])
        error, latency = words.gauges(v)
        lines: list[list[Span]] = [
            _gauge_line(words.of_arm("error rate", error.arm), error, words.rate(error.value, 1, error.target)),
            _coming(v),
            _gauge_line(words.of_arm("latency", latency.arm), latency, words.ms(latency.value)),
            _gauge_line("cache hits", v.cache, words.rate(v.cache.value, 0, v.cache.target)),
            *([(f"{row.key or '○'} ", "key"), (row.text, "text")] for row in self.todo[:2]),
        ]
        for line in lines[: max(0, bottom - y)]:
            c.spans(1, y, line, c.width - 2)
            y += 1
        if bottom - y >= 2:
            self._log(c, v, Area(1, y, c.width - 2, bottom - y))


def gate_lines(v: View) -> list[tuple[str, str, str]]:
    """(mark, style, text): the conditions with what each lacks, then what else is missing. The checklist is only
    counted: its open items are listed under what waits for you."""
    done = sum(i.state == "done" for i in v.gate.items)
    whole = done == len(v.gate.items)
    items = (
        [(*words.mark(True if whole else None), f"checklist: {done} of {len(v.gate.items)} done")]
        if v.gate.items
        else []
    )
    out = [(*checklist.sign(n), f"{n.text}: {checklist.lacks(n) or n.sentence}") for n in v.gate.conditions]
    rest = [("○", "warn", text) for text in v.gate.others]
    return [*out, *items, *rest]


def _gauge_line(name: str, g: Gauge, value: str) -> list[Span]:
    sign, style = words.mark(g.ok)
    return [
        (f"{name:<11}", "dim"),
        (f"{sign} ", style),
        (value, gauges.value_style(g)),
        (f"  {words.target(g)}  {gauges.evidence(g)}", "dim"),
    ]


def _coming(v: View) -> list[Span]:
    """What the system does next without intervention, in one line."""
    worst = words.worst(v)
    if v.why_effective:
        return [(f"{words.percent(v.effective_bp)} in force now: {v.why_effective}", "bad")]
    if worst is not None and worst.fires_in_s is not None:
        act = words.ACTION.get(worst.action, worst.action)
        return [
            (f"→ {act} {words.acts(worst, brief=True)}", "bad+"),
            (f"  {worst.id}{f', {worst.acts_by}' if worst.acts_by else ''}", "text"),
        ]
    return [("→ ", "accent"), (v.next[0] if v.next else "no automatic change is due", "text")]
