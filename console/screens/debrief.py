"""After a game day: the score against par, part by part, what it was, what was best, and each moment."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType

from console.screens.incident import KIND
from console.screens.page import LIST_KEYS, Hint, Page, key
from console.screens.rows import Rows, draw_whole
from console.widgets import blocks
from console.widgets.canvas import Canvas, wrapped
from engine.gameday.debrief import Debrief
from engine.view.model import View

FULL = 0.8  # of a part's points: well done
POOR = 0.4
SECONDS = 8  # cells of a moment's time


class DebriefPage(Page):
    TITLE: ClassVar[str] = "Debrief"
    ABOUT: ClassVar[str] = "how the game day went: points, par, the fault, each moment"
    BINDINGS: ClassVar[list[BindingType]] = [*LIST_KEYS, key("q,escape", "app.leave", "leave; the result is kept")]

    def __init__(self, made: Debrief) -> None:
        super().__init__()
        self.made = made
        self.rows = Rows()

    def hints(self) -> tuple[Hint, ...]:
        return (("j k", "moments", ""), ("Y", "copy", "app.copy_screen"), ("q", "leave", "app.leave"))

    def paint(self, c: Canvas, v: View, y: int) -> None:
        self._paint(c, y)

    def nothing(self, c: Canvas, y: int) -> None:
        self._paint(c, y)

    def _paint(self, c: Canvas, y: int) -> None:
        made, s = self.made, self.made.score
        area = self.area(c, y)
        verdict = ("passed", "ok") if s.passed else ("not passed", "bad")
        x = c.spans(
            1,
            y,
            [(f"{made.title}  ", "strong"), (f"{s.total} of 100", "strong"), (f", par {s.par}: ", "text"), verdict],
        )
        c.right(c.width - 1, y, made.who if x + len(made.who) < c.width else "", "dim")
        y += 1
        for part in s.parts:
            points = f"{part.points}/{part.most}" if part.most else f"{part.points}"
            if not part.most:
                style = "text"
            elif part.points >= FULL * part.most:
                style = "ok"
            else:
                style = "bad" if part.points < POOR * part.most else "warn"
            c.spans(1, y, [(f"{part.name:<12}", "dim"), (f"{points:>6}  ", style), (part.sentence, "text")], area.width)
            y += 1
        for name, sentence in (("it was", made.truth), ("best", made.best)):
            c.put(1, y, name, "dim")
            y += c.block(9, y, area.width - 8, 2 if c.height < 30 else 4, sentence)
        inner = blocks.panel(
            c,
            blocks.Area(1, y, area.width, max(0, c.height - 2 - y)),
            "what happened, in your seconds",
            f"{len(made.moments)} moments",
            "dim",
        )
        room = inner.width - SECONDS

        def line(index: int, y: int, height: int) -> None:
            moment = made.moments[index]
            c.put(inner.x, y, f"{(moment.at - made.began) / made.speed:5.0f} s ", "dim", SECONDS)
            c.block(inner.x + SECONDS, y, room, height, moment.sentence, KIND.get(moment.kind, "text"))

        self.rows.at = max(0, min(self.rows.at, len(made.moments) - 1))
        draw_whole(c, inner, self.rows, [len(wrapped(moment.sentence, room)) for moment in made.moments], line)

    def text(self) -> str:
        """The whole debrief, not only the rows that fit."""
        return self.made.text

    def action_move(self, by: int) -> None:
        self.rows.move(by, len(self.made.moments))
        self.repaint()
