"""Confirms what raises the percentage or sends something: the safe answer has the focus, and a different key
confirms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from console.screens.app_api import AppApi
from console.screens.page import key
from console.widgets.canvas import Canvas, Span, wrapped
from console.widgets.sheet import Sheet

WIDTH = 74


class TextField(NamedTuple):
    """A text that a question asks for. `least`: characters; 0: it is optional. `typed`: what is in it already."""

    prompt: str
    least: int = 0
    typed: str = ""


class QuestionDialog(ModalScreen[str | None]):
    """Dismissed with None for "no", else with the text ("" if none was asked for). y means yes."""

    AUTO_FOCUS = ""
    ESCAPE_TO_MINIMIZE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        key("y", "yes", "yes"),
        key("enter", "chosen", "the selected answer"),
        key("n,escape,q", "no", "no"),
        key("tab,left,right,shift+tab,h,l", "turn", "other answer"),
    ]
    DEFAULT_CSS = """
    QuestionDialog { align: center middle; }
    QuestionDialog > Vertical {
        width: 74; max-width: 96%; height: auto; background: $surface; border: round $accent; padding: 0 1;
    }
    QuestionDialog #answers { height: 1; }
    QuestionDialog Input { height: 3; }
    QuestionDialog.danger > Vertical { border: round $warning; }
    QuestionDialog.ascii > Vertical { border: ascii $accent; }
    """

    def __init__(
        self, title: str, facts: Sequence[str], yes: str, no: str, field: TextField | None = None, danger: bool = False
    ) -> None:
        super().__init__()
        self.title_text = title
        self.facts = list(facts)
        self.yes_text, self.no_text = yes, no
        self.field, self.danger = field, danger
        self.on_yes = False
        self.complaint = ""

    def compose(self) -> ComposeResult:
        self.set_class(cast(AppApi, self.app).ascii_only, "ascii")
        self.set_class(self.danger, "danger")
        app = cast(AppApi, self.app)
        width, rows = self._room()
        facts, answers = Sheet(id="facts"), Sheet(id="answers")
        facts.styles.height = rows
        if width > 0:  # painted together with its frame: over a slow line an empty box would show first
            facts.show(self._facts(Canvas(width, rows, app.ascii_only), self._exercise), app.palette)
            answers.show(self._answers(Canvas(width, 1, app.ascii_only), self.field is not None), app.palette)
        with Vertical():
            yield facts
            if self.field is not None:
                yield Input(value=self.field.typed, placeholder=self.field.prompt, max_length=400)
            yield answers

    def on_mount(self) -> None:
        for line in self.query(Input):  # none if it was left before it was composed
            line.focus()
        self.call_after_refresh(self.repaint)

    def on_resize(self) -> None:
        for facts in self.query("#facts"):
            facts.styles.height = self._room()[1]
        self.call_after_refresh(self.repaint)

    def _room(self) -> tuple[int, int]:
        """The width inside the border, and the rows of the facts."""
        width = min(WIDTH, int(self.app.size.width * 0.96)) - 4
        rows = 2 + sum(len(wrapped(fact, width)) for fact in self.facts) + 1
        return width, max(1, min(rows, max(3, self.app.size.height - (4 if self.field is None else 7))))

    def repaint(self) -> None:
        app = cast(AppApi, self.app)
        if not self.query("#answers"):
            return
        facts, answers = self.query_one("#facts", Sheet), self.query_one("#answers", Sheet)
        if facts.size.width and answers.size.width:
            facts.show(self._facts(Canvas(*facts.size, app.ascii_only), self._exercise), app.palette)
            typing = self.field is not None and self.focused is not None
            answers.show(self._answers(Canvas(*answers.size, app.ascii_only), typing), app.palette)

    @property
    def _exercise(self) -> str:
        app = cast(AppApi, self.app)
        if app.live.view is not None:
            return app.live.view.exercise
        return "REHEARSAL" if app.rehearsal else ""

    def _facts(self, c: Canvas, exercise: str) -> Canvas:
        c.put(0, 0, self.title_text, "strong", c.width - 12)
        if exercise:
            c.right(c.width, 0, f" {exercise} ", "rehearsal")
        lines = [line for fact in self.facts for line in wrapped(fact, c.width)]
        room = max(0, c.height - 2 - bool(self.complaint))
        if len(lines) > room:  # what is confirmed is never cut silently
            hidden = len(lines) - max(0, room - 1)
            lines = [*lines[: max(0, room - 1)], f"{hidden} more lines; a larger terminal shows them"][:room]
        for row, line in enumerate(lines):
            c.put(0, 2 + row, line, "text", c.width)
        if self.complaint:
            c.fill(0, c.height - 1, c.width, "text")
            c.put(0, c.height - 1, self.complaint, "bad")
        return c

    def _answers(self, c: Canvas, typing: bool) -> Canvas:
        """While typing, Enter moves on; then the safe answer has the focus, and another key means yes."""
        if typing:
            does = self.yes_text if self._is_note else "continue"
            c.spans(0, 0, [("enter", "key"), (f" {does}   ", "text"), ("esc", "key"), (f" {self.no_text}", "text")])
            c.right(c.width, 0, "F9 rolls back", "dim")
            return c
        parts: list[Span] = []
        for chosen, label, hit in ((not self.on_yes, self.no_text, "esc"), (self.on_yes, self.yes_text, "y")):
            parts += [
                ("▸ " if chosen else "  ", "key"),
                (f" {label} ", "tab" if chosen else "text"),
                (f" {hit}   ", "key"),
            ]
        c.spans(0, 0, parts)
        return c

    @property
    def _is_note(self) -> bool:
        """Whether Enter is enough: a note, a complaint or a hold does not raise the percentage."""
        return not self.danger

    def action_turn(self) -> None:
        self.on_yes = not self.on_yes
        self.repaint()

    def action_chosen(self) -> None:
        if self.on_yes:
            self.action_yes()
        else:
            self.action_no()

    def action_no(self) -> None:
        self.dismiss(None)

    def action_yes(self) -> None:
        typed = self.query_one(Input).value.strip() if self.field is not None else ""
        if self._is_long_enough(typed):
            self.dismiss(typed)
        else:
            self.query_one(Input).focus()

    def _is_long_enough(self, typed: str) -> bool:
        """Whether this text will do; else the question says what is missing."""
        least = self.field.least if self.field is not None else 0
        few = len(typed) < least
        self.complaint = f"Write at least {least} characters; the text goes into the log." if few else ""
        if few:
            self.repaint()
        return not few

    @on(Input.Submitted)
    def typed_it(self, event: Input.Submitted) -> None:
        """Enter in the text moves to the answers, with the safe one focused; it decides nothing."""
        event.stop()
        typed = event.value.strip()
        if not self._is_long_enough(typed):
            return
        if self._is_note:
            self.dismiss(typed)
            return
        self.set_focus(None)
        self.call_after_refresh(self.repaint)
