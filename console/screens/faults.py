"""Rehearsal only: what can go wrong on purpose, and how fast the calendar runs."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType

from console.screens.page import LIST_KEYS, Hint, Page, Rows, key
from console.screens.triggers import SELECT
from console.widgets import blocks
from console.widgets.canvas import Canvas
from engine.rehearsal.faults import FAULTS
from engine.view import View

SPEEDS = (1.0, 10.0, 60.0, 300.0, 1440.0, 7200.0)


class Faults(Page):
    NUMBER: ClassVar[int] = 0
    TITLE: ClassVar[str] = "Faults"
    ABOUT: ClassVar[str] = "switch faults on and off, and the speed of the calendar"
    BINDINGS: ClassVar[list[BindingType]] = [
        *LIST_KEYS,
        key("enter,s", "fault", "switch the fault on or off"),
        key("x", "calm", "switch every fault off"),
        key("plus,equals_sign", "speed(1)", "faster"),
        key("minus", "speed(-1)", "slower"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.rows = Rows()

    def hints(self) -> tuple[Hint, ...]:
        return (("s", "switch", "fault"), ("x", "all off", "calm"), ("+ -", "speed of the calendar", "speed(1)"))

    def paint(self, c: Canvas, v: View, y: int) -> None:
        blocks.stage_line(c, y, v)
        y += 1
        day = 86400 / v.speed
        lasts = f"a day lasts {day:.0f} s" if day < 120 else f"a day lasts {day / 60:.0f} min"
        c.put(1, y, f"The calendar runs {v.speed:g} times faster: {lasts}. Latencies stay real.", "text")
        y += 1
        c.rule(1, y, c.width - 2, "faults of the simulated LLM service")
        detail = 5
        room = c.height - 2 - detail - y - 1
        for row, index in enumerate(self.rows.window(len(FAULTS), room)):
            fault = FAULTS[index]
            value = v.faults.get(fault.name)
            mark = "● on " if value is not None else "○ off"
            shown = (
                ""
                if value is None
                else f"{value * 100:g} %"
                if fault.unit == "share"
                else f"x{value:g}"
                if fault.unit == "factor"
                else ""
            )
            c.put(1, y + 1 + row, f"{mark}  {fault.title:<18} {shown}", "bad" if value is not None else "text")
            if index == self.rows.at:
                c.tint(y + 1 + row, SELECT)
        top = c.height - 2 - detail
        c.rule(1, top, c.width - 2, FAULTS[self.rows.at].title)
        c.block(1, top + 1, c.width - 2, detail - 1, FAULTS[self.rows.at].explanation, "dim")

    def action_move(self, by: int) -> None:
        self.rows.move(by, len(FAULTS))
        self.repaint()

    def action_fault(self) -> None:
        v = self.sight.view
        if v is None:
            return
        fault = FAULTS[self.rows.at]
        on = fault.name in v.faults
        self.console.act("fault", name=fault.name, value=0.0 if on else fault.default_on_value)

    def action_calm(self) -> None:
        v = self.sight.view
        for name in list(v.faults) if v else []:
            self.console.act("fault", name=name, value=0.0)

    def action_speed(self, by: int) -> None:
        v = self.sight.view
        if v is None:
            return
        near = min(range(len(SPEEDS)), key=lambda i: abs(SPEEDS[i] - v.speed))
        self.console.act("speed", value=SPEEDS[max(0, min(len(SPEEDS) - 1, near + by))])
