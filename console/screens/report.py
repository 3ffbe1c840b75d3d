"""A short form of the current report, where people add what went well, what to improve, lessons and action items."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from textual.binding import BindingType

from console import explain
from console.screens.ask import TextField
from console.screens.asking import ask_text
from console.screens.page import LIST_KEYS, Hint, key
from console.screens.work import Work
from console.widgets import blocks, words
from console.widgets.blocks import Area
from console.widgets.canvas import Canvas, wrapped
from engine.files import write_whole
from engine.plan.durations import iso
from engine.report import RolloutReport, gather, html
from engine.report.model import METRICS, PROMPTS, QUESTIONS
from engine.report.timeline import duration
from engine.text import counted, percent
from engine.view.model import View

Lines = list[tuple[str, str]]  # text, style
WIDE = 140  # from this width on, figures go next to the text
FILE = "rollout-report.html"
ASKS = {
    "well": "What went well",
    "improve": "What could be improved",
    "lesson": "A lesson for the next rollout",
    "action": "An action item: who does what until when",
}


class Report(Work):
    TAB: ClassVar[int] = 2
    TITLE: ClassVar[str] = "Report"
    ABOUT: ClassVar[str] = "the report so far; write lessons and action items; save it as HTML"
    BINDINGS: ClassVar[list[BindingType]] = [
        *LIST_KEYS,
        key("w", "write('well')", "write what went well"),
        key("i", "write('improve')", "write what could be improved"),
        key("l", "write('lesson')", "write a lesson"),
        key("a", "write('action')", "write an action item"),
        key("h", "save", f"save the whole report as {FILE}"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.top = 0
        self.story: RolloutReport | None = None

    def wanted(self) -> Any:
        v = self.snapshot.view
        return (v.rev, int(v.at // (30 * max(1.0, v.speed)))) if v else None

    def fetch(self, wanted: Any) -> Callable[[], None]:
        plan = self.console.plan
        made = self.console.link.reader.read(lambda conn: gather(conn, plan))

        def put() -> None:
            self.story = made

        return put

    def explained(self) -> list[explain.Explained]:
        return [*explain.WRITTEN]

    def hints(self) -> tuple[Hint, ...]:
        keys = (
            ("w", "well", "write('well')"),
            ("i", "improve", "write('improve')"),
            ("l", "lesson", "write('lesson')"),
            ("a", "action", "write('action')"),
        )
        return (*keys, ("h", "save HTML", "save"), self.turn_hint(), ("j k", "scroll", ""))

    def paint(self, c: Canvas, v: View, y: int) -> None:
        y = self.tabs(c, y)
        if self.story is None:
            c.block(1, y + 1, c.width - 2, 2, self.trouble or "Reading the store …", "bad" if self.trouble else "dim")
            return
        area = self.area(c, y)
        if c.width < WIDE:
            self._scrolled(c, area, c.width - 1, y - 1, self._whole(self.story, area.width))
            return
        left, right = blocks.beside(area, (1, 1))
        inner = blocks.panel(c, left, "the report so far")
        self._scrolled(c, inner, left.x + left.width - 2, y, as_lines(self.story, min(inner.width, 110)))
        figures = measured(self.story, right.width - 4)
        table, incidents = blocks.stack(right, (len(figures) + 2, 0))
        inner = blocks.panel(c, table, "metrics by stage")
        _put(c, inner, figures or [("No stage has had LLM documents yet.", "dim")])
        if incidents.height >= 4:
            lines = happened(self.story, right.width - 4)
            _put(c, blocks.panel(c, incidents, "incidents"), lines or [("none", "ok")])

    @staticmethod
    def _whole(story: RolloutReport, width: int) -> Lines:
        """Everything in one column."""
        blank, incidents = ("", "text"), happened(story, width)
        out = [*as_lines(story, width), blank, ("Metrics by stage", "head"), *measured(story, width)]
        return [*out, blank, ("Incidents", "head"), *incidents] if incidents else out

    def _scrolled(self, c: Canvas, area: Area, end: int, noted: int, lines: Lines) -> None:
        """The lines that fit from `top`, and a count of the rest at the right of row `noted`."""
        self.top = max(0, min(self.top, len(lines) - area.height))
        _put(c, area, lines[self.top :])
        left = len(lines) - self.top - area.height
        if left > 0 and c.width >= 50:
            c.right(end, noted, f" {counted(left, 'line')} more ", "dim")

    def action_move(self, by: int) -> None:
        self.top = max(0, self.top + by)
        self.repaint()

    def action_write(self, kind: str) -> None:
        ask_text(
            self.console,
            ASKS[kind],
            [QUESTIONS[kind]],
            TextField("text, then enter", least=3),
            lambda text: self.console.act("note", kind=kind, text=text),
            "keep",
        )

    def action_save(self) -> None:
        plan, link = self.console.plan, self.console.link

        async def save() -> None:
            import asyncio

            path = Path.cwd() / _file(self.console.live.view)

            def work() -> None:
                write_whole(path, html(link.reader.read(lambda conn: gather(conn, plan))).encode("utf-8", "replace"))

            try:
                await asyncio.to_thread(work)
                self.console.say(f"Saved {path}. It opens offline, in any browser, and prints.")
            except (OSError, ValueError) as error:
                self.console.say(f"{path} could not be written: {error}", "caution")

        self.run_worker(save(), exit_on_error=False)


def _file(v: View | None) -> str:
    """A rehearsal may run in a real rollout's folder: its report replaces none of that."""
    exercise = v.exercise if v is not None else ""
    return f"{exercise.lower().replace(' ', '-')}-report.html" if exercise else FILE


