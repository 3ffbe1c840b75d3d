"""The command palette: every action in words, with its key. Typing narrows the list, Enter runs the selection."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import ClassVar, NamedTuple, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from console import themes
from console.screens import SCREENS, WORK, screen, working
from console.screens.app_api import AppApi
from console.screens.drill.servers import Servers
from console.screens.inbox import Inbox
from console.screens.page import Page, key, shown
from console.screens.rollback import Rollback
from console.screens.rows import Rows, draw_whole
from console.terminal.type_ahead import ACTING
from console.widgets import bars
from console.widgets.blocks import Area
from console.widgets.canvas import Canvas, wrapped
from console.widgets.sheet import Sheet

NOWHERE = 1000
KEYS, PLACE = 12, 11  # cells
LOW = 16  # rows of the terminal; below it the menu takes them all
PLACED = 86  # from this width on a line has room for the place
WORD = re.compile(r"[^\s(/:,]+")


class Command(NamedTuple):
    """Description, key, group and action."""

    words: str
    key: str
    place: str
    action: str


def commands(app: AppApi, page: Page | None, everywhere: Iterable[BindingType]) -> list[Command]:
    """This screen's actions first, then the screens, the global actions, and the colours."""
    listed = [
        *_bound(type(page).bindings() if page else (), page.TITLE if page else "", ""),
        *_screens(app.shows_faults),
    ]
    listed += _bound(everywhere, "everywhere", "app.")
    listed += [Command(f"colours: {name}", "", "remembered", f"app.look('{name}')") for name in themes.NAMES]
    return [c for c in listed if not (app.read_only and c.action.removeprefix("app.").partition("(")[0] in ACTING)]


def _bound(bindings: Iterable[BindingType], place: str, prefix: str) -> Iterator[Command]:
    for b in bindings:
        if isinstance(b, Binding) and b.description and not b.action.startswith(("go(", "move(", "command_palette")):
            yield Command(b.description, shown(b.key), place, f"{prefix}{b.action}")


def _screens(rehearsal: bool) -> Iterator[Command]:
    for number in (n for n in SCREENS if n or rehearsal):
        page = screen(number)
        yield Command(f"go to {page.TITLE}: {page.ABOUT}", str(number), "screens", f"app.go({number})")
    for module, _, _ in WORK[1:]:
        page = working(module)
        yield Command(f"go to {page.TITLE}: {page.ABOUT}", "9 tab", "screens", f"app.work('{module}')")
    yield Command(f"go to {Inbox.TITLE}: {Inbox.ABOUT}", "!", "screens", "app.inbox")
    yield Command(f"go to {Servers.TITLE}: {Servers.ABOUT}", "s", "screens", "app.servers")
    yield Command(f"go to {Rollback.TITLE}: {Rollback.ABOUT}", "v", "screens", "app.proof")


