"""One decision: who, from where, why, what was on their screen, and each piece of evidence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from textual.binding import BindingType

from console import explain
from console.screens.drill.evidence import EvidencePage
from console.screens.fetching import FetchingPage
from console.screens.page import Hint, key
from console.widgets import blocks, words
from console.widgets.blocks import below
from console.widgets.canvas import Canvas, fit
from engine.plan.durations import format_duration, iso
from engine.view.model import DecisionView, View

LONGEST = 600  # cells of one value
EPOCH = 1e9  # a number larger than this is a time: seconds since 1970
# what a field's name ends with says its unit
UNITS: dict[str, Callable[[float], str]] = {
    "_s": format_duration,
    "_ms": lambda value: f"{value:,.4g} ms",
    "_bp": lambda value: words.percent(int(value)),
}
LABELS = {"k": "failures", "rev": "decision", "of": "of decision"}
Facts = list[tuple[str, str, str]]


class OneDecision(FetchingPage):
    NUMBER: ClassVar[int] = 12
    TITLE: ClassVar[str] = "Decision"
    TRAVELS: ClassVar[bool] = True
    ABOUT: ClassVar[str] = "one decision with its evidence"
    BINDINGS: ClassVar[list[BindingType]] = [
        key("enter", "open", "the trigger's evidence over time"),
        key("t", "go_there", "all screens as they were at that moment"),
        key("j,down", "scroll(1)", "scroll down"),
        key("k,up", "scroll(-1)", "scroll up"),
    ]

    def __init__(self, decision: DecisionView) -> None:
        super().__init__()
        self.decision = decision
        self.evidence: dict[str, Any] = {}
        self.top = 0

    @property
    def trigger(self) -> str:
        """The rule that acted; "" for a person."""
        named = str(self.evidence.get("trigger") or self.decision.reason)
        return named if any(t.id == named for t in self.console.plan.triggers) else ""

    def explained(self) -> list[explain.Explained]:
        return explain.decision(self.decision)

    def hints(self) -> tuple[Hint, ...]:
        deeper: tuple[Hint, ...] = (("enter", f"evidence of {self.trigger}", "open"),) if self.trigger else ()
        return (*deeper, ("t", "go to that moment", "go_there"), ("j k", "scroll", ""), ("esc", "back", "app.back"))

    def wanted(self) -> Any:
        return self.decision.rev

    def fetch(self, wanted: Any) -> Callable[[], None]:
        latest = self.console.link.reader.evidence(wanted)

        def put() -> None:
            self.evidence = latest

        return put

    def paint(self, c: Canvas, v: View, y: int) -> None:
        d = self.decision
        inner = blocks.panel(c, self.area(c, y), f"decision {d.rev}", iso(d.at), "dim")
        used = c.block(inner.x, inner.y, inner.width, 3, d.sentence, "strong")
        rest = below(inner, used + 1)
        used = blocks.facts(c, rest, facts_of(d))
        rest = below(rest, used + 1)
        if self.trouble:
            c.block(rest.x, rest.y, rest.width, rest.height, self.trouble, "bad")
            return
        rows = [row for name, value in self.evidence.items() for row in _rows(name, value)]
        self.top = max(0, min(self.top, len(rows) - 1))
        left = blocks.facts(c, rest, rows[self.top :] or [("evidence", "none stored", "dim")])
        if left >= rest.height and len(rows) > 1:
            c.right(inner.x + inner.width, inner.y + inner.height - 1, " j: more", "dim")

    def action_open(self) -> None:
        if self.trigger:
            self.console.push_screen(EvidencePage(self.trigger))
        else:
            self.console.say("No trigger made this decision. t goes to that moment.", "caution")

    async def action_go_there(self) -> None:
        await self.app.run_action(f"travel_to({self.decision.at})")

    def action_scroll(self, by: int) -> None:
        self.top += by
        self.repaint()


def facts_of(d: DecisionView) -> Facts:
    """A decision's facts: who, from where, what changed, why."""
    change = (
        words.percent(d.percent_to)
        if d.percent_from == d.percent_to
        else f"{words.percent(d.percent_from)} → {words.percent(d.percent_to)}"
    )
    rows = [
        ("by", f"{d.actor}, from {d.where}" if d.where and d.actor != "engine" else d.actor, "text"),
        ("state", f"stage {d.stage}, {change}, epoch {d.epoch}", "text"),
        ("reason", d.reason, "text"),
    ]
    return [row for row in rows if row[1]]


def _rows(name: str, value: Any) -> Facts:
    """A piece of evidence; sentences in a list each in a row of their own."""
    if isinstance(value, list | tuple) and any(isinstance(part, str) and " " in part for part in value):
        return [("" if index else label(name), short(part), "text") for index, part in enumerate(value)]
    return [(label(name), short(value, name), "text")]


def label(name: str) -> str:
    """A field's name in words; its unit stands with the value."""
    plain = next((name.removesuffix(unit) for unit in UNITS if name.endswith(unit)), name)
    return LABELS.get(plain, plain.replace("_", " "))


def short(value: Any, name: str = "") -> str:
    """An evidence value for people: a time as a time, a list by its members, a process by its plain number."""
    if name.endswith("pid"):
        return str(value)
    if value is None:
        return words.NO_DATA
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        if unit := next((unit for unit in UNITS if name.endswith(unit)), ""):
            return UNITS[unit](value)
        return iso(value) if value > EPOCH else f"{value:,.6g}"
    if isinstance(value, list | tuple):
        return fit(", ".join(short(part) for part in value), LONGEST) or "none"
    if isinstance(value, dict):
        return fit(", ".join(f"{label(key)} {short(part, key)}" for key, part in value.items()), LONGEST)
    return fit(str(value), LONGEST)
