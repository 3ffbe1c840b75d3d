"""The app's navigation: goes from screen to screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from textual.screen import ModalScreen

from console import themes
from console.app.commands import PAST
from console.app.rollback import RollbackActions
from console.parent_shell import has_shell
from console.screens import SCREENS, screen, working
from console.screens.app_api import AppApi
from console.screens.ask import QuestionDialog
from console.screens.fetching import Searching
from console.screens.page import Page
from console.terminal import escape

if TYPE_CHECKING:
    from console.screens.palette import Command


class Navigation(RollbackActions):
    """Live is at the bottom of the stack; a numbered screen goes on top of it, and what Enter opens on top of that."""

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
        while len(self.screen_stack) > 2:  # leave a drill-down of another screen
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
            QuestionDialog("End the rehearsal?", facts, "end it", "continue"),
            lambda typed: self.exit(0) if typed is not None else None,
        )

    def action_suspend(self) -> None:
        """Stop like any program; fg continues it."""
        if has_shell():
            self.action_suspend_process()
        else:
            self.say(
                "This console was not started from a shell, so it cannot be suspended. q leaves it; the engine keeps "
                "running.",
                "caution",
            )

    def action_help(self) -> None:
        from console.screens.help import Help

        page = self.page
        if not isinstance(self.screen, Help):
            self.push_screen(Help(page))

    def action_command_palette(self) -> None:
        from console.screens.palette import Palette, commands

        page = self.page
        if not isinstance(self.screen, ModalScreen):
            self.push_screen(
                Palette(commands(cast(AppApi, self), page, self.BINDINGS), self.chosen.words),
                lambda command: self._run_chosen(command, page),
            )

    def _run_chosen(self, command: Command | None, page: Page | None) -> None:
        if command is not None:
            action = command.action
            self.chosen.add(command.words)
            self.run_worker(self.run_action(action, None if action.startswith("app.") else page), exit_on_error=False)

    def action_work(self, name: str) -> None:
        """Show one of the screens that share key 9."""
        self.action_go(9)
        if name != "messages":
            self.switch_screen(working(name)())

    def action_inbox(self) -> None:
        from console.screens.inbox import Inbox

        if not isinstance(self.screen, ModalScreen | Inbox):
            self.push_screen(Inbox())

    def action_servers(self) -> None:
        from console.screens.drill.servers import Servers

        if not isinstance(self.screen, ModalScreen | Servers):
            self.push_screen(Servers())

    def action_on_gate(self, what: str) -> None:
        """Handle one of the gate's keys on another screen: show the gate first, then its question."""
        if self.page is not None and self.page.cursor is not None:
            self.say(PAST, "caution")
            return
        self.action_go(2)
        page = self.page
        if page is not None and page.NUMBER == 2:
            page.call_after_refresh(getattr(page, f"action_{what}"))

    def open_item(self, item: str) -> None:
        """Open the gate with the cursor on this checklist item."""
        self.action_go(2)
        page = self.page
        if page is not None and page.NUMBER == 2:
            page.call_after_refresh(lambda: page.choose(item))  # type: ignore[attr-defined]

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
