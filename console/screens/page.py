"""The base of every screen: a sheet painted from the latest snapshot, and described keys."""

from __future__ import annotations

import asyncio
from typing import ClassVar, cast

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen

from console.explain import Explained
from console.screens.app_api import AppApi
from console.screens.painting import Painting
from console.widgets.bars import Hint
from console.widgets.canvas import Canvas
from console.widgets.sheet import Sheet

__all__ = ["LIST_KEYS", "Hint", "Page", "key", "shown"]


class Page(Painting, Screen[None]):
    """A screen with a number."""

    TITLE: ClassVar[str] = ""
    ABOUT: ClassVar[str] = ""  # one line for the help
    ENTER: ClassVar[str] = ""  # the action of Enter on a list's row, and of a click on the selected one
    ESCAPE_TO_MINIMIZE = False
    AUTO_FOCUS = ""
    DEFAULT_CSS = "Page { layout: vertical; }"
    _draw_due = False
    asked = True  # False until someone returns to it: it opened automatically, so no one has looked yet

    @property
    def console(self) -> AppApi:
        return cast(AppApi, self.app)

    def compose(self) -> ComposeResult:
        sheet = Sheet(id="sheet")
        width, height = self.app.size
        if width and height:
            sheet.show(self.canvas(width, height), self.console.palette)
            if len(self.app.screen_stack) > 1 and self.app.screen is self and self.console.draws:
                self.console.draw(sheet.canvas)  # before it is mounted, styled and laid out
        yield sheet
        yield from self.more()

    def more(self) -> ComposeResult:
        """Further widgets of the page, usually an input."""
        yield from ()

    @classmethod
    def bindings(cls) -> list[Binding]:
        """This screen's described keys, its own first, without Textual's."""
        kinds = [kind for kind in cls.__mro__ if issubclass(kind, Page)]
        return [
            b for kind in kinds for b in kind.__dict__.get("BINDINGS", ()) if isinstance(b, Binding) and b.description
        ]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A read-only console does not bind what acts, nor does a moment in the past; its keys are hidden and
        ignored."""
        return self.may(action)

    def explained(self) -> list[Explained]:
        """What the selected row is, for the top of the help; [] if it needs no explanation."""
        return []

    async def action_pick(self, index: int) -> None:
        """A click on a row of the list selects it; on the selected one it does what Enter does."""
        rows = getattr(self, "rows", None)
        if rows is None:
            return
        if rows.at == index and self.ENTER:
            await self.run_action(self.ENTER)
            return
        rows.place(index)
        self.refreshed()

    async def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        await self._wheel(event, "down")

    async def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        await self._wheel(event, "up")

    async def _wheel(self, event: events.MouseEvent, arrow: str) -> None:
        """The wheel does what this arrow key does here."""
        bound = next((b for b in self.bindings() if arrow in b.key.split(",")), None)
        if bound is not None:
            event.stop()
            await self.run_action(bound.action)

    def repaint(self) -> None:
        """Cheap if nothing changed: only differences are sent."""
        sheet = self.query("#sheet").first(Sheet) if self.is_mounted and self.query("#sheet") else None
        if sheet is not None and sheet.size.width and sheet.size.height:
            canvas = self.canvas(*sheet.size)
            if self._shows_only(sheet, canvas):
                sheet.keep(canvas, self.console.palette)
                self._draw_soon(sheet)
            else:
                sheet.show(canvas, self.console.palette)

    # -- to the terminal, past Textual's compositor: see `console.app.drawing` -----------------------------------------

    def _shows_only(self, sheet: Sheet, canvas: Canvas) -> bool:
        """Whether this canvas is all that there is to see."""
        return (
            self.console.draws
            and self.app.screen is self  # `is_current` is true below a question too
            and (canvas.width, canvas.height) == self.app.size
            and all(widget is sheet or not widget.display for widget in self.children)
        )

    def _draw_soon(self, sheet: Sheet) -> None:
        """Once for all keys of a lump. A line that is still busy with the last frame waits for Textual's timer."""
        if self.console.stalled:
            sheet.refresh()
        elif not self._draw_due:
            self._draw_due = True
            asyncio.get_running_loop().call_soon(self._draw_now, sheet)

    def _draw_now(self, sheet: Sheet) -> None:
        self._draw_due = False
        if self._shows_only(sheet, sheet.canvas):
            self.console.draw(sheet.canvas)
        else:
            sheet.refresh()

    def _compositor_refresh(self) -> None:
        """Textual's step from widgets that are laid out to the terminal: after a layout, and 60 times a second where
        something is to be refreshed."""
        sheet = self.query("#sheet").first(Sheet) if self.query("#sheet") else None
        if sheet is None or not self._shows_only(sheet, sheet.canvas):
            super()._compositor_refresh()
            return
        self._compositor._dirty_regions.clear()
        self._dirty_widgets.clear()
        self.console.draw(sheet.canvas)
        self.app._update_mouse_over(self)

    # -- what is new ---------------------------------------------------------------------------------------------------

    def refreshed(self) -> None:
        """A new snapshot came in; screens that read more than the view start reading here."""
        self.repaint()

    @on(Sheet.Resized)
    def fit(self) -> None:
        self.repaint()

    def on_screen_resume(self) -> None:
        if self.asked:
            self.console.screen_opened(self.TITLE)
        self.asked = True
        self.refreshed()

    def text(self) -> str:
        return self.query_one("#sheet", Sheet).canvas.text()


SHOWN = {
    "slash": "/", "question_mark": "?", "colon": ":", "left_square_bracket": "[", "right_square_bracket": "]",
    "plus": "+", "minus": "-", "equals_sign": "=", "exclamation_mark": "!", "escape": "esc", "pagedown": "pgdn",
    "pageup": "pgup", "comma": ",", "at": "@", "full_stop": ".", "f1": "F1", "f9": "F9", "left": "←", "right": "→",
    "up": "↑", "down": "↓",
}  # fmt: skip


def shown(keys: str) -> str:
    """A binding's keys as people call them: "slash,f1" -> "/ F1"."""
    return " ".join(SHOWN.get(part, part) for part in keys.split(","))


def key(keys: str, action: str, description: str, *, show: bool = True, priority: bool = False) -> BindingType:
    """A binding whose description appears in the help."""
    return Binding(keys, action, description, show=show, priority=priority)


LIST_KEYS: list[BindingType] = [
    key("j,down", "move(1)", "next line"),
    key("k,up", "move(-1)", "previous line"),
    key("pagedown,ctrl+d,space", "move(10)", "ten down", show=False),
    key("pageup,ctrl+u", "move(-10)", "ten up", show=False),
    key("g,home", "move(-100000)", "first", show=False),
    key("G,end", "move(100000)", "last", show=False),
]