def _put(c: Canvas, area: Area, lines: Lines) -> None:
    for row, (text, style) in enumerate(lines[: area.height]):
        c.put(area.x, area.y + row, text, style, area.width)


def as_lines(story: RolloutReport, width: int) -> Lines:
    """Headline, summary, and what people wrote or still have to write."""
    out = _lines(story.headline, width, "strong")
    for sentence in story.summary:
        first, *rest = wrapped(sentence, width - 2) or [""]
        out += [(f"· {first}", "text"), *((f"  {part}", "text") for part in rest)]
    for chapter in story.review:
        out += [("", "text"), (chapter.heading, "head")]
        for written in chapter.written:
            for line in written.text.split("\n"):
                out += _lines(line, width, "text", "  ")
            out.append((f"    {written.who}, {iso(written.at)}", "dim"))
        if not chapter.written:
            out += _lines(PROMPTS[chapter.kind], width, "warn", "  ")
    return out


def measured(story: RolloutReport, width: int) -> Lines:
    """Each stage's figures, with targets marked as met or missed."""
    out: Lines = []
    for stage in story.stages:
        if stage.entered is None or not (stage.number >= 2 or stage.llm_documents):
            continue
        title = f"Stage {stage.number} {stage.name}, {percent(stage.percent_bp)}, {duration(stage.spent_s)}"
        out += _lines(title, width, "strong", "  ")
        for name, of in METRICS:
            figure = of(stage)
            sign, style = words.mark(figure.good)
            out += _lines(f"{sign} {name:<18} {figure.words}", width, style, "    ")
    return out


def happened(story: RolloutReport, width: int) -> Lines:
    """Each incident with its cause."""
    out: Lines = []
    for incident in story.incidents:
        out += _lines(f"{iso(incident.decided)} {incident.what}", width, "text")
        cause = incident.cause or "no cause recorded yet"
        out += _lines(f"cause: {cause}", width, "dim" if incident.cause else "warn", "  ")
    return out


def _lines(text: str, width: int, style: str, indent: str = "") -> Lines:
    return [(indent + part, style) for part in wrapped(text, width - len(indent)) or [""]]
