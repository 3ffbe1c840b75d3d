"""The console: one Textual app over a link. It reads once a second, paints what changed, and turns keys into commands."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from rich.segment import Segment
from rich.text import Text
from textual import events
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.color import Color
from textual.filter import LineFilter
from textual.screen import ModalScreen, Screen

from console import terminal, themes
from console.history import History
from console.keys import GRACE_S, Hands
from console.link import Link, Pulse, Sight, StoreLink
from console.rolling import Rolling
from console.screens.ask import Ask
from console.screens.dashboard import Dashboard
from console.screens.page import Page
from console.screens.rollback import Rollback
from console.widgets import plot, words
from engine.client import Reply
from engine.plan.model import Plan
from engine.text import clean_line

READ_EVERY_S = 0.5
PRESENCE_EVERY_S = 10.0
SAID_S = 7.0


class Clean(LineFilter):
    """The second wall: no segment reaches the terminal with anything in it that is not printable."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        if all(segment.text.isprintable() for segment in segments):
            return segments
        return [
            s if s.control or s.text.isprintable() else Segment(clean_line_keeping(s.text), s.style) for s in segments
        ]


def clean_line_keeping(text: str) -> str:
    """Each unprintable character becomes one cell, so that the line keeps its width."""
    return "".join(char if char.isprintable() else "·" for char in text)