class Palette(ModalScreen[Command | None]):
    """Dismissed with the chosen command, or None."""

    AUTO_FOCUS = "Input"
    ESCAPE_TO_MINIMIZE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        key("escape,ctrl+p", "leave", "close"),
        key("down,ctrl+n,tab", "move(1)", "next", priority=True),
        key("up,shift+tab", "move(-1)", "before", priority=True),
        key("pagedown", "move(10)", "ten down", priority=True),
        key("pageup", "move(-10)", "ten up", priority=True),
    ]
    DEFAULT_CSS = """
    Palette { align: center top; }
    Palette > Vertical {
        width: 110; max-width: 100%; height: 80%; margin: 2 0 0 0; background: $surface; border: round $accent;
        padding: 0 1;
    }
    Palette.ascii > Vertical { border: ascii $accent; }
    Palette.low > Vertical { height: 100%; margin: 0; }
    """

    def __init__(self, commands: list[Command], history: Sequence[str]) -> None:
        """`history`: what was chosen before, in words, the newest last."""
        super().__init__()
        self.all = commands
        self.matching = commands
        self.rows = Rows()
        known = {command.words for command in commands}
        self.history = [words for words in history if words in known]
        self.back = 0  # how far into the history; 0: what is typed
        self._typed = ""

    def compose(self) -> ComposeResult:
        self.set_class(cast(AppApi, self.app).ascii_only, "ascii")
        self.set_class(self.app.size.height < LOW, "low")
        with Vertical():
            yield Input(placeholder="type a few letters of what you want to do", max_length=120)
            yield Sheet(id="found")

    def on_mount(self) -> None:
        self.call_after_refresh(self.repaint)

    def on_resize(self) -> None:
        self.set_class(self.app.size.height < LOW, "low")
        self.call_after_refresh(self.repaint)

    def repaint(self) -> None:
        sheet = self.query(Sheet).first(Sheet) if self.query(Sheet) else None
        if sheet is None or not sheet.size.width:
            return
        app = cast(AppApi, self.app)
        c = Canvas(*sheet.size, app.ascii_only)
        c.rule(0, 0, c.width)
        if not self.matching:
            c.put(0, 1, "No match; type fewer letters.", "dim")
        elif c.height > 2:
            area = Area(0, 1, c.width, c.height - 2)
            room = self._room(c)
            lines = [len(wrapped(command.words, room - 1)) for command in self.matching]
            draw_whole(c, area, self.rows, lines, partial(self._line, c, room))
        bars.keys(
            c,
            0,
            c.height - 1,
            (
                ("enter", "do it", ""),
                ("↑ ↓", "move, history", "") if self.history else ("↑ ↓", "move", ""),
                ("esc", "close", ""),
                ("F9", "rollback to 0 %", ""),
            ),
        )
        sheet.show(c, app.palette)

    def _room(self, c: Canvas) -> int:
        """Cells for the words: what the keys leave, and where a line is long enough the places."""
        return c.width - KEYS - (PLACE if c.width >= PLACED else 0)

    def _line(self, c: Canvas, room: int, index: int, y: int, height: int) -> None:
        command = self.matching[index]
        c.block(0, y, room - 1, height, command.words, "text") if height > 1 else c.put(
            0, y, command.words, "text", room - 1
        )
        c.put(room, y, command.key, "key", KEYS)
        if c.width >= PLACED:
            c.put(room + KEYS, y, command.place, "dim", PLACE)

    def action_pick(self, index: int) -> None:
        """A click on a row."""
        self.dismiss(self.matching[index])

    def action_move(self, by: int) -> None:
        """Through the list; up from its top, or from within the history, goes through what was chosen before."""
        if self.back or (by < 0 and self.rows.at == 0):
            self._recall(1 if by < 0 else -1)
            return
        self.rows.move(by, len(self.matching))
        self.repaint()

    def _recall(self, by: int) -> None:
        line = self.query_one(Input)
        if not self.back:
            self._typed = line.value
        self.back = max(0, min(len(self.history), self.back + by))
        with line.prevent(Input.Changed):
            line.value = self.history[-self.back] if self.back else self._typed
        line.cursor_position = len(line.value)
        self._narrow(line.value)

    def action_leave(self) -> None:
        self.dismiss(None)

    @on(Input.Changed)
    def narrow(self, event: Input.Changed) -> None:
        self.back = 0
        self._narrow(event.value)

    def _narrow(self, typed: str) -> None:
        """Every typed word must start a word of the command, in any order; earlier matches come first."""
        wanted = WORD.findall(typed.lower())
        placed = [(_place(wanted, f"{c.words} {c.place} {c.key}".lower()), c) for c in self.all]
        exact = [c for c in self.all if c.words == typed]  # from the history
        self.matching = exact or [c for at, c in sorted(placed, key=lambda pair: pair[0]) if at < NOWHERE]
        self.rows = Rows()
        self.repaint()

    @on(Input.Submitted)
    def chosen(self) -> None:
        self.dismiss(self.matching[self.rows.at] if self.matching else None)


def _place(wanted: Sequence[str], text: str) -> int:
    """The sum of the positions in `text` where the words begin a word; NOWHERE if one of them begins none."""
    parts = WORD.findall(text)
    places = [next((i for i, part in enumerate(parts) if part.startswith(word)), NOWHERE) for word in wanted]
    return min(NOWHERE, sum(places))
