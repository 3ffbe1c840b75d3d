"""Screens that read more than the view: in a thread, on demand, showing the last answer until the next."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Input

from console.screens.page import Page, key
from engine.store.folder import StoreError


def matches(wanted: str, *parts: str) -> bool:
    """Whether the text that a row shows contains what the filter asks for."""
    return wanted.strip().lower() in " ".join(parts).lower()


class FetchingPage(Page):
    """A page that fetches data: when `wanted` changes, `fetch` runs in a thread and returns a function that stores the
    answer."""

    def __init__(self) -> None:
        super().__init__()
        self.trouble = ""
        self.busy = False
        self._have: Any = None

    def wanted(self) -> Any:
        """A value that changes when different data are needed."""
        return None

    def fetch(self, wanted: Any) -> Callable[[], None]:
        """Read, in a thread. The returned function stores the answer and runs in the screen's loop."""
        raise NotImplementedError

    def refreshed(self) -> None:
        wanted = self.wanted()
        if wanted != self._have and not self.busy:
            self._have, self.busy = wanted, True
            self.run_worker(self._fetch(wanted), exit_on_error=False, group="reading")
        self.repaint()

    async def _fetch(self, wanted: Any) -> None:
        try:
            put = await asyncio.to_thread(self.fetch, wanted)
            put()
            self.trouble = ""
        except (StoreError, KeyError, ValueError) as error:
            self.trouble = str(error)
            self._have = None
        except Exception as error:  # the same question would fail again
            self.trouble = self.console.fault(error)
        finally:
            self.busy = False
        self.refreshed() if self.wanted() != wanted and not self.trouble else self.repaint()


class Searching(FetchingPage):
    """A page with a search line: `/` opens it, Enter keeps the text, esc clears it."""

    BINDINGS: ClassVar[list[BindingType]] = [key("slash", "search", "filter or search")]
    PROMPT: ClassVar[str] = "filter"
    KEEPS: ClassVar[bool] = True  # the filter is there again when the screen is opened again
    DEFAULT_CSS = """
    Searching #sheet { height: 1fr; }
    Searching Input { dock: bottom; display: none; offset-y: -1; background: $panel; }
    Searching Input.open { display: block; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.text_wanted = ""

    @property
    def _place(self) -> str:
        return f"filter of {self.TITLE}"

    def on_mount(self) -> None:
        if self.KEEPS and (kept := self.console.texts.get(self._place, "")):
            for line in self.query("#search").results(Input):  # none if the screen was left before it was composed
                line.value = kept

    def titled(self, title: str) -> str:
        """A list's title, with the filter while it is on."""
        return f"{title} with “{self.text_wanted}”" if self.text_wanted else title

    def clear(self) -> bool:
        """Show everything again; False if no filter is on."""
        if not self.text_wanted:
            return False
        self.query_one("#search", Input).value = ""
        return True

    def more(self) -> ComposeResult:
        yield Input(
            placeholder=f"{self.PROMPT}: type, enter keeps it, esc clears it (F9 rolls back)",
            id="search",
            max_length=200,
        )

    def action_search(self) -> None:
        if not self.query("#search"):
            return
        line = self.query_one("#search", Input)
        line.add_class("open")
        line.focus()

    @on(Input.Changed, "#search")
    def typed(self, event: Input.Changed) -> None:
        self.text_wanted = event.value
        if self.KEEPS:
            self.console.texts[self._place] = event.value
        self.refreshed()

    @on(Input.Submitted, "#search")
    def kept(self) -> None:
        self._close()

    def _close(self) -> None:
        line = self.query_one("#search", Input)
        line.remove_class("open")
        self.set_focus(None)
        self.refreshed()

    def on_key(self, event: Any) -> None:
        if event.key == "escape" and self.focused is not None:
            event.stop()
            event.prevent_default()
            self.query_one("#search", Input).value = ""
            self._close()
        elif event.key in ("down", "up") and self.focused is not None:
            event.stop()
            self._close()
