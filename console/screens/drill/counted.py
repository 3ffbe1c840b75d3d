"""What a gate's condition counted: requests to the LLM, or people's answers and measurements. Enter shows the
document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from console.screens.drill.request import OneRequest
from console.screens.drill.requests import Requests
from console.screens.listing import Column, Listing, ListRow
from console.screens.page import Page
from console.widgets import words
from engine.gate.samples import GateSample, has_samples, samples
from engine.metrics.requests import Counted as CountedRequests
from engine.metrics.requests import Scope
from engine.rollout.way_back import LEAST_EVIDENCE_S
from engine.view.model import ConditionView, View

COUNTED: dict[str, CountedRequests] = {
    "error_rate": "attempts", "error_creep": "attempts", "latency_mean": "timed", "latency_p95": "timed",
    "cache_hit_rate": "lookups", "grounded_rate": "grounding", "documents": "served",
}  # fmt: skip


class Counted(Listing):
    TITLE: ClassVar[str] = "Counted"
    ABOUT: ClassVar[str] = "the reviews, ratings, complaints or measurements behind a condition"
    BELOW: ClassVar[str] = "the document"
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("time", 11, largest=True), Column("", 2), Column("what", 22), Column("by", 14), Column("document", 0),
    )  # fmt: skip

    def __init__(self, of: str, metric: str, until: float | None = None) -> None:
        super().__init__()
        self.of, self.metric, self.ends = of, metric, until

    def heading(self) -> tuple[str, str]:
        return f"counted for: {self.of}", f"{len(self.lines)}"

    def empty(self) -> str:
        return "nothing counted in this stage yet"

    def read(self) -> Sequence[ListRow]:
        v = self.snapshot.view
        if v is None:
            return self.lines
        until = self.ends if self.ends is not None else self.until()
        sample = self.console.link.reader.read(lambda conn: samples(conn, self.metric, v.stage, v.entered_at, until))
        return [_line(number, one, until) for number, one in enumerate(sample)]

    def opened(self, line: ListRow) -> None:
        document = str(line.order[5])
        if document:
            self.console.push_screen(OneRequest(document=document))
        else:
            self.console.say("This row has no document.", "caution")


def _line(number: int, one: GateSample, until: float) -> ListRow:
    sign, style = words.mark(one.good)
    text = one.title or one.document
    cells = ((words.hour(one.at, until), "dim"), (sign, style), (one.text, "text"), (one.by, "dim"), (text, "text"))
    return ListRow((one.at, number), cells, (one.at, sign, one.text, one.by, text, one.document), one.text)


def behind(condition: ConditionView, v: View) -> Page | None:
    """The screen of what a condition counted; None where it counts nothing that can be listed."""
    counted = COUNTED.get(condition.metric)
    if counted is not None:
        in_shadow = not v.percent_bp
        since = v.changed_at
        if v.gate.returns:
            since = max(since, v.at - max(v.gate.bake_s, LEAST_EVIDENCE_S))
        scope = Scope(since, v.at, counted, since_epoch=v.epoch, shadow=in_shadow)
        return Requests(f"{condition.text} · {condition.sentence}", lambda: scope)
    return Counted(condition.text, condition.metric) if has_samples(condition.metric) else None
