"""The report as it stands, in short; people write what went well, what to improve, lessons and action items for it here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from textual.binding import BindingType

from console.screens.page import LIST_KEYS, Hint, key
from console.screens.work import Work
from console.widgets.canvas import Canvas, wrapped
from engine.control import percent
from engine.plan.durations import iso
from engine.report import Story, gather, html
from engine.report.chronicle import duration
from engine.report.markdown import METRICS, PROMPTS
from engine.view import View

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
        self.story: Story | None = None

    def wanted(self) -> Any:
        v = self.sight.view
        return (v.rev, int(v.at // (30 * max(1.0, v.speed)))) if v else None

    def fetch(self, wanted: Any) -> Callable[[], None]:
        plan = self.console.plan
        made = self.console.link.read(lambda conn: gather(conn, plan))

        def put() -> None:
            self.story = made

        return put

    def hints(self) -> tuple[Hint, ...]:
        keys = (("w", "well", "write('well')"), ("i", "improve", "write('improve')"), ("l", "lesson", "write('lesson')"), ("a", "action", "write('action')"))  # fmt: skip
        return (
            *(() if self.console.read_only else keys),
            ("h", "save HTML", "save"),
            self.turn_hint(),
            ("j k", "scroll", ""),
        )

    def paint(self, c: Canvas, v: View, y: int) -> None:
        y = self.tabs(c, y)
        if self.story is None:
            c.block(1, y + 1, c.width - 2, 2, self.trouble or "Reading the store …", "bad" if self.trouble else "dim")
            return
        area = self.area(c, y)
        found = lines(self.story, min(area.width, 110))
        self.top = max(0, min(self.top, len(found) - area.height))
        for row, (text, style) in enumerate(found[self.top : self.top + area.height]):
            c.put(area.x, area.y + row, text, style, area.width)
        left = len(found) - self.top - area.height
        if left > 0 and c.width >= 50:
            c.right(c.width - 1, y - 1, f"{left} lines more", "dim")

    def action_move(self, by: int) -> None:
        self.top = max(0, self.top + by)
        self.repaint()

    def action_write(self, kind: str) -> None:
        self.console.ask_text(
            ASKS[kind],
            [PROMPTS[kind].removeprefix("Nothing was written yet. ")],
            "text, then enter",
            lambda text: self.console.act("note", kind=kind, text=text),
            least=3,
            yes="keep",
        )

    def action_save(self) -> None:
        plan, link = self.console.plan, self.console.link

        async def save() -> None:
            import asyncio

            path = Path.cwd() / FILE

            def work() -> None:
                path.write_text(html(link.read(lambda conn: gather(conn, plan))), encoding="utf-8")

            try:
                await asyncio.to_thread(work)
                self.console.say(f"Saved {path}. It opens offline, in any browser, and prints.")
            except (OSError, ValueError) as error:
                self.console.say(f"{path} could not be written: {error}", "caution")

        self.run_worker(save(), exit_on_error=False)


def lines(story: Story, width: int) -> list[tuple[str, str]]:
    """(text, style) for the screen: headline, summary, metrics, incidents, and what people wrote or have to write."""
    out: list[tuple[str, str]] = []

    def put(text: str, style: str = "text", indent: str = "") -> None:
        for part in wrapped(text, width - len(indent)) or [""]:
            out.append((indent + part, style))

    put(story.headline, "strong")
    for each in story.summary:
        put(f"· {each}")
    for chapter in story.review:
        out.append(("", "text"))
        put(chapter.heading, "head")
        for written in chapter.written:
            for line in written.text.split("\n"):
                put(line, indent="  ")
            put(f"{written.who}, {iso(written.at)}", "dim", "    ")
        if not chapter.written:
            put(PROMPTS[chapter.kind], "warn", "  ")
    out.append(("", "text"))
    put("Metrics by stage", "head")
    for stage in story.stages:
        if stage.entered is not None and (stage.number >= 2 or stage.llm_documents):
            put(
                f"Stage {stage.number} {stage.name}, {percent(stage.percent_bp)}, {duration(stage.spent_s)}",
                "strong",
                "  ",
            )
            for name, of in METRICS:
                figure = of(stage)
                style = {True: "ok", False: "bad", None: "dim"}[figure.good]
                put(f"{name:<18} {figure.words}", style, "    ")
    if story.incidents:
        out.append(("", "text"))
        put("Incidents", "head")
        for incident in story.incidents:
            put(f"{iso(incident.decided)} {incident.what}", "text", "  ")
            put(f"cause: {incident.cause or 'nobody wrote one down yet'}", "dim" if incident.cause else "warn", "    ")
    return out
