"""The A/B test: both groups' metrics, intervals that are valid at every look, the verdict; the final tests stay sealed
until the declared end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from textual.binding import BindingType

from console import explain
from console.screens.fetching import FetchingPage
from console.screens.page import Hint, key
from console.widgets import blocks, words
from console.widgets.blocks import Area, below
from console.widgets.canvas import Canvas, wrapped
from console.widgets.intervals import interval, span_of
from engine.experiment.declaration import DAY
from engine.experiment.effects import Interval
from engine.experiment.formatting import Unit, number, percent, times
from engine.experiment.pairs import PairedReport
from engine.experiment.report import MetricReport, TrialReport
from engine.plan.durations import format_duration
from engine.text import rate_percent
from engine.trial.results import TrialStatus, trial_status
from engine.trial.search_scores import last_pairs
from engine.view.model import View

STYLE = {"better": "ok", "worse": "bad", "different": "warn", "none": "text", "unknown": "dim"}
WORD = {
    "better": "▲ better", "worse": "▼ worse", "different": "◆ different", "none": "· nothing yet",
    "unknown": "? no data",
}  # fmt: skip
GUARD = {"held": ("✔", "ok"), "broken": ("✖", "bad"), "open": ("·", "text"), "unknown": ("?", "dim")}
VERDICT = {"ship": "fine", "worse": "alarm", "void": "alarm"}
PAIRED: dict[str, tuple[str, Unit]] = {
    "search_quality": ("paired search score", "score"),
    "keywords": ("keywords", "count"),
    "relevance": ("relevance", "score"),
    "overlap": ("keywords in common", "rate"),
}
ROOMY = 120  # sentences fit from this width on


class AbTest(FetchingPage):
    NUMBER: ClassVar[int] = 6
    TITLE: ClassVar[str] = "A/B test"
    ABOUT: ClassVar[str] = "both groups by metric, interval, verdict, days left"
    BINDINGS: ClassVar[list[BindingType]] = [
        key("m", "measure", "measure search quality now, as evidence for the gate")
    ]

    def __init__(self) -> None:
        super().__init__()
        self.trial: TrialStatus | None = None
        self.pairs: tuple[PairedReport, ...] = ()
        self.read_once = False

    def hints(self) -> tuple[Hint, ...]:
        v = self.snapshot.view
        if v is not None and v.measuring is not None:
            return (("", f"measuring search quality: {rate_percent(v.measuring, 0)}", ""),)
        return (("m", "measure search quality", "measure"),)

    def explained(self) -> list[explain.Explained]:
        metrics = self.trial.report.metrics if self.trial is not None else ()
        return explain.trial(next((_capital(m.label) for m in metrics if m.role == "primary"), ""))

    def wanted(self) -> Any:
        v = self.snapshot.view
        return int(v.at // max(10.0, 2.0 * v.speed)) if v else None

    def fetch(self, wanted: Any) -> Callable[[], None]:
        v = self.snapshot.view
        now = v.at if v is not None else 0.0
        current = self.console.link.reader.read(lambda conn: trial_status(conn, now))
        pairs = self.console.link.reader.read(last_pairs)

        def put() -> None:
            self.trial, self.pairs, self.read_once = current, tuple(p for p in pairs if p.n), True

        return put

    # -- painting ------------------------------------------------------------------------------------------------------

    def paint(self, c: Canvas, v: View, y: int) -> None:
        area = self.area(c, y)
        if self.trouble or not self.read_once:
            text, style = (self.trouble, "bad") if self.trouble else ("Reading both groups ...", "dim")
            c.block(area.x, area.y, area.width, 3, text, style)
            return
        if self.trial is None:
            area = self._before(c, area)
        else:
            area = self._head(c, area, self.trial, v)
            area = self._metrics(c, area, self.trial.report)
            area = self._limits(c, area, self.trial.report)
            if c.width >= ROOMY and self.pairs:
                left, right = blocks.beside(area, (3, 2))
                self._details(c, left, self.trial)
                self._pairs(c, right)
                return
            area = self._details(c, area, self.trial)
        self._pairs(c, area)

    def _before(self, c: Canvas, area: Area) -> Area:
        stage = next((s for s in self.console.plan.stages if s.ab_test and s.experiment), None)
        if stage is None or stage.experiment is None:
            text = "The plan has no A/B test: no stage has `ab_test = true`."
            return below(area, c.block(area.x, area.y, area.width, 2, text, "text") + 1)
        e = stage.experiment
        begins = f"The A/B test starts with stage {stage.number}, {stage.name}, at {words.percent(stage.percent_bp)}."
        used = c.block(area.x, area.y, area.width, 3, begins, "strong")
        for line in (
            f"Declared in advance: search quality {percent(e.uplift, signed=True)}, {format_duration(e.duration_s)}, "
            f"at least {e.documents} documents in each group, p < {e.alpha:g}.",
            f"Control: {e.control or 'frequency'}. Treatment: {e.treatment or 'LLM'}.",
            "While it runs, this screen shows intervals that are valid however often you look. The t-test "
            "and chi-square are read once, at the end.",
        ):
            used += c.block(area.x, area.y + used, area.width, 3, line, "dim")
        return below(area, used + 1)

    def _head(self, c: Canvas, area: Area, status: TrialStatus, v: View) -> Area:
        """The verdict, the progress, the split, and what is still sealed."""
        report, declared = status.report, status.trial.declaration
        x, y, width, _ = area
        end = c.put(x, y, f" {report.verdict.word.upper()} ", VERDICT.get(report.verdict.word, "calm"))
        used = max(1, c.block(end + 1, y, width - (end + 1 - x), 5, report.verdict.sentence, "strong"))
        if status.trial.ended is not None:
            c.put(x, y + used, f"Ended {words.hour(status.trial.ended, v.at)}: {status.trial.why}.", "warn", width)
            used += 1
        passed = min(declared.days, max(0.0, (report.at - declared.started) / DAY))
        at = c.put(x, y + used, f"day {passed:.1f} of {declared.days:g} ", "text")
        blocks.meter(c, at, y + used, 8, passed / declared.days, "accent")
        at += 10
        for name, n in (("control", report.ratio.control), ("LLM", report.ratio.treatment)):
            enough = n >= declared.documents_per_arm
            parts = [
                (f"{name} ", "dim"),
                (words.count(n), "text"),
                (f" of {words.count(declared.documents_per_arm)} ", "dim"),
            ]
            at = (
                c.spans(at, y + used, [*parts, ("✔" if enough else "·", "ok" if enough else "dim")], x + width - at) + 2
            )
        used += 1
        sign, style = {True: ("✖", "bad"), False: ("✔", "ok"), None: ("·", "dim")}[report.ratio.mismatch]
        c.put(x, y + used, sign, style)
        split = report.ratio.sentence
        if not report.ratio.mismatch:
            total = report.ratio.control + report.ratio.treatment
            share = percent(report.ratio.treatment / total) if total else "unknown"
            split = f"The split is as declared: {share} by LLM, {percent(report.ratio.expected_share)} declared."
        used += c.block(x + 2, y + used, width - 2, 2, split, style)
        c.put(x, y + used, "✔" if report.lock.open else "‖", "ok" if report.lock.open else "dim")
        used += c.block(x + 2, y + used, width - 2, 2, self._tests(report, declared.looks, v), "dim")
        return below(area, used)

    def _tests(self, report: TrialReport, looks: int, v: View) -> str:
        if report.lock.open:
            return "t-test and chi-square were read once, at the declared end, and are not read again."
        taken = f"look {report.looks[-1].number} of {looks} taken" if report.looks else f"none of {looks} looks taken"
        return f"t-test and chi-square: sealed until {words.hour(report.lock.opens_at, v.at)}. Daily bounds: {taken}."

    def _metrics(self, c: Canvas, area: Area, report: TrialReport) -> Area:
        boxed = c.width >= blocks.BOXED
        rows = len(report.metrics) + (3 if boxed else 1)
        inner = blocks.panel(c, Area(area.x, area.y, area.width, min(rows, area.height)), "metric")
        name, arm = (24, 12) if c.width >= ROOMY else (17, 9)
        heads = inner.y if boxed else inner.y - 1
        shown = (max(15, inner.width - name - 2 * arm - 27) - 1) | 1
        changes = [metric.change for metric in report.metrics]
        span = span_of(change for metric, change in zip(report.metrics, changes, strict=True) if metric.unit != "ms")
        x, at = inner.x, inner.x + name + 2 * arm + 2
        c.right(x + name + arm, heads, " control", "head")
        c.right(x + name + 2 * arm, heads, " LLM", "head")
        c.put(at, heads, f" {percent(-span, signed=True)} ", "head")
        c.put(at + shown // 2, heads, "0", "head")
        c.right(at + shown, heads, f" {percent(span, signed=True)} ", "head")
        for row, (metric, change) in enumerate(zip(report.metrics, changes, strict=True)):
            y = heads + 1 + row
            if y >= inner.y + inner.height:
                break
            style = _style(metric)
            c.put(x, y, _capital(metric.label), "strong" if metric.role == "primary" else "text", name)
            c.right(x + name + arm, y, number(metric.control.mean, metric.unit), "text")
            c.right(x + name + 2 * arm, y, number(metric.treatment.mean, metric.unit), "text")
            interval(c, at, y, shown, change, span, style)
            c.right(at + shown + 10, y, _change_text(metric, change), style)
            c.put(at + shown + 11, y, _word(metric), style)
        return below(area, rows)

    def _limits(self, c: Canvas, area: Area, report: TrialReport) -> Area:
        limits = [metric for metric in report.metrics if metric.guardrail is not None]
        extra = blocks.frame_rows(c)
        if area.height < extra + 1 or not limits:
            return area
        inner = blocks.panel(
            c, Area(area.x, area.y, area.width, min(area.height, len(limits) + extra)), "limits, one-sided"
        )
        for row, metric in enumerate(limits[: inner.height]):
            assert metric.guardrail is not None
            sign, style = GUARD[metric.guardrail.state]
            c.put(inner.x, inner.y + row, sign, style)
            text = metric.guardrail.sentence if c.width >= ROOMY else self._brief(metric)
            c.put(inner.x + 2, inner.y + row, text, "text", inner.width - 2)
        return below(area, len(limits) + extra)

    def _brief(self, metric: MetricReport) -> str:
        """Value, bound and limit, without prose."""
        reading = metric.guardrail
        assert reading is not None
        if reading.value is None:
            return f"{_capital(metric.label)}: unknown, no data"
        plans = self.trial.trial.declaration.metrics if self.trial is not None else ()
        plan = next(plan for plan in plans if plan.name == metric.name)
        people = "" if plan.decides else "; for people to judge"
        if plan.max_ratio is not None:
            return f"{_capital(metric.label)} {times(reading.value)} the control's, limit {reading.limit:g}{people}"
        loss = "loss " if plan.margin is not None else ""
        value, bound, limit = (number(amount, metric.unit) for amount in (reading.value, reading.bound, reading.limit))
        return f"{_capital(metric.label)}: {loss}{value}, at most {bound}, limit {limit}{people}"

    def _details(self, c: Canvas, area: Area, status: TrialStatus) -> Area:
        if area.height < 5:
            return area
        lines = _judged_how(status)
        wanted = sum(min(3, len(wrapped(line, area.width - 4))) for line in lines) + 2
        inner = blocks.panel(c, Area(area.x, area.y, area.width, min(area.height, wanted)), "how it is judged")
        used = 0
        for line in lines:
            if used >= inner.height:
                break
            used += c.block(inner.x, inner.y + used, inner.width, min(3, inner.height - used), line, "dim")
        return below(area, min(area.height, wanted))

    def _pairs(self, c: Canvas, area: Area) -> None:
        """The documents that have both methods' keywords, served or in shadow."""
        extra = blocks.frame_rows(c)
        if not self.pairs or area.height < len(self.pairs) + extra:
            return
        n = words.count(max(p.n for p in self.pairs))
        title = f"the same {n} documents by both: LLM minus frequency, per document"
        inner = blocks.panel(c, Area(area.x, area.y, area.width, len(self.pairs) + extra), title)
        for row, p in enumerate(self.pairs):
            label, unit = PAIRED.get(p.name, (p.name, "score"))
            signed = p.name != "overlap"
            bounds = ""
            if p.interval is not None and signed:
                low, high = (number(edge, unit, signed=True) for edge in (p.interval.low, p.interval.high))
                bounds = f"  [{low}, {high}]"
            c.put(inner.x, inner.y + row, _capital(label), "text", 22)
            c.put(
                inner.x + 22, inner.y + row, f"{number(p.mean, unit, signed=signed)}{bounds}", "text", inner.width - 22
            )

    def action_measure(self) -> None:
        self.console.act("measure")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _change_text(metric: MetricReport, change: Interval | None) -> str:
    if change is None:
        return ""
    return times(change.estimate + 1) if metric.unit == "ms" else percent(change.estimate, signed=True)