class Console(App[int]):
    """Attach to a link; detach by leaving. The engine does not notice either."""

    ENABLE_COMMAND_PALETTE = True
    COMMAND_PALETTE_BINDING = "ctrl+p"
    CSS_PATH = "styles/console.tcss"
    ESCAPE_TO_MINIMIZE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("R", "roll_back", "roll back to 0 %, at once, from every screen", priority=True),
        Binding("f9", "roll_back", "the same, in a text field too", priority=True),
        Binding("u", "undo", "take a rollback by hand back (60 s)"),
        *[Binding(str(d), f"go({d})", f"screen {d}", show=False) for d in range(10)],
        Binding("question_mark,f1", "help", "help for this screen, and the runbooks"),
        Binding("colon", "command_palette", "command palette"),
        Binding("q", "back_or_quit", "back; on Live: quit (the engine goes on)"),
        Binding("escape", "back", "back"),
        Binding("ctrl+c,ctrl+q", "leave", "quit", show=False),
        Binding("Y", "copy_screen", "copy this screen as text, to clipboard and file"),
    ]

    def __init__(
        self,
        link: Link,
        plan: Plan,
        *,
        rehearsal: bool = False,
        read_only: bool = False,
        ascii_only: bool = False,
        theme: str = "dark",
    ) -> None:
        super().__init__()
        self.link = link
        self.plan = plan
        self.rehearsal = rehearsal
        self.read_only = read_only
        self.ascii_only = ascii_only
        self.look_name = theme
        self.palette = themes.palette(theme)
        self.hands = Hands()
        self.history = History(link)
        self.sight = Sight(None, Pulse("starting"), 0.0)
        self.said: tuple[str, str] | None = None
        self.since = 0.0
        self.rolling: Rolling | None = None
        self.crash = ""
        self._said_until = 0.0
        self._reading = False
        self._reading_since = 0.0
        self._rang = ""
        self._title = ""
        self._present_at = 0.0
        self._pages: dict[int, type[Page]] = {}
        for name in themes.NAMES:
            self.register_theme(themes.theme(name))
        self.theme = f"console-{theme}"
        self.animation_level = "none"

    @property
    def who(self) -> str:
        return self.link.who

    # -- start and end -----------------------------------------------------------------------------------------------------

    def get_default_screen(self) -> Screen[Any]:
        return Dashboard()

    def get_line_filters(self) -> Sequence[LineFilter]:
        return [*super().get_line_filters(), _CLEAN]

    def on_load(self) -> None:
        """Before the first paint: one look, so that the first picture has live numbers."""
        self.sight = self.link.look()
        if not self.rehearsal and self.sight.view is not None:
            key = f"seen {self.link.folder.path.resolve()}"
            with contextlib.suppress(ValueError):
                self.since = float(themes.recall(key, "0") or 0)

    def on_mount(self) -> None:
        terminal.on_signals(asyncio.get_running_loop(), self._leave_by_signal)
        self._write(terminal.SAVE_TITLE)
        self.set_interval(READ_EVERY_S, self._read)
        self.call_after_refresh(self._first_painted)

    def _first_painted(self) -> None:
        self.hands.ready = True
        self._noticed()
        self.run_worker(self._after_paint(), exclusive=False, exit_on_error=False)

    async def _after_paint(self) -> None:
        await asyncio.to_thread(plot.load)
        await self._read_history()

    def _leave_by_signal(self, code: int) -> None:
        self.exit(code, return_code=code)

    def on_unmount(self) -> None:
        v = self.sight.view
        if v is not None and not self.rehearsal:
            themes.remember(f"seen {self.link.folder.path.resolve()}", str(v.at))
        self._write(terminal.RESTORE_TITLE)

    def _handle_exception(self, error: Exception) -> None:
        """A bug ends the screen, not the engine: one sentence here, the details in a file that only this user reads."""
        if self._exception is None:
            self._exception = error
            self._exception_event.set()
        self._return_code = 1
        name = terminal.write_traceback(error)
        where = f" Details, for a bug report: {name}" if name else ""
        self.crash = f"The console stopped: {type(error).__name__}. The engine goes on; `rollout` attaches again, `rollout rollback` rolls back.{where}"
        self.panic(Text(self.crash))

    def _write(self, sequence: str) -> None:
        driver = self._driver
        if driver is not None and not self.is_headless:
            driver.write(sequence)

    # -- reading -----------------------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        """One look in a thread; a store that hangs is shown as such by the next tick, not by a frozen screen."""
        if self._stalled():
            return
        if self._reading:
            waited = time.monotonic() - self._reading_since
            if waited > 1.5:
                self._see(
                    Sight(
                        self.sight.view,
                        Pulse(
                            "gone",
                            f"The store has not answered for {waited:.0f} s; the disk may hang. R works all the same.",
                            waited,
                        ),
                        self.sight.at,
                    )
                )
            return
        self._reading, self._reading_since = True, time.monotonic()
        try:
            sight = await asyncio.to_thread(self.link.look)
        finally:
            self._reading = False
        self._see(sight)
        if sight.view is not None and plot.loaded() and self.history.due(sight.view.at):
            await self._read_history()

    def _stalled(self) -> bool:
        """The line takes no more output: painting now would only pile up and block the loop."""
        writer = getattr(self._driver, "_writer_thread", None)
        queue = getattr(writer, "_queue", None)
        return queue is not None and queue.qsize() > 8

    async def _read_history(self) -> None:
        v = self.sight.view
        if v is None:
            return
        self.history.busy = True
        try:
            self.history.series = await asyncio.to_thread(self.history.read, v.at)
        finally:
            self.history.busy = False
        self._page_refreshed()

    def _see(self, sight: Sight) -> None:
        old, self.sight = self.sight, sight
        expired = self.said is not None and time.monotonic() > self._said_until
        if expired:
            self.said = None
        if (
            self.rolling is not None
            and self.rolling.proven_s is None
            and self.rolling.result is not None
            and not sight.fresh
        ):
            self.rolling.unreachable = self.link.out_of_reach()
        same = (
            old.view is not None
            and sight.view is not None
            and old.view.at == sight.view.at
            and old.pulse == sight.pulse
        )
        if not same or expired:
            self._page_refreshed()
            self._noticed()
        if time.monotonic() - self._present_at > PRESENCE_EVERY_S and sight.fresh:
            self._tell_presence()

    def _page_refreshed(self) -> None:
        page = self.page
        if page is not None and page.is_mounted:
            page.refreshed()

    @property
    def page(self) -> Page | None:
        """The topmost screen that is not a question."""
        return (
            next((s for s in reversed(self.screen_stack) if isinstance(s, Page)), None)
            if self._screen_stacks.get(self._current_mode)
            else None
        )

    def _noticed(self) -> None:
        """Title, bell and notification; each only when it says something new."""
        v = self.sight.view
        if v is None:
            return
        name = words.title(v) if self.sight.fresh else f"✖ {self.sight.pulse.state} · {v.stage_name}"
        if name != self._title:
            self._title = name
            self._write(terminal.title(name))
        grave = v.health in ("alert", "rolled_back") and (
            v.health == "rolled_back" or any(t.verdict == "breach" and t.severity == "critical" for t in v.triggers)
        )
        state = (
            f"{v.health} {v.epoch}"
            if grave
            else self.sight.pulse.state
            if self.sight.pulse.state in ("frozen", "dead")
            else ""
        )
        if state and state != self._rang:
            text = v.health_sentence if grave else self.sight.pulse.sentence
            self._write(terminal.notification(f"{v.environment}: {text}"))
        self._rang = state

    def _tell_presence(self) -> None:
        self._present_at = time.monotonic()
        page = self.page
        screen = page.TITLE if page is not None else ""
        self.run_worker(
            lambda: self.link.command("presence", timeout_s=1.0, screen=screen),
            thread=True,
            exit_on_error=False,
            group="presence",
        )

    # -- keys --------------------------------------------------------------------------------------------------------------

    async def on_event(self, event: events.Event) -> None:
        if isinstance(event, events.Key) and not event.is_forwarded:
            waited = getattr(event, "waited", False)
            focused = self.focused
            typing = focused is not None and focused.check_consume_key(event.key, event.character)
            match self.hands.take(event.character, time.monotonic(), typing, waited):
                case "drop":
                    return
                case "wait":
                    event.waited = True  # type: ignore[attr-defined]
                    asyncio.get_running_loop().call_later(GRACE_S, self.post_message, event)
                    return
                case "refuse":
                    self.say(
                        "R came inside a burst of keys, as a paste does, and was not taken. To roll back press R once, or F9.",
                        "alarm",
                    )
                    return
        await super().on_event(event)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return not (self.read_only and action in ACTING)

    def action_roll_back(self) -> None:
        """Nothing before it: the thread that takes the key out starts first, the screen follows."""
        v = self.sight.view
        page = self.page
        seen = f"{page.TITLE if page else ''}: {v.health_sentence}" if v else ""
        rolling = Rolling(
            self.link, clean_line(seen, 300), v.rev if v else -1, lambda: self.call_from_thread_soon(self._rolled)
        )
        rolling.start()
        self.rolling = rolling
        while isinstance(self.screen, ModalScreen):
            self.pop_screen()
        if not isinstance(self.screen, Rollback):
            self.push_screen(Rollback())
        else:
            self.screen.repaint()
        self._fast = self.set_interval(0.2, self._read_until_proven)

    def call_from_thread_soon(self, done: Callable[[], None]) -> None:
        """Like call_from_thread, without waiting for a screen that may be busy or gone."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(done)

    def _rolled(self) -> None:
        page = self.page
        if page is not None:
            page.repaint()

    async def _read_until_proven(self) -> None:
        rolling = self.rolling
        if rolling is None or rolling.state(self.sight) == "proven" or time.monotonic() - rolling.pressed > 30:
            self._fast.stop()
            self._page_refreshed()
            return
        await self._read()

    def action_undo(self) -> None:
        v = self.sight.view
        if v is not None and v.undo_until is not None and v.undo_until > v.at:
            self.act("undo_rollback")
        elif v is not None and v.restore is not None and v.restore.undoable:
            self.act("undo_restore")
        else:
            self.say(
                "There is nothing to take back: a rollback by hand can be within 60 s, a restore until the next one. The way up is the gate (2).",
                "caution",
            )

    def action_go(self, number: int) -> None:
        wanted = SCREENS.get(number)
        if wanted is None or (number == 0 and not self.rehearsal):
            return
        while isinstance(self.screen, ModalScreen):
            self.pop_screen()
        if number == 1:
            while len(self.screen_stack) > 1:
                self.pop_screen()
            return
        if isinstance(self.screen, Page) and number == self.screen.NUMBER % 10 and self.screen.NUMBER != 11:
            return
        screen = wanted()()
        if len(self.screen_stack) > 1:
            self.switch_screen(screen)
        else:
            self.push_screen(screen)

    async def action_back(self) -> None:
        if len(self.screen_stack) > 1:
            self.pop_screen()

    def action_back_or_quit(self) -> None:
        if len(self.screen_stack) > 1:
            self.pop_screen()
        else:
            self.action_leave()

    def action_leave(self) -> None:
        """Quitting leaves the engine running; only a rehearsal ends with its console, and asks."""
        if not self.rehearsal or isinstance(self.screen, Ask):
            self.exit(0)
            return
        facts = ["The simulated service, the engine and the throw-away store end with this screen."]
        self.push_screen(
            Ask("End the rehearsal?", facts, "end it", "go on"),
            lambda typed: self.exit(0) if typed is not None else None,
        )

    def action_help(self) -> None:
        from console.screens.help import Help

        page = self.page
        if not isinstance(self.screen, Help):
            self.push_screen(Help(page))

    def action_copy_screen(self) -> None:
        page = self.page
        if page is None:
            return
        text = page.text()
        path = terminal.keep(text)
        how = terminal.copy(text, self._write)
        self.say(f"{how} File: {path}" if path else how, "bar")

    def action_look(self, name: str) -> None:
        """Change the colours and remember the choice."""
        self.look_name = name
        self.palette = themes.palette(name)
        self.theme = f"console-{name}"
        themes.remember("theme", name)
        for screen in self.screen_stack:
            if isinstance(screen, Page):
                screen.repaint()

    def get_system_commands(self, screen: Screen[Any]) -> Any:
        yield SystemCommand("Roll back to 0 %", "At once, from every screen (R)", self.action_roll_back)
        for number, load in SCREENS.items():
            if number == 0 and not self.rehearsal:
                continue
            page = load()
            yield SystemCommand(f"Go to {page.TITLE}", f"{page.ABOUT} ({number})", lambda n=number: self.action_go(n))
        yield SystemCommand("Go to Rollback", Rollback.ABOUT, lambda: self.push_screen(Rollback()))
        yield SystemCommand("Help", "Keys of this screen and the runbooks (?)", self.action_help)
        yield SystemCommand("Copy this screen", "As text, to the clipboard and a file (Y)", self.action_copy_screen)
        for name in themes.NAMES:
            yield SystemCommand(f"Colours: {name}", "Remembered", lambda n=name: self.action_look(n))
        yield SystemCommand("Quit", "The engine goes on (q)", self.action_leave)

    # -- what screens use --------------------------------------------------------------------------------------------------

    def say(self, sentence: str, style: str = "bar") -> None:
        """A sentence above the footer for a few seconds."""
        self.said, self._said_until = (clean_line(sentence, 400), style), time.monotonic() + SAID_S
        if self.page is not None:
            self.page.repaint()

    def act(self, kind: str, then: Callable[[Reply], None] | None = None, **fields: Any) -> None:
        """Send a command in a thread; its sentence is shown, whatever it is."""
        if self.read_only:
            self.say("This console is read-only; only R acts.", "caution")
            return

        async def run() -> None:
            reply = await asyncio.to_thread(self.link.command, kind, **fields)
            self.say(reply.sentence, "bar" if reply.ok else "caution")
            if then is not None:
                then(reply)
            await self._read()

        self.run_worker(run(), exit_on_error=False, group="commands")

    def ask_text(
        self,
        title: str,
        facts: Sequence[str],
        field: str,
        then: Callable[[str], None],
        *,
        least: int = 0,
        yes: str = "send",
    ) -> None:
        """Ask for a text; nothing happens when it is left."""
        if self.read_only:
            self.say("This console is read-only; only R acts.", "caution")
            return
        self.push_screen(
            Ask(title, facts, yes, "leave", field=field, least=least),
            lambda typed: then(typed) if typed is not None else None,
        )

    def restore(self) -> None:
        """Serve frequency keywords again for what the LLM wrote. Reversible, so it does not ask."""
        v = self.sight.view
        if v is None or v.restore is None or not v.restore.documents:
            self.say("There is nothing to restore: no document serves LLM keywords.", "caution")
            return
        self.act("restore", since=None, stage=None, dry_run=False)

    def limits(self, metric: str) -> list[tuple[float, str]]:
        """Thresholds of the plan's triggers on a metric, with words for the plot."""
        found = [
            (t.above, t.action.value)
            for t in self.plan.triggers
            if t.metric == metric and t.enabled and t.above is not None
        ]
        found += [
            (t.below, t.action.value)
            for t in self.plan.triggers
            if t.metric == metric and t.enabled and t.below is not None
        ]
        return [
            (
                value,
                f"{words.figure(metric, value).replace('.0 ', ' ').replace('.00 ', ' ')} → {words.ACTION.get(action, action)}",
            )
            for value, action in sorted(found)
        ]


