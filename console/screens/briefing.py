"""Before a game day: who you are, what you take over, what counts. One screen; enter begins the shift."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType

from console.screens.page import Hint, Page, key
from console.widgets.canvas import Canvas
from engine.text import percent
from engine.view.model import View

ROWS = 21  # for everything with blank rows between, at 80 columns
KEYS = (
    ("R", "roll back to 0 %, now"),
    ("K", "acknowledge an alarm"),
    ("!", "inbox: what waits for you"),
    ("2", "the gate (H: hold)"),
    ("3 4", "triggers, trends"),
    ("7 8", "documents, log"),
    ("9 tab", "the runbook's commands"),
    ("E", "start the engine"),
)


class Briefing(Page):
    TITLE: ClassVar[str] = "Briefing"
    ABOUT: ClassVar[str] = "what you take over, and how you score"
    BINDINGS: ClassVar[list[BindingType]] = [
        key("enter", "app.begin", "start your shift"),
        key("escape,q", "app.leave", "leave; nothing is kept"),
    ]

    def hints(self) -> tuple[Hint, ...]:
        return (("enter", "start your shift", "app.begin"), ("q", "leave", "app.leave"), ("?", "help", "app.help"))

    def paint(self, c: Canvas, v: View, y: int) -> None:
        stage = f"stage {v.stage} of {v.stages - 1}, {v.stage_name}, {percent(v.percent_bp)} of documents"
        self._paint(c, y, f"You take over {v.service} from mara's day shift: {stage}.")

    def nothing(self, c: Canvas, y: int) -> None:
        self._paint(c, y, "mara, on the day shift, is bringing the rollout to its stage.")

    def _paint(self, c: Canvas, y: int, state: str) -> None:
        lasts, speed, ready = self.console.briefing
        wide = min(c.width - 4, 90)
        roomy = c.height - y >= ROWS
        y += roomy
        x = c.put(2, y, "You are on call. ", "strong")
        c.put(x, y, "R and every other key act on this game day only.", "text", c.width - x - 1)
        y += 1 + roomy
        facts = (
            state,
            f"Your shift lasts {lasts:.0f} s. The calendar runs {speed:g} times faster: the "
            f"{5 * 60 / speed:.0f} s you spend reading a screen are five minutes of the rollout. Latencies "
            "are in real time.",
            "Something may go wrong, or nothing. The debrief shows what it was. Do what the rollout needs, "
            "and no more.",
            "You score for noticing, for the right act, for speed and for documents spared; wrong moves cost points.",
        )
        for fact in facts:
            y += c.block(2, y, wide, 3, fact) + (1 if c.height >= 30 else 0)
        y += 1
        half = (len(KEYS) + 1) // 2 if c.width >= 76 and c.height < 30 else len(KEYS)
        ready_y = min(y + half + 1, c.height - 3)  # a notice takes a row from the screen
        for place, (name, what) in enumerate(KEYS):
            x, row = 2 + (place // half) * 38, y + place % half
            if row < ready_y:
                c.spans(x, row, [(f"{name:<6}", "key"), (what, "text")], c.width - x - 1)
        c.put(
            2,
            ready_y,
            "Ready when you are: press enter." if ready else "The day shift is not done yet; a few more seconds.",
            "accent" if ready else "dim",
        )
