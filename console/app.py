"""The console: a Textual app over a link. It polls once a second, paints changes, and turns keys into commands."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from rich.text import Text
from textual import events, on
from textual.app import App
from textual.binding import Binding, BindingType
from textual.filter import LineFilter, NoColor
from textual.screen import ModalScreen, Screen
from textual.timer import Timer
from textual.worker import Worker

from console import themes
from console.attention import Attention
from console.daemon_call import in_background
from console.link import Link, Sight
from console.people import People
from console.plan_commands import CommandRun, CommandRunner, surroundings
from console.poller import READ_EVERY_S, Poller
from console.rollback_attempt import RollbackAttempt
from console.screens import SCREENS, screen, working
from console.screens.ask import QuestionDialog
from console.screens.dashboard import Dashboard
from console.screens.fetching import Searching
from console.screens.page import Page
from console.screens.rollback import Rollback
from console.screens.rows import Rows
from console.series_cache import SeriesCache
from console.terminal import escape
from console.terminal.driver import PatientDriver, Redraw
from console.terminal.output_filter import OutputFilter
from console.terminal.type_ahead import ACTING, GRACE_S, KeyGuard, report_dropped
from console.travel import Travel
from console.widgets import plot, words
from console.widgets.canvas import in_ascii
from console.widgets.sheet import Sheet
from console.widgets.timegrid import ZOOMS
from engine.client.client import Reply
from engine.plan.model import Plan
from engine.rollout.state import DOWN
from engine.text import clean_line
from engine.view.model import HandoverView

PAST = "This screen shows the past: esc returns to now, and only R acts from here."
PRESENCE_EVERY_S = 10.0
SAID_S = 7.0
NOTICES = 50
UNHEARD_S = 20.0
CALM_S = 0.8
_COLOURLESS = NoColor()
_FIGURE = re.compile(r"\d+")


class Console(App[int]):
    """Attaches to a link; quitting detaches. The engine notices neither."""

    ENABLE_COMMAND_PALETTE = False  # ours shows keys, works in ASCII, and lists the screen's own actions first
    CSS_PATH = Path(__file__).parent / "styles" / "console.tcss"
    ESCAPE_TO_MINIMIZE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("R", "roll_back", "roll back to 0 % now, from every screen", priority=True),
        Binding("f9", "roll_back", "the same, in a text field too", priority=True),
        Binding("u", "undo", "undo a manual rollback (60 s)"),
        *[Binding(str(d), f"go({d})", f"screen {d}", show=False) for d in range(10)],
        Binding("question_mark,f1", "help", "help for this screen, and the runbooks"),
        Binding("colon,ctrl+p", "command_palette", "menu of every action, in words"),
        Binding("exclamation_mark", "inbox", "inbox: everything that waits for you"),
        Binding("E", "start_engine", "start the engine if none runs"),
        Binding("backspace", "dismiss", "dismiss the notice (the inbox keeps it)"),
        Binding("K", "acknowledge", "I have it: take the alarm, for all to see"),
        Binding("N", "hand_over", "hand over: a note for the next on-call"),
        Binding("i", "incident", "the last incident, moment by moment"),
        Binding("v", "proof", "the proof of the last rollback, and the way back"),
        Binding("q", "back_or_quit", "back; on Live: quit (the engine keeps running)"),
        Binding("escape", "back", "back"),
        Binding("ctrl+c,ctrl+q", "leave", "quit", show=False),
        Binding("ctrl+l", "redraw", "redraw the screen", show=False),
        Binding("left_square_bracket", "travel(-1)", "back in time: this screen as it stood then"),
        Binding("right_square_bracket", "travel(1)", "forward in time; at the end is now"),
        Binding("comma", "event(-1)", "to the event before: a decision, a complaint, a trigger"),
        Binding("full_stop", "event(1)", "to the event after"),
        Binding("plus,equals_sign", "zoom(-1)", "a shorter window of time, and shorter steps"),
        Binding("minus", "zoom(1)", "a longer window of time, and longer steps"),
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
        typed_before: Sequence[str] = (),
    ) -> None:
        """`typed_before`: keys typed before the first paint, by Textual's names; they are reported, not acted on."""
        super().__init__(driver_class=PatientDriver)
        self.link = link
        self.plan = plan
        self.rehearsal = rehearsal
        self.throwaway = rehearsal  # a store that ends with this console
        self.read_only = read_only
        self.ascii_only = ascii_only
        self.palette = themes.palette(theme)
        self.terminal: PatientDriver | None = None
        self.ending: escape.Ending | None = None  # once there is a screen
        self._sanitizer = OutputFilter(ascii_only)
        self.key_guard = KeyGuard()
        self._unheard = [*typed_before]
        self.poller = Poller(link)
        self.series_cache = SeriesCache(link)
        self.travel = Travel(link, plan)
        self.attention = Attention(self.write)
        self.people = People(link)
        self.notice: tuple[str, str] | None = None
        self.notices: Sequence[tuple[float, str, str]] = ()
        self.since = 0.0
        self.attempt: RollbackAttempt | None = None
        self.runner = CommandRunner(lambda: surroundings(plan, link.folder.path), self._changed_soon, self._ran)
        self._newest_rollback: int | None = None  # of the log; None before the first sight
        self.texts: dict[str, str] = {}
        self.places: dict[str, Rows] = {}
        self.crash = ""
        self._notice_until = 0.0
        self._shown = self.poller.sight
        self._present_at = 0.0
        self._painted_at = 0.0
        self._fast: Timer | None = None  # polls more often until a rollback is proven
        self._asked: Worker[None] | None = None  # the command in progress
        self._repaint_due = False
        for name in themes.NAMES:
            self.register_theme(themes.theme(name))
        self.theme = f"console-{theme}"
        self.animation_level = "none"

    @property
    def who(self) -> str:
        return self.link.who

    @property
    def shows_faults(self) -> bool:
        v = self.live.view
        return self.rehearsal or bool(v and v.rehearsal)

    @property
    def briefing(self) -> tuple[float, float, bool]:
        """Of a game day: how long the shift lasts, how fast the calendar runs, whether it can begin."""
        return 0.0, 1.0, False

    def looked(self, screen: str) -> None:
        """A screen is shown; only a game day notes it."""

    @property
    def live(self) -> Sight:
        return self.poller.sight

    @property
    def sight(self) -> Sight:
        """Of the moment that the screens show."""
        return self.live if self.travel.at is None else self.travel.sight

    @property
    def page(self) -> Page | None:
        """The topmost screen that is not a question."""
        with contextlib.suppress(KeyError):  # before the first screen
            return next((s for s in reversed(self.screen_stack) if isinstance(s, Page)), None)
        return None

    # -- start and end -------------------------------------------------------------------------------------------------

    def get_default_screen(self) -> Screen[Any]:
        return Dashboard()

    def get_line_filters(self) -> Sequence[LineFilter]:
        if self.theme == "console-mono":
            return [_COLOURLESS, self._sanitizer]
        if self.current_theme.ansi:  # dimmed against an unknown background, text could become black on black
            return [self._sanitizer]
        return [*super().get_line_filters(), self._sanitizer]

    def on_load(self) -> None:
        """Poll once before the first paint, so that it shows live figures."""
        if self.poller.look_now().view is not None and not self.throwaway:
            key = f"seen {self.link.folder.path.resolve()}"
            with contextlib.suppress(ValueError):
                self.since = float(themes.recall(key, "0") or 0)

    def on_mount(self) -> None:
        self._loop_here = asyncio.get_running_loop()
        if self.terminal is not None:
            self.ending = escape.Ending(self.terminal.restore_now)
            self.terminal.ended = self._hung_up
            escape.on_signals(self._loop_here, self._leave_by_signal, self.ending)
        self.write(escape.SAVE_TITLE)
        self.set_interval(READ_EVERY_S, self._read_soon)
        self.call_after_refresh(self._first_painted)

    def _first_painted(self) -> None:
        self.key_guard.ready = True
        if dropped := report_dropped(self._unheard):
            self.say(*dropped, seconds=UNHEARD_S)
        self.attention.notice(self.live)
        self.run_worker(self._after_paint(), exit_on_error=False)
        self._ask_name()

    def _ask_name(self) -> None:
        """Once, where another console of the same account is open; never while there is something worse to read."""
        v = self.live.view
        asks = v is not None and not (self.link.goes_by or self.read_only or self.rehearsal)
        if (
            v is not None
            and asks
            and self.people.shares_account(v)
            and v.health not in ("alert", "rolled_back", "blind")
        ):
            self.action_go_by()

    async def _after_paint(self) -> None:
        await in_background(plot.load)
        await self._read_history()

    def _hung_up(self) -> None:
        """The terminal is gone; its SIGHUP may be missing or ignored. Called in any thread."""
        code = 128 + signal.SIGHUP
        if self.ending is not None:
            self.ending.begin(code)
        with contextlib.suppress(RuntimeError):
            self._loop_here.call_soon_threadsafe(self._leave_by_signal, code)

    def _leave_by_signal(self, code: int) -> None:
        self.exit(code, return_code=code)

    def on_unmount(self) -> None:
        self.runner.cancel()
        v = self.live.view
        if v is not None and not self.throwaway:
            themes.remember(f"seen {self.link.folder.path.resolve()}", str(v.at))
        self.write(escape.RESTORE_TITLE)

    def _handle_exception(self, error: Exception) -> None:
        """A bug ends the console, not the engine: one sentence here, the details in a file that only this user can
        read."""
        if self._exception is None:
            self._exception = error
            self._exception_event.set()
        self._return_code = 1
        if self.crash:  # later errors while it ends add nothing
            return
        name = escape.write_traceback(error)
        where = f" Details, for a bug report: {name}" if name else ""
        self.crash = (
            f"The console stopped: {type(error).__name__}. The engine keeps running; `rollout` reattaches, "
            f"`rollout rollback` rolls back.{where}"
        )
        self.panic(Text(self.crash))

    def write(self, sequence: str) -> None:
        """Write a sequence to the terminal itself: a title, a bell."""
        if self.terminal is not None:
            self.terminal.write(in_ascii(sequence) if self.ascii_only else sequence)

    # -- reading -------------------------------------------------------------------------------------------------------

    def _read_soon(self) -> None:
        """Not awaited by the key loop: a poll that hangs must not block R."""
        self.run_worker(self._read(), exit_on_error=False, group="reading")

    async def _read(self) -> None:
        if self.terminal is not None:
            if self.terminal.gone:
                self._leave_by_signal(128 + signal.SIGHUP)
                return
            if self.terminal.stalled:
                return
        self._see(await self.poller.look())
        v = self.live.view
        if v is not None and plot.loaded() and self.series_cache.due(v.at, self.travel.at):
            await self._read_history()

    async def _read_history(self) -> None:
        v = self.live.view
        if v is None:
            return
        self.series_cache.busy = True
        try:
            await in_background(lambda: self.series_cache.read(v.at, self.travel.at))
        finally:
            self.series_cache.busy = False
        self._page_refreshed()

    def _see(self, sight: Sight) -> None:
        old = self._shown
        expired = self.notice is not None and time.monotonic() > self._notice_until
        if expired:
            self.notice = None
        attempt = self.attempt
        if attempt is not None and attempt.proven_s is None and attempt.result is not None and not sight.fresh:
            attempt.unreachable = self.link.out_of_reach()
        same = old.view is not None and old.view == sight.view and old.pulse == sight.pulse
        if expired or (not same and not self._can_wait(old, sight)):
            self._shown = sight
            self._page_refreshed()
        self.attention.notice(sight)
        self._show_incident()
        if sight.fresh and time.monotonic() - self._present_at > PRESENCE_EVERY_S:
            self._tell_presence()

    def _can_wait(self, old: Sight, new: Sight) -> bool:
        """Whether only figures moved, within a second of the last change: they can wait for the next poll. In a time
        lapse the engine publishes several times a second; painting each would multiply the load on a remote line and a
        core."""
        if old.view is None or new.view is None or (self.attempt is not None and self.attempt.awaited()):
            return False
        alike = (old.view.rev, old.view.health, old.pulse.state) == (new.view.rev, new.view.health, new.pulse.state)
        return alike and time.monotonic() - self._painted_at < CALM_S

    @on(Redraw)
    def action_redraw(self) -> None:
        """Repaint everything: the line dropped output, or another program wrote over the screen."""
        if self.terminal is not None:
            self.terminal.forget()
        for shown in self.screen_stack:
            shown.refresh(layout=True)
            for sheet in shown.query(Sheet):
                sheet.refresh()

    def _page_refreshed(self) -> None:
        self._painted_at = time.monotonic()
        page = self.page
        if page is not None and page.is_mounted:
            page.refreshed()

    def _tell_presence(self) -> None:
        """Report this console's presence, which every console shows."""
        self._present_at = time.monotonic()
        title = self.page.TITLE if self.page is not None else ""
        self.run_worker(
            in_background(lambda: self.link.command("presence", timeout_s=1.0, screen=title)),
            exit_on_error=False,
            group="presence",
        )

    # -- keys ----------------------------------------------------------------------------------------------------------

    async def on_event(self, event: events.Event) -> None:
        if isinstance(event, events.Key) and not event.is_forwarded:
            focused = self.focused
            if not self.key_guard.ready:
                self._unheard.append(event.key)
            typing = focused is not None and focused.check_consume_key(event.key, event.character)
            match self.key_guard.take(event.character, event.time, typing):
                case "drop":
                    return
                case "wait":
                    self.set_timer(GRACE_S, lambda: self._after_grace(event))
                    return
            if not typing and self._refused_as_read_only(event.key):
                return
        elif isinstance(event, events.Key) and self.attempt is not None and event.time < self.attempt.pressed:
            return  # typed before R and delivered late, as on a slow line: it must not leave the proof
        await super().on_event(event)
        if isinstance(event, events.Resize):  # intermediate sizes are not reported, and what they cut off is lost
            self.call_later(self.action_redraw)

    async def _after_grace(self, event: events.Key) -> None:
        match self.key_guard.resolve_deliberate(event.character or ""):
            case "take":
                if not self._refused_as_read_only(event.key):
                    await super().on_event(event)
            case "refuse":
                self.say(
                    "R came in a burst of keys, like a paste, and was ignored. To roll back, press R once, or F9.",
                    "alarm",
                )

    def _refused_as_read_only(self, name: str) -> bool:
        """Whether a read-only console leaves this key out because of what it would do; it says so."""
        page = self.page
        if not self.read_only or page is None or isinstance(self.screen, ModalScreen):
            return False
        bound = next(
            (b for b in (*page.bindings(), *self.BINDINGS) if isinstance(b, Binding) and name in b.key.split(",")), None
        )
        acting = bound is not None and bound.action.removeprefix("app.").partition("(")[0] in ACTING
        if acting:
            self.say("This console is read-only: only R acts. Open it without --read-only to change things.", "caution")
        return acting

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        past = self.page is not None and self.page.cursor is not None
        return not (action in ACTING and (self.read_only or past))

    # -- through time --------------------------------------------------------------------------------------------------

    def action_travel(self, by: int) -> None:
        v = self.live.view
        page = self.page
        if v is None or page is None:
            return
        self._travel_to((self.travel.at if self.travel.at is not None else v.at) + by * page.step_s)

    def action_travel_to(self, at: float) -> None:
        self._travel_to(at)

    def action_now(self) -> None:
        self._travel_to(float("inf"))

    def _travel_to(self, at: float) -> None:
        v = self.live.view
        if v is None:
            return
        self.travel.move(at, v.at)
        self._page_refreshed()
        if not self.travel.busy:
            self.run_worker(self._read_past(), exit_on_error=False, group="past")

    async def _read_past(self) -> None:
        """The last moment that was asked for; those that a held key passed over are not read."""
        travel = self.travel
        travel.busy = True
        try:
            while travel.at is not None and travel.read_at != travel.at:
                at = travel.at
                sight = await in_background(lambda at=at: travel.read(at))  # type: ignore[misc]
                if travel.at is not None:
                    travel.sight, travel.read_at = sight, at
                self._page_refreshed()
        finally:
            travel.busy = False
        v = self.live.view
        if v is not None and self.series_cache.due(v.at, travel.at):
            await self._read_history()
        self._page_refreshed()

    def action_event(self, direction: int) -> None:
        v = self.live.view
        at = self.travel.at if self.travel.at is not None else v.at if v is not None else None
        if at is not None:
            self.run_worker(self._to_event(at, direction), exit_on_error=False, group="event")

    async def _to_event(self, at: float, direction: int) -> None:
        moment = await in_background(lambda: self.travel.event(at, direction))
        if moment is not None:
            self._travel_to(moment)
        elif direction > 0:
            self.action_now()
        else:
            self.say("There is no earlier event in the store.", "caution")

    def action_zoom(self, by: int) -> None:
        self.series_cache.zoom = max(0, min(len(ZOOMS) - 1, self.series_cache.zoom + by))
        self._read_soon()
        self._page_refreshed()

    def action_roll_back(self) -> None:
        """Nothing may delay it: start the thread that removes the armed file, then show the screen."""
        v = self.live.view
        page = self.page
        seen = f"{page.TITLE if page else ''}: {v.health_sentence}" if v else ""
        attempt = RollbackAttempt(self.link, clean_line(seen, 300), v.rev if v else -1, self._rolled_in_thread)
        attempt.start()
        self.attempt = attempt
        self.travel.leave()
        while isinstance(self.screen, ModalScreen):
            self.pop_screen()
        if not isinstance(self.screen, Rollback):
            self.push_screen(Rollback())
        else:
            self.screen.repaint()
        if self._fast is not None:
            self._fast.stop()
        self._fast = self.set_interval(0.2, self._read_until_proven)

    def _rolled_in_thread(self) -> None:
        """Unlike call_from_thread, this doesn't wait for a screen that may be busy or gone."""
        with contextlib.suppress(RuntimeError):
            self._loop_here.call_soon_threadsafe(self._rolled)

    def _rolled(self) -> None:
        page = self.page
        if page is not None:
            page.repaint()

    def _read_until_proven(self) -> None:
        attempt = self.attempt
        if attempt is None or attempt.state(self.live) == "proven" or not attempt.awaited():
            if self._fast is not None:
                self._fast.stop()
            self._page_refreshed()
            return
        self._read_soon()

    def action_undo(self) -> None:
        v = self.live.view
        if v is not None and v.undo_until is not None and v.undo_until > v.at:
            self.act("undo_rollback", epoch=v.epoch)
        elif v is not None and v.restore is not None and v.restore.undoable:
            self.act("undo_restore")
        elif v is not None and v.rollback is not None and v.health == "rolled_back" and (v.locked or v.held):
            self.say(
                f"Too late for u: {v.locked or f'held by {v.held}'}. Use the gate (2) to go back up; e resumes there.",
                "caution",
            )
        else:
            self.say(
                "Nothing to undo: a manual rollback can be undone for 60 s, a restore until the next one. "
                "Use the gate (2) to go back up.",
                "caution",
            )

    def action_go(self, number: int) -> None:
        if number not in SCREENS or (number == 0 and not self.shows_faults):
            return
        while isinstance(self.screen, ModalScreen):
            self.pop_screen()
        if number == 1:
            while len(self.screen_stack) > 1:
                self.pop_screen()
            return
        if isinstance(self.screen, Page) and number == self.screen.NUMBER % 10 and self.screen.NUMBER <= 10:
            return
        page = screen(number)()
        while len(self.screen_stack) > 2:  # a way down from another screen ends
            self.pop_screen()
        if len(self.screen_stack) > 1:
            self.switch_screen(page)
        else:
            self.push_screen(page)

    async def action_back(self) -> None:
        if self._asked is not None and self._asked.is_running:
            self._asked.cancel()
            self.say("Stopped waiting. The engine may still finish this; check the log (8).", "caution")
            return
        if self.travel.at is not None:
            self.action_now()
            return
        if isinstance(self.screen, Searching) and self.screen.clear():
            return
        if len(self.screen_stack) > 1:
            self.pop_screen()

    def action_back_or_quit(self) -> None:
        if len(self.screen_stack) > 1:
            self.pop_screen()
        else:
            self.action_leave()

    def action_leave(self) -> None:
        """Quitting leaves the engine running. A rehearsal ends with its console, so it asks first."""
        if not self.rehearsal or isinstance(self.screen, QuestionDialog):
            self.exit(0)
            return
        facts = ["The simulated service, the engine and the throw-away store end with the console."]
        self.push_screen(
            QuestionDialog("End the rehearsal?", facts, "end it", "go on"),
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
        path = escape.keep(text)
        how = self.copy(text)
        self.say(f"{how} File: {path}" if path else how, "bar")

    def action_look(self, name: str) -> None:
        """Change the colours and remember the choice."""
        self.palette = themes.palette(name)
        self.theme = f"console-{name}"
        themes.remember("theme", name)
        for page in self.screen_stack:
            if isinstance(page, Page):
                page.repaint()

    def action_command_palette(self) -> None:
        from console.screens.palette import Palette, commands

        page = self.page
        if not isinstance(self.screen, ModalScreen):
            self.push_screen(
                Palette(commands(self, page, self.BINDINGS)), lambda action: self._run_chosen(action, page)
            )

    def _run_chosen(self, action: str | None, page: Page | None) -> None:
        if action:
            self.run_worker(self.run_action(action, None if action.startswith("app.") else page), exit_on_error=False)

    def action_work(self, name: str) -> None:
        """Show one of the screens that share key 9."""
        self.action_go(9)
        if name != "messages":
            self.switch_screen(working(name)())

    def action_acknowledge(self) -> None:
        """Take the alarm: shown to everyone, kept in the log, sent to the team."""
        self.act("acknowledge")

    def action_inbox(self) -> None:
        from console.screens.inbox import Inbox

        if not isinstance(self.screen, ModalScreen | Inbox):
            self.push_screen(Inbox())

    def action_servers(self) -> None:
        from console.screens.drill.servers import Servers

        if not isinstance(self.screen, ModalScreen | Servers):
            self.push_screen(Servers())

    def action_on_gate(self, what: str) -> None:
        """One of the gate's keys from another screen: the gate first, then its question."""
        if self.page is not None and self.page.cursor is not None:
            self.say(PAST, "caution")
            return
        self.action_go(2)
        page = self.page
        if page is not None and page.NUMBER == 2:
            page.call_after_refresh(getattr(page, f"action_{what}"))

    def open_item(self, item: str) -> None:
        """The gate with the cursor on this item of its checklist."""
        self.action_go(2)
        page = self.page
        if page is not None and page.NUMBER == 2:
            page.call_after_refresh(lambda: page.choose(item))  # type: ignore[attr-defined]

    def action_dismiss(self) -> None:
        """Take the notice away before its time, else the hand-over note; both stay in the inbox."""
        if self.notice is not None:
            self.notice = None
        elif (note := self.handover) is not None:
            self.people.dismiss(note)
        self._page_refreshed()

    @property
    def handover(self) -> HandoverView | None:
        v = self.live.view
        return self.people.handover(v) if v is not None else None

    def action_hand_over(self) -> None:
        """Write a note for the next on-call."""
        self.ask_text(
            "Hand over: a note for whoever looks next",
            ["The console shows it to each of them until they dismiss it, for 3 days; the log keeps it."],
            "what they should know",
            lambda text: self.act("note", kind="handover", text=text),
            least=3,
            yes="leave it",
        )

    def action_go_by(self) -> None:
        """Ask for the name of the person at this console."""
        self.ask_text(
            "Your name",
            [f"It stands beside this account: {self.link.who}. Approvals still count by account."],
            "a name",
            self._named,
            least=1,
            yes="use it",
            typed=self.people.last_name(),
        )

    def _named(self, name: str) -> None:
        self.link.go_by(name)
        self.people.remember_name(name)
        self._tell_presence()
        self.say(f"You are {self.link.who} now, in the log and for the others.")

    def action_start_engine(self) -> None:
        """When none runs: start it as `rollout` does, detached from this console."""
        if self.rehearsal:
            self.say(
                "The engine of a rehearsal ends with it: q ends this one, `rollout rehearse` begins another.", "caution"
            )
        elif self.live.pulse.state != "dead":
            self.say(
                "Not needed: an engine holds this store." if self.live.fresh else self.live.pulse.sentence, "caution"
            )
        else:

            async def start() -> None:
                self.say("Starting the engine …", seconds=35.0)
                trouble = await in_background(self.link.start_engine)
                self.say(trouble or "The engine runs.", "caution" if trouble else "bar")
                await self._read()

            self.run_worker(start(), exit_on_error=False, group="starting", exclusive=True)

    def action_incident(self) -> None:
        from console.screens.incident import IncidentPage

        if not isinstance(self.screen, ModalScreen | IncidentPage):
            self.action_now()
            self.push_screen(IncidentPage())

    def _show_incident(self) -> None:
        """A rollback that this console did not make opens its timeline, once; never over a question, a text or a
        proof."""
        v = self.live.view
        if v is None:
            return
        newest = max((d.rev for d in v.log if d.kind in DOWN and d.percent_to < d.percent_from), default=0)
        known, self._newest_rollback = self._newest_rollback, newest
        if known is None or newest <= known or self.attempt is not None or self.focused is not None:
            return
        if not isinstance(self.screen, ModalScreen | Rollback):
            self.action_incident()

    def action_proof(self) -> None:
        if not isinstance(self.screen, ModalScreen | Rollback):
            self.push_screen(Rollback())

    # -- what screens use ----------------------------------------------------------------------------------------------

    def say(self, sentence: str, style: str = "bar", seconds: float = SAID_S) -> None:
        """A sentence above the footer for a few seconds."""
        text, before = clean_line(sentence, 400), self.notices[-1][1] if self.notices else ""
        self.notice, self._notice_until = (text, style), time.monotonic() + seconds
        if _FIGURE.sub("", before) != _FIGURE.sub("", text):  # one that counts up is one notice
            self.notices = (*self.notices, (time.time(), text, style))[-NOTICES:]
        if self.page is not None:
            self.page.repaint()

    def copy(self, text: str) -> str:
        """Copy to the clipboard; returns a sentence that names the way used."""
        return escape.copy(text, self.write)

    def act(self, kind: str, then: Callable[[Reply], None] | None = None, /, **fields: Any) -> None:
        """Send a command in a thread and show its sentence, good or bad."""
        if self.read_only:
            self.say("This console is read-only; only R acts.", "caution")
            return
        if self.page is not None and self.page.cursor is not None and kind != "ran":
            self.say(PAST, "caution")
            return

        async def run() -> None:
            answer, seconds = asyncio.ensure_future(in_background(lambda: self.link.command(kind, **fields))), 0
            while not (await asyncio.wait({answer}, timeout=1.0))[0]:
                seconds += 1
                self.say(f"Working... {seconds} s (esc: stop waiting)")
            reply = answer.result()
            self.say(reply.sentence, "bar" if reply.ok else "caution")
            if then is not None:
                then(reply)
            await self._read()

        self._asked = self.run_worker(run(), exit_on_error=False, group="commands")

    def ask_text(
        self,
        title: str,
        facts: Sequence[str],
        field: str,
        then: Callable[[str], None],
        *,
        least: int = 0,
        yes: str = "send",
        typed: str = "",
    ) -> None:
        """Ask for a text; leaving the question does nothing."""
        if self.read_only:
            self.say("This console is read-only; only R acts.", "caution")
            return
        self.push_screen(
            QuestionDialog(title, facts, yes, "leave", field=field, least=least, typed=typed),
            lambda typed: then(typed) if typed is not None else None,
        )

    def _changed_soon(self) -> None:
        """The page's content has changed: repaint soon, once for any number of calls."""
        if not self._repaint_due:
            self._repaint_due = True
            self.set_timer(0.1, self._repaint)

    def _repaint(self) -> None:
        self._repaint_due = False
        if self.page is not None and self.page.is_mounted:
            self.page.repaint()

    def _ran(self, running: CommandRun) -> None:
        """A plan command has ended: log its output."""
        done = running.done
        if done is not None:
            self.act(
                "ran",
                command=running.command.run,
                text=running.command.text,
                line=running.line,
                exit=done.exit,
                ms=done.ms,
                ended=done.ended,
                output=running.output,
            )

    def restore(self) -> None:
        """Serve frequency keywords again where the LLM wrote. Reversible, so it doesn't ask."""
        v = self.live.view
        if v is None or v.restore is None or not v.restore.documents:
            self.say("Nothing to restore: no document serves LLM keywords.", "caution")
            return
        self.act("restore", since=None, stage=None, dry_run=False)

    def limits(self, metric: str) -> list[tuple[float, str]]:
        """Trigger thresholds on a metric, with labels for the plot."""
        allowed = [
            (value, t.action.value)
            for t in self.plan.triggers
            if t.metric == metric and t.enabled
            for value in (t.above, t.below)
            if value is not None
        ]
        return [
            (
                value,
                f"{words.figure(metric, value).replace('.0 ', ' ').replace('.00 ', ' ')} → "
                f"{words.ACTION.get(action, action)}",
            )
            for value, action in sorted(allowed)
        ]
