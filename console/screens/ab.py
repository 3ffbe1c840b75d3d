"""The A/B test: both groups metric by metric, intervals that hold at every look, the verdict in words; the tests stay shut until
their day."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import BindingType

from console.screens.page import Hint, key
from console.screens.reading import Reading
from console.widgets import blocks, words
from console.widgets.canvas import Canvas
from console.widgets.intervals import interval, span_of
from engine.experiment.declaration import DAY
from engine.experiment.report import MetricReport, Report
from engine.experiment.words import number, percent
from engine.plan.durations import format_duration
from engine.view import View

if TYPE_CHECKING:
    from engine.experiment.pairs import PairedReport
    from engine.trial.results import Standing

STYLE = {"better": "ok", "worse": "bad", "different": "warn", "none": "text", "unknown": "dim"}
WORD = {
    "better": "▲ better", "worse": "▼ worse", "different": "◆ different", "none": "· nothing yet", "unknown": "? no data",
}  # fmt: skip
GUARD = {"held": ("✔", "ok"), "broken": ("✖", "bad"), "open": ("·", "text"), "unknown": ("?", "dim")}
VERDICT = {"ship": "fine", "worse": "alarm", "void": "alarm"}
PAIRED = {"search_quality": "score", "keywords": "count", "relevance": "score", "overlap": "rate"}


class AbTest(Reading):
    NUMBER: ClassVar[int] = 6
    TITLE: ClassVar[str] = "A/B test"
    ABOUT: ClassVar[str] = "per metric both groups, interval, verdict, days left"
    BINDINGS: ClassVar[list[BindingType]] = [
        key("m", "measure", "measure search quality now, as evidence for the gate")
    ]

    def __init__(self) -> None:
        super().__init__()
        self.found: Standing | None = None
        self.pairs: tuple[PairedReport, ...] = ()
        self.read_once = False

    def hints(self) -> tuple[Hint, ...]:
        return (("m", "measure search quality", "measure"),)

    def wanted(self) -> Any:
        v = self.sight.view
        return int(v.at // max(10.0, 2.0 * v.speed)) if v else None

    def fetch(self, wanted: Any) -> Callable[[], None]:
        found, pairs = self.console.link.ab_test(), self.console.link.pairs()

        def put() -> None:
            self.found, self.pairs, self.read_once = found, pairs, True

        return put

    def paint(self, c: Canvas, v: View, y: int) -> None:
        if self.trouble or not self.read_once:
            c.block(
                1, y + 1, c.width - 2, 3, self.trouble or "Reading both groups ...", "bad" if self.trouble else "dim"
            )
            return
        bottom = c.height - 2
        if self.found is None:
            y = self._none(c, y)
        else:
            y = self._head(c, y, self.found, v)
            y = self._metrics(c, y, bottom, self.found.report)
            y = self._limits(c, y, bottom, self.found.report)
            if bottom - y > 6:
                y = self._details(c, y, bottom, self.found)
        if bottom - y >= 3:
            self._pairs(c, y, bottom)

    def _none(self, c: Canvas, y: int) -> int:
        stage = next((s for s in self.console.plan.stages if s.ab_test and s.experiment), None)
        if stage is None or stage.experiment is None:
            c.block(1, y + 1, c.width - 2, 2, "The plan has no A/B test: no stage has `ab_test = true`.", "text")
            return y + 4
        e = stage.experiment
        y += 1
        y += c.block(
            1, y, c.width - 2, 3,
            f"The A/B test begins by itself with stage {stage.number}, {stage.name}, at {words.percent(stage.percent_bp)}.", "strong",
        )  # fmt: skip
        for line in (
            f"Declared before it begins: search quality {e.uplift:+.0%}, {format_duration(e.duration_s)}, at least {e.documents} documents in each group, p < {e.alpha:g}.",
            f"Control: {e.control or 'frequency'}. Treatment: {e.treatment or 'LLM'}.",
            "While it runs this screen shows intervals that hold however often you look. The t-test and chi-square are read once, at the end.",
        ):
            y += c.block(1, y, c.width - 2, 3, line, "dim")
        return y + 1

    def _head(self, c: Canvas, y: int, found: Standing, v: View) -> int:
        report, trial = found.report, found.trial
        declared = trial.declaration
        word = f" {report.verdict.word.upper()} "
        end = c.put(1, y, word, VERDICT.get(report.verdict.word, "bar"))
        taken = c.block(end + 1, y, c.width - end - 2, 3, report.verdict.sentence, "strong")
        y += max(1, taken)
        if trial.ended is not None:
            c.put(1, y, f"Ended {words.hour(trial.ended, v.at)}: {trial.why}.", "warn", c.width - 2)
            y += 1
        passed = min(declared.days, max(0.0, (report.at - declared.started) / DAY))
        x = c.put(1, y, f"day {passed:.1f} of {declared.days:g} ", "text")
        blocks.meter(c, x, y, 10, passed / declared.days, "accent")
        x += 12
        for name, n in (("control", report.ratio.control), ("LLM", report.ratio.treatment)):
            wanted = declared.documents_per_arm
            sign, style = ("✔", "ok") if n >= wanted else ("·", "dim")
            x = c.spans(
                x,
                y,
                [
                    (f"{name} ", "dim"),
                    (f"{words.count(n)}", "text"),
                    (f" of {words.count(wanted)} ", "dim"),
                    (sign, style),
                ],
            )
            x += 3
        y += 1
        sign, style = (
            ("✖", "bad+") if report.ratio.mismatch else ("✔", "ok") if report.ratio.mismatch is False else ("·", "dim")
        )
        c.put(1, y, sign, style)
        split = report.ratio.sentence if report.ratio.mismatch else report.ratio.sentence.partition(" (p =")[0] + "."
        y += c.block(3, y, c.width - 4, 2, split, "bad" if report.ratio.mismatch else "dim")
        c.put(1, y, "‖" if not report.lock.open else "✔", "dim" if not report.lock.open else "ok")
        y += c.block(3, y, c.width - 4, 2, self._tests(report, declared.looks, v), "dim")
        return y

    def _tests(self, report: Report, looks: int, v: View) -> str:
        if report.lock.open:
            return "t-test and chi-square were read once, at the declared end; they are not read again."
        daily = (
            f": look {report.looks[-1].number} of {looks} taken" if report.looks else f": none of {looks} looks taken"
        )
        then = f", next {words.hour(report.next_look, v.at)}" if report.next_look is not None else ""
        return f"t-test and chi-square: shut until {words.hour(report.lock.opens_at, v.at)}, read once. Daily bounds{daily}{then}."

    def _metrics(self, c: Canvas, y: int, bottom: int, report: Report) -> int:
        name, arm = (26, 12) if c.width >= 120 else (17, 9)
        shown = max(16, c.width - name - 2 * arm - 28)
        if shown % 2 == 0:
            shown -= 1
        changes = [self._change(metric) for metric in report.metrics]
        span = span_of(change for metric, change in zip(report.metrics, changes, strict=True) if metric.unit != "ms")
        c.rule(1, y, c.width - 2, "metric")
        c.right(1 + name + arm, y, " control", "head")
        c.right(1 + name + 2 * arm, y, " LLM", "head")
        at = 3 + name + 2 * arm
        c.put(at, y, f" {-span:+.0%} ", "head")
        c.put(at + shown // 2, y, "0", "head")
        c.right(at + shown, y, f" {span:+.0%} ", "head")
        y += 1
        for metric, change in zip(report.metrics, changes, strict=True):
            if y >= bottom:
                return y
            style = self._style(metric)
            primary = metric.role == "primary"
            label = metric.label[0].upper() + metric.label[1:]
            c.put(1, y, label, "strong" if primary else "text", name)
            c.right(1 + name + arm, y, number(metric.control.mean, metric.unit), "text")
            c.right(1 + name + 2 * arm, y, number(metric.treatment.mean, metric.unit), "text")
            interval(c, at, y, shown, change, span, style)
            word = WORD[metric.signal]
            if metric.signal == "none" and metric.fixed is not None:
                word = "· no difference"
            if metric.signal == "unknown" and metric.control.n and metric.treatment.n:
                word = "? too few yet"
            if not metric.control.n and metric.treatment.n:
                word = "  LLM only"
            change_text = percent(change.estimate, signed=True) if change is not None else ""
            if metric.unit == "ms" and change is not None:
                change_text = f"{change.estimate + 1:.0f} times"
            c.put(at + shown + 1, y, f"{change_text:>9}", style)
            c.put(at + shown + 11, y, word, style)
            y += 1
        return y

    def _change(self, metric: MetricReport) -> Any:
        return metric.fixed.uplift if metric.fixed is not None else metric.uplift

    def _style(self, metric: MetricReport) -> str:
        if metric.guardrail is not None and metric.signal == "worse":  # worse within its limit is what a limit allows
            return "text" if metric.guardrail.state == "held" else "warn"
        return STYLE[metric.signal]

    def _limits(self, c: Canvas, y: int, bottom: int, report: Report) -> int:
        limits = [metric for metric in report.metrics if metric.guardrail is not None]
        if bottom - y < 2:
            return y
        c.rule(1, y, c.width - 2, "limits, one-sided")
        y += 1
        for i, metric in enumerate(limits):
            if y >= bottom:
                return y
            assert metric.guardrail is not None
            sign, style = GUARD[metric.guardrail.state]
            rows = max(1, min(2, bottom - y - (len(limits) - i - 1)))
            c.put(1, y, sign, style)
            text = metric.guardrail.sentence if c.width >= 120 else self._brief(metric)
            y += c.block(3, y, c.width - 4, rows, text, "text")
        return y

    def _brief(self, metric: MetricReport) -> str:
        """Value, bound and limit without the words around them."""
        found = metric.guardrail
        assert found is not None
        label = metric.label[0].upper() + metric.label[1:]
        if found.value is None:
            return f"{label}: unknown, for want of data"
        if metric.unit == "ms":
            return f"{label} {found.value:.3g} times the control's, limit {found.limit:g}" + self._left_to_people(
                metric
            )
        loss = "loss " if metric.name == "satisfaction" else ""
        shown = [number(value, metric.unit) for value in (found.value, found.bound, found.limit)]
        return f"{label}: {loss}{shown[0]}, at most {shown[1]}, limit {shown[2]}"

    def _left_to_people(self, metric: MetricReport) -> str:
        plans = self.found.trial.declaration.metrics if self.found is not None else ()
        decides = all(plan.decides for plan in plans if plan.name == metric.name)
        return "" if decides else "; people judge it at the gate"

    def _details(self, c: Canvas, y: int, bottom: int, found: Standing) -> int:
        report = found.report
        primary = next(metric for metric in report.metrics if metric.role == "primary")
        c.rule(1, y, c.width - 2, "how it is judged")
        y += 1
        lines = []
        if primary.needed is not None and not report.lock.open:
            chance = (
                "" if primary.power is None else f"; with what is there it would be seen with {percent(primary.power)}"
            )
            lines.append(
                f"{primary.label}: {words.count(primary.needed)} more scored documents for {found.trial.declaration.power:.0%} power at "
                f"{found.trial.declaration.primary.worthwhile:+.0%}{chance}."
            )
        for metric in report.metrics:
            if metric.fixed is not None:
                letter = "" if metric.fixed.plan_p is None else f", the plan's own test p = {metric.fixed.plan_p:.2g}"
                lines.append(
                    f"{metric.label}: {metric.fixed.test} p = {metric.fixed.judged_p:.2g}{letter}. {metric.fixed.warning}"
                )
        for arm, people in found.people.items():
            lines.append(
                f"{'LLM' if arm == 'treatment' else arm}: {people.clicked} clicks of {people.shown} impressions, "
                f"{people.liked} of {people.rated} ratings are 4 or 5."
            )
        lines.append(report.correction)
        for line in lines:
            if y >= bottom:
                return y
            y += c.block(1, y, c.width - 2, min(2, bottom - y), line[0].upper() + line[1:], "dim")
        return y

    def _pairs(self, c: Canvas, y: int, bottom: int) -> None:
        """The same documents by both methods: served, or in shadow."""
        if not any(p.n for p in self.pairs):
            return
        c.rule(
            1,
            y,
            c.width - 2,
            f"same documents by both methods, n = {max(p.n for p in self.pairs)}: LLM minus frequency",
        )
        y += 1
        for p in self.pairs:
            unit: Any = PAIRED.get(p.name, "score")
            bounds = (
                ""
                if p.interval is None
                else f" [{number(p.interval.low, unit, signed=True)}, {number(p.interval.high, unit, signed=True)}]"
            )
            text = f"{p.name.replace('_', ' ')} {number(p.mean, unit, signed=p.name != 'overlap')}{bounds}"
            if p.name == "overlap":
                text = f"keywords in common {number(p.mean, unit)}"
            if y < bottom:
                c.put(1, y, text[0].upper() + text[1:], "text", c.width - 2)
            y += 1

    def action_measure(self) -> None:
        self.console.act("measure")
