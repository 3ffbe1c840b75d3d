"""Rehearsal only: injected faults, and the speed of the calendar."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType

from console import explain
from console.screens.page import LIST_KEYS, Hint, Page, key
from console.screens.rows import Rows, draw
from console.widgets import blocks
from console.widgets.blocks import Area
from console.widgets.canvas import Canvas
from engine.plan.durations import format_duration
from engine.rehearsal.faults import FAULTS, FaultKind
from engine.view.model import View

SPEEDS = (1.0, 10.0, 60.0, 300.0, 1440.0, 7200.0)


class Faults(Page):
    NUMBER: ClassVar[int] = 0
    TITLE: ClassVar[str] = "Faults"
    ABOUT: ClassVar[str] = "turn faults on and off, set the calendar's speed"
    BINDINGS: ClassVar[list[BindingType]] = [
        *LIST_KEYS,
        key("enter,s", "fault", "turn the fault on or off"),
        key("x", "calm", "turn every fault off"),
        key("plus,equals_sign", "speed(1)", "faster"),
        key("minus", "speed(-1)", "slower"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.rows = Rows()

    def hints(self) -> tuple[Hint, ...]:
        v = self.snapshot.view
        on = bool(v and FAULTS[self.rows.at].name in v.faults)
        return (
            ("s", "turn off" if on else "turn on", "fault"),
            ("x", "all off", "calm"),
            ("+ -", "faster, slower calendar", "speed(1)"),
            ("1", "watch it", "app.go(1)"),
        )

    def paint(self, c: Canvas, v: View, y: int) -> None:
        area = self.area(c, y)
        day = 86400 / v.speed
        lasts = f"a day lasts {format_duration(day)}"
        c.spans(
            1,
            y,
            [("calendar ", "dim"), (f"{v.speed:g}x", "strong"), (f": {lasts}. Latencies are in real time.", "text")],
            area.width,
        )
        detail = max(3, min(6, area.height // 4))
        rows = min(len(FAULTS) + 2, area.height - 1 - detail)
        on = sum(fault.name in v.faults for fault in FAULTS)
        inner = blocks.panel(
            c,
            Area(1, y + 1, area.width, rows),
            "faults of the simulated LLM service",
            f"{on} on" if on else "none on",
            "bad+" if on else "dim",
        )

        def line(index: int, y: int) -> None:
            fault = FAULTS[index]
            value = v.faults.get(fault.name)
            style = "text" if value is None else "bad+"
            wide = [(f"  {fault.explanation}", "dim")] if c.width >= 120 else []
            c.spans(
                inner.x,
                y,
                [
                    ("○ off " if value is None else "● on  ", style),
                    (f"{fault.title:<18}", style),
                    (f"{_amount(fault, value):<8}", style),
                    *wide,
                ],
                inner.width,
            )

        draw(c, inner, self.rows, len(FAULTS), line)
        chosen = FAULTS[self.rows.at]
        inner = blocks.panel(c, Area(1, y + 1 + rows, area.width, detail), chosen.title)
        used = c.block(inner.x, inner.y, inner.width, inner.height, chosen.explanation, "text")
        if not v.percent_bp and not v.shadow and used < inner.height:
            idle = "At 0 % no document goes to the LLM: faults show once you promote (2) to Canary."
            c.block(inner.x, inner.y + used, inner.width, inner.height - used, idle, "warn")

    def explained(self) -> list[explain.Explained]:
        fault = FAULTS[self.rows.at]
        return [(fault.title, fault.explanation), *explain.terms("rehearsal")]

    def action_move(self, by: int) -> None:
        self.rows.move(by, len(FAULTS))
        self.repaint()

    def action_fault(self) -> None:
        v = self.snapshot.view
        if v is None:
            return
        fault = FAULTS[self.rows.at]
        on = fault.name in v.faults
        self.console.act("fault", name=fault.name, value=0.0 if on else fault.default_on_value)

    def action_calm(self) -> None:
        v = self.snapshot.view
        for name in list(v.faults) if v else []:
            self.console.act("fault", name=name, value=0.0)

    def action_speed(self, by: int) -> None:
        v = self.snapshot.view
        if v is None:
            return
        near = min(range(len(SPEEDS)), key=lambda i: abs(SPEEDS[i] - v.speed))
        self.console.act("speed", value=SPEEDS[max(0, min(len(SPEEDS) - 1, near + by))])


def _amount(fault: FaultKind, value: float | None) -> str:
    """The fault's size: a share, a factor, or ""."""
    if value is None:
        return ""
    return {"share": f"{value * 100:g} %", "factor": f"x{value:g}"}.get(fault.unit, "")
