"""The console: a Textual app over a link. It polls once a second, paints changes, and turns keys into commands."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import Any, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.worker import Worker

from console import last_visit
from console.app.keys import Keys
from console.bug_report import write_traceback
from console.daemon_call import in_background
from console.poller import READ_EVERY_S
from console.screens.dashboard import Dashboard
from console.terminal import escape
from console.widgets import plot


class Console(Keys):
    """Attaches to a link; quitting detaches. The engine notices neither."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("R", "roll_back", "roll back to 0 % now, from every screen", priority=True),
        Binding("f9", "roll_back", "same as R, and works in a text field", priority=True),
        Binding("u", "undo", "undo a manual rollback (60 s)"),
        *[Binding(str(d), f"go({d})", f"screen {d}", show=False) for d in range(10)],
        Binding("question_mark,f1", "help", "help for this screen, and the runbooks"),
        Binding("colon,ctrl+p", "command_palette", "menu: search every action by name"),
        Binding("exclamation_mark", "inbox", "inbox: everything waiting for you"),
        Binding("E", "start_engine", "start the engine if none is running"),
        Binding("backspace", "dismiss", "dismiss the notice (the inbox keeps it)"),
        Binding("K", "acknowledge", "acknowledge the alarm: everyone sees that you have it"),
        Binding("N", "hand_over", "hand over: a note for the next on-call"),
        Binding("W", "go_by", "who you are: your name, shown next to this account"),
        Binding("i", "incident", "the last incident, step by step"),
        Binding("v", "proof", "the proof of the last rollback, and the way back"),
        Binding("q", "back_or_quit", "back; on Live: quit (the engine keeps running)"),
        Binding("escape", "back", "back"),
        Binding("ctrl+c,ctrl+q", "leave", "quit", show=False),
        Binding("ctrl+l", "redraw", "redraw the screen", show=False),
        Binding("ctrl+z", "suspend", "suspend the console; fg in the shell brings it back", show=False),
        Binding("left_square_bracket", "travel(-1)", "back in time: this screen as it was"),
        Binding("right_square_bracket", "travel(1)", "forward in time, up to now"),
        Binding("left", "travel_on(-1)", "back, while looking at the past", show=False),
        Binding("right", "travel_on(1)", "forward, while looking at the past", show=False),
        Binding("at", "moment", "a moment in the past: 02:13, 4h ago, a date"),
        Binding("comma", "event(-1)", "previous event: a decision, a complaint, a trigger"),
        Binding("full_stop", "event(1)", "next event"),
        Binding("plus,equals_sign", "zoom(-1)", "zoom in: shorter window, shorter steps"),
        Binding("minus", "zoom(1)", "zoom out: longer window, longer steps"),
        Binding("Y", "copy_screen", "copy this screen as text to the clipboard and a file"),
    ]

    def get_default_screen(self) -> Screen[Any]:
        return Dashboard()

    def on_load(self) -> None:
        """Poll once before the first paint, so that it shows live figures."""
        if self.poller.poll_now().view is not None and not self.throwaway:
            self.since = last_visit.recall(self.link)

    def on_mount(self) -> None:
        self._loop_here = asyncio.get_running_loop()
        if self.terminal is not None:
            self.ending = escape.Ending(self.terminal.restore_now)
            self.terminal.ended = self._hung_up
            self.terminal.ending = self.ending
            escape.on_signals(self._loop_here, self._leave_by_signal, self.ending)
            if self.first is not None and self.first.signalled:
                self.ending.begin(self.first.signalled)
                self.call_later(self._leave_by_signal, self.first.signalled)
        self.write(escape.SAVE_TITLE)
        self.set_interval(READ_EVERY_S, self._read_soon)
        self.call_after_refresh(self._first_painted)

    async def _first_painted(self) -> None:
        self.key_guard.ready = True
        self._report_unheard()
        self.attention.notice(self.live)
        # not as a coroutine, which warns if q ends the app before it starts
        _: Worker[None] = self.run_worker(self._after_paint, exit_on_error=False)
        await self._release()

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

    def on_unmount(self) -> None:
        self.runner.cancel()
        v = self.live.view
        if v is not None and not self.throwaway:
            last_visit.remember(self.link, v.at)
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
        name = write_traceback(error)
        where = f" Details, for a bug report: {name}" if name else ""
        self.crash = (
            f"The console stopped: {type(error).__name__}. The engine keeps running; `rollout` reattaches, "
            f"`rollout rollback` rolls back.{where}"
        )
        self.panic(Text(self.crash))
