"""Quality review: a seeded sample of documents that the LLM wrote, text and keywords of both methods, judged by keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from textual.binding import BindingType

from console.screens.page import Hint, key
from console.screens.reading import Reading
from console.widgets.canvas import Canvas, columns
from engine.client import Reply
from engine.extraction.grounding import Ground
from engine.store.documents import Document
from engine.view import View

MARKS = (
    ("relevant", "relevant"),
    ("grounded", "nothing invented"),
    ("count", "10 to 15"),
    ("better", "better than frequency"),
)


class Review(Reading):
    NUMBER: ClassVar[int] = 5
    TITLE: ClassVar[str] = "Quality review"
    ABOUT: ClassVar[str] = "judge a sample of LLM keywords; the verdict is evidence in the gate"
    BINDINGS: ClassVar[list[BindingType]] = [
        key("n", "draw", "draw a sample (20 or 50, as the stage asks)"),
        key("y,enter", "judge(True)", "good: every mark holds"),
        key("b", "judge(False)", "bad"),
        key("j,down,l,right", "step(1)", "next document"),
        key("k,up,h,left", "step(-1)", "document before"),
        key("m", "measure", "measure search quality and the A/B test now"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.sample = 0
        self.ids: list[str] = []
        self.at = 0
        self.judged: dict[str, bool] = {}
        self.document: Document | None = None

    def hints(self) -> tuple[Hint, ...]:
        if not self.ids:
            return (("n", "draw a sample", "draw"), ("m", "measure search quality", "measure"))
        return (
            ("y", "good", "judge(True)"),
            ("b", "bad", "judge(False)"),
            ("j k", "move", ""),
            ("n", "new sample", "draw"),
            ("m", "measure", "measure"),
        )

    def wanted(self) -> Any:
        return self.ids[self.at] if self.ids else None

    def fetch(self, wanted: Any) -> Callable[[], None]:
        found = self.console.link.document(wanted) if wanted else None

        def put() -> None:
            self.document = found

        return put

    def paint(self, c: Canvas, v: View, y: int) -> None:
        sampling = self.console.plan.stages[min(v.stage, len(self.console.plan.stages) - 1)].sampling
        if not self.ids:
            size = sampling.documents if sampling else 20
            c.block(
                1,
                y + 1,
                c.width - 2,
                4,
                f"Draw {size} recent documents that the LLM wrote with n: seeded, stored, the same for every reviewer. Then y is good, b is bad.",
                "text",
            )
            for i, look in enumerate(sampling.look_for if sampling else ()):
                c.put(3, y + 5 + i, f"· {look}", "dim")
            improvement = v.quality.get("search_improvement")
            said = (
                "not measured yet; m measures it"
                if improvement is None
                else f"{improvement * 100:+.1f} % (MRR@10, LLM against frequency)"
            )
            c.put(1, y + 11, f"Search quality: {said}", "text")
            return
        good = sum(self.judged.values())
        c.put(1, y, f"document {self.at + 1} of {len(self.ids)} · judged {len(self.judged)}: {good} good", "head")
        d = self.document
        if d is None:
            return
        c.put(1, y + 1, d.title, "strong", c.width - 2)
        if d.id in self.judged:
            good_one = self.judged[d.id]
            c.right(c.width - 1, y, "judged good" if good_one else "judged bad", "ok" if good_one else "bad")
        bottom = c.height - 2
        half = max(4, (bottom - y - 3) // 2)
        c.rule(1, y + 2, c.width - 2, d.id)
        c.block(1, y + 3, c.width - 2, half - 1, " ".join(d.text.split()), "dim")
        top = y + 2 + half
        ground = Ground(d.text)
        llm = d.llm or ()
        supported = sum(ground.supports(keyword) for keyword in llm)
        shared = len(set(llm) & set(d.frequency))
        heads = (f"LLM: {len(llm)}, {supported} grounded, {shared} shared", f"frequency: {len(d.frequency)}")
        for (x, width), head, words in zip(columns(c.width - 2, [1, 1], 2), heads, (llm, d.frequency), strict=True):
            c.rule(1 + x, top, width, head)
            c.block(1 + x, top + 1, width, bottom - top - 1, ", ".join(words), "text")

    def action_step(self, by: int) -> None:
        self.at = max(0, min(len(self.ids) - 1, self.at + by)) if self.ids else 0
        self.refreshed()

    def action_draw(self) -> None:
        def drawn(reply: Reply) -> None:
            if reply.ok:
                self.sample, self.ids = int(reply.data["sample"]), list(reply.data["documents"])
                self.at, self.judged = 0, {}
                self.refreshed()

        self.console.act("sample", drawn)

    def action_judge(self, good: bool) -> None:
        if not self.ids:
            self.console.say("Draw a sample first: n.", "caution")
            return
        document = self.ids[self.at]

        def done(reply: Reply) -> None:
            if reply.ok:
                self.judged[document] = good
                self.action_step(1)

        marks = {name: good for name, _ in MARKS}
        self.console.act("judge", done, sample=self.sample, document=document, good=good, **marks)

    def action_measure(self) -> None:
        self.console.say("Measuring search quality on the latest documents; this takes a few seconds.", "bar")
        self.console.act("measure")