_CLEAN = Clean()
ACTING = frozenset(
    {
        "undo",
        "promote",
        "override",
        "hold",
        "resume",
        "sign",
        "revoke",
        "check_item",
        "approve",
        "restore",
        "undo_restore",
        "why",
        "complaint",
        "fault",
        "speed",
        "send",
        "remind",
        "judge",
    }
)


def _screen(module: str, name: str) -> Callable[[], type[Page]]:
    """Imported when first opened, so that the first paint does not wait for it."""

    def load() -> type[Page]:
        import importlib

        return getattr(importlib.import_module(f"console.screens.{module}"), name)  # type: ignore[no-any-return]

    return load


SCREENS: dict[int, Callable[[], type[Page]]] = {
    1: lambda: Dashboard,
    2: _screen("gate", "Gate"),
    3: _screen("triggers", "Triggers"),
    4: _screen("trends", "Trends"),
    5: _screen("review", "Review"),
    6: _screen("ab", "AbTest"),
    7: _screen("documents", "Documents"),
    8: _screen("log", "Log"),
    9: _screen("messages", "Messages"),
    0: _screen("faults", "Faults"),
}


def run(
    folder: Path,
    plan: Plan,
    *,
    rehearsal: bool = False,
    read_only: bool = False,
    ascii: bool = False,
    theme: str | None = None,
) -> int:
    """Show the console on this terminal until it is left; the exit code. The engine is not touched."""
    why = terminal.unusable()
    if why:
        print(why)
        return 1
    link = StoreLink(folder, plan)
    app = Console(
        link,
        plan,
        rehearsal=rehearsal,
        read_only=read_only,
        ascii_only=ascii or terminal.ascii_only(),
        theme=themes.choose(theme),
    )
    restore = terminal.save_modes()
    code = 1
    try:
        app.run()
        code = app.return_code or 0
    finally:
        with contextlib.suppress(OSError, ValueError):
            import sys

            sys.stderr.write(terminal.PIXEL_MOUSE_OFF)
            sys.stderr.flush()
        restore()
    v = app.sight.view
    if code in (0, None) and not rehearsal and v is not None:
        if app.sight.fresh:
            print(
                f"The engine goes on: {words.stage(v)}, {words.percent(v.effective_bp)}, process {v.engine.pid}. `rollout` attaches again, `rollout stop` ends it."
            )
        else:
            print(f"{app.sight.pulse.sentence}")
    return code
