"""A small app of one sheet, with a line to type in over it: the set-up, the marking of keywords."""

from __future__ import annotations

from typing import ClassVar, TypeVar

from textual import events
from textual.app import App
from textual.binding import Binding, BindingType

from console import themes
from console.parent_shell import has_shell
from console.widgets.canvas import Canvas
from console.widgets.sheet import Sheet

Result = TypeVar("Result")


class SheetApp(App[Result]):
    """Subclasses compose a `Sheet` and an `Input`, and paint."""

    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+z", "suspend", "suspend; fg in the shell brings it back")]
    CSS: ClassVar[str] = """
    Screen { background: $background; color: $foreground; layers: base over; }
    Sheet { layer: base; }
    Input, Input:focus { layer: over; height: 1; border: none; padding: 0 1; display: none; background: $panel; }
    Input.open { display: block; }
    """

    def __init__(self, theme: str, ascii_only: bool) -> None:
        super().__init__()
        self.ascii_only = ascii_only
        self.palette = themes.palette(theme)
        themes.dress(self, theme)

    def on_resize(self, _: events.Resize) -> None:
        self.call_after_refresh(self.repaint)

    def action_suspend(self) -> None:
        """Stop like any program; fg continues it."""
        if has_shell():
            self.action_suspend_process()

    def repaint(self) -> None:
        sheet = self.screen.query_one(Sheet)
        if sheet.size.width:
            c = Canvas(*sheet.size, self.ascii_only)
            self.paint(c)
            sheet.show(c, self.palette)

    def paint(self, c: Canvas) -> None:
        raise NotImplementedError