def _style(metric: MetricReport) -> str:
    if metric.guardrail is not None and metric.signal == "worse":  # worse within its limit is what a limit allows
        return "text" if metric.guardrail.state == "held" else "warn"
    return STYLE[metric.signal]


def _word(metric: MetricReport) -> str:
    if not metric.control.n and metric.treatment.n:
        return "  LLM only"
    if metric.signal == "unknown" and metric.control.n and metric.control.k == metric.treatment.k == 0:
        return "· none in either"
    if metric.signal == "unknown" and metric.treatment.n:
        return "? too few yet"
    if metric.signal == "none" and metric.fixed is not None:
        return "· no difference"
    return WORD[metric.signal]


def _judged_how(status: TrialStatus) -> Sequence[str]:
    report, declared = status.report, status.trial.declaration
    lines = []
    primary = next(metric for metric in report.metrics if metric.role == "primary")
    if primary.needed is not None and not report.lock.open:
        chance = "" if primary.power is None else f"; power so far {percent(primary.power)}"
        lines.append(
            f"{_capital(primary.label)}: {words.count(primary.needed)} more scored documents for "
            f"{percent(declared.power)} power at {percent(declared.primary.worthwhile, signed=True)}{chance}."
        )
    for metric in report.metrics:
        if metric.fixed is not None:
            letter = "" if metric.fixed.plan_p is None else f", the plan's own test {_p(metric.fixed.plan_p)}"
            tested = f"{metric.fixed.test} {_p(metric.fixed.judged_p)}{letter}"
            lines.append(f"{_capital(metric.label)}: {tested}. {metric.fixed.warning}".rstrip())
    for arm, given in status.people.items():
        lines.append(
            f"{'LLM' if arm == 'treatment' else 'Control'}: {words.count(given.clicked)} clicks of "
            f"{words.count(given.shown)} impressions, {words.count(given.liked)} of {words.count(given.rated)} "
            "ratings are 4 or 5."
        )
    return [*lines, _capital(report.correction)]


def _p(value: float) -> str:
    return f"p = {value:.2g}" if value >= 1e-4 else "p < 0.0001"
