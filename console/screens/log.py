"""Every decision: who, from where, why, and on what evidence; newest first, filtered with `/`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from textual.binding import BindingType

from console import explain
from console.screens.drill.decision import OneDecision, facts_of, short
from console.screens.ordering import Order, Ordered
from console.screens.page import LIST_KEYS, Hint, key
from console.screens.rows import Rows, draw
from console.widgets import blocks, logs
from console.widgets.blocks import Area
from console.widgets.canvas import Canvas
from engine.plan.durations import iso
from engine.view.model import DecisionView, View

PAGE = 200


class Log(Ordered):
    NUMBER: ClassVar[int] = 8
    TITLE: ClassVar[str] = "Log"
    TRAVELS: ClassVar[bool] = True
    ABOUT: ClassVar[str] = "every decision: who, why, evidence"
    PROMPT: ClassVar[str] = "filter the log"
    ENTER: ClassVar[str] = "open"
    ORDERS: ClassVar[tuple[Order, ...]] = (
        Order(),  # newest first
        Order("who", lambda d: (d.actor, -d.rev)),
        Order("kind", lambda d: (d.kind, -d.rev)),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        *LIST_KEYS,
        key("enter", "open", "everything logged about this decision"),
        key("y", "copy_line", "copy the line"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.rows = Rows()
        self.decisions: list[DecisionView] = []
        self.evidence: tuple[int, dict[str, Any]] = (-1, {})
        self.limit = PAGE

    def explained(self) -> list[explain.Explained]:
        return (
            explain.decision(self.decisions[min(self.rows.at, len(self.decisions) - 1)])
            if self.decisions
            else explain.terms("decision")
        )

    def hints(self) -> tuple[Hint, ...]:
        return (
            ("enter", "open", "open"),
            ("/", "filter", "search"),
            ("S", "sort", "sort"),
            ("j k", "move", ""),
            ("g G", "first, last", ""),
            ("y", "copy the line", "copy_line"),
        )

    def wanted(self) -> Any:
        v = self.snapshot.view
        at = self.decisions[self.rows.at].rev if self.rows.at < len(self.decisions) else -1
        return (v.rev if v else -1, self.text_wanted, self.limit, at, self.order)

    def fetch(self, wanted: Any) -> Callable[[], None]:
        rev, text, limit, at, order = wanted
        decisions = self.console.link.reader.log(limit, before=rev + 1 if self.cursor is not None else None, text=text)
        decisions = self.ORDERS[order].sort(decisions)
        evidence = self.console.link.reader.evidence(at) if at >= 0 else {}

        def put() -> None:
            if (
                self.rows.at and self.decisions[min(self.rows.at, len(self.decisions) - 1)].rev == at
            ):  # a new decision must not move the cursor
                self.rows.at = next((i for i, d in enumerate(decisions) if d.rev == at), self.rows.at)
            self.decisions, self.evidence = decisions, (at, evidence)

        return put

    def paint(self, c: Canvas, v: View, y: int) -> None:
        area = self.area(c, y)
        if c.width >= 140:
            left, right = blocks.beside(area, (3, 2))
            self._list(c, left, v)
            self._detail(c, right)
            return
        detail = 6 if area.height >= 14 else 0
        self._list(c, Area(area.x, y, area.width, area.height - detail), v)
        if detail:
            self._detail(c, Area(area.x, y + area.height - detail, area.width, detail))

    def _list(self, c: Canvas, area: Area, v: View) -> None:
        more = "+" if len(self.decisions) == self.limit else ""
        inner = blocks.panel(
            c, area, self.titled("decisions"), f"{len(self.decisions)}{more}" if self.decisions else "", "dim"
        )
        if self.trouble or not self.decisions:
            message = "No decision matches; esc shows all." if self.text_wanted else "No decision yet."
            c.block(
                inner.x,
                inner.y,
                inner.width,
                3,
                self.trouble or ("Reading the log …" if self.busy else message),
                "bad" if self.trouble else "dim",
            )
        draw(
            c,
            inner,
            self.rows,
            len(self.decisions),
            lambda index, y: c.spans(inner.x, y, logs.decision_spans(self.decisions[index], v.at), inner.width),
        )

    def _detail(self, c: Canvas, area: Area) -> None:
        """Who, from where, why, what changed, and the evidence: everything the log keeps about a decision."""
        if not self.decisions:
            return
        d = self.decisions[min(self.rows.at, len(self.decisions) - 1)]
        inner = blocks.panel(c, area, f"decision {d.rev}", iso(d.at), "dim")
        rev, evidence = self.evidence
        rows = facts_of(d)
        if rev == d.rev and evidence:
            rows.append(("evidence", short(evidence), "dim"))
        used = c.block(inner.x, inner.y, inner.width, 2, d.sentence, "strong")
        rest = Area(inner.x, inner.y + used, inner.width, inner.height - used)
        blocks.facts(c, rest, rows)

    def action_move(self, by: int) -> None:
        self.rows.move(by, len(self.decisions))
        if self.rows.at >= len(self.decisions) - 2 and len(self.decisions) == self.limit:
            self.limit += PAGE
        self.refreshed()

    def action_open(self) -> None:
        if self.decisions:
            self.console.push_screen(OneDecision(self.decisions[min(self.rows.at, len(self.decisions) - 1)]))

    def action_copy_line(self) -> None:
        if self.decisions:
            d = self.decisions[self.rows.at]
            self.console.say(self.console.copy(f"{iso(d.at)} {d.sentence}\n"))
