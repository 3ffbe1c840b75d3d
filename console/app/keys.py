"""The app's keys: decides whether a key acts."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence

from textual import events
from textual.binding import Binding
from textual.screen import ModalScreen
from textual.widgets import Input

from console.app.people import PeopleActions
from console.terminal.type_ahead import ACTING, GRACE_S, Burst, report_dropped
from engine.text import clean_line

APART_S = 0.06  # between held keys, at most
UNHEARD_S = 20.0
SETTLE_S = 3.0  # at most; a text that Escape or Enter leaves is closed in a few turns of the loop


def next_burst(keys: deque[events.Key]) -> list[events.Key]:
    """Take the first key, and those within GRACE_S of the one before: they are judged together."""
    burst = [keys.popleft()]
    while keys and keys[0].time - burst[-1].time <= GRACE_S:
        burst.append(keys.popleft())
    return burst


def without_alt(event: events.Key, typing: bool) -> Sequence[events.Key]:
    """Escape and a letter that reach the console together look like the letter with Alt, and no key here has Alt: a
    slow line must not swallow "Esc R". In a text, Alt with another letter is an editor's key."""
    if not event.key.startswith("alt+") or not event.character or (typing and event.character != "R"):
        return (event,)
    keys = events.Key("escape", "\x1b"), events.Key(event.character, event.character)
    for key in keys:
        key.time = event.time
    return keys


class Keys(PeopleActions):
    """Type-ahead, pastes and read-only consoles; see `console.terminal.type_ahead`."""

    _behind: deque[events.Key] | None = None  # keys behind an Escape or Enter that a text has not dealt with yet

    async def on_event(self, event: events.Event) -> None:
        match event:
            case events.Key(is_forwarded=False):
                self.key_at = event.time
                if not await self._acts(event):
                    return
                if event.key in ("escape", "enter"):
                    self._settle(event)
            case events.Key() if self.attempt is not None and event.time < self.attempt.pressed:
                return  # typed before R and delivered late, as on a slow line: it must not leave the proof
            case events.Paste(is_forwarded=False):
                event = self._fitting(event)
        await super().on_event(event)
        if isinstance(event, events.Resize):  # intermediate sizes are not reported, and what they cut off is lost
            self.call_later(self.action_redraw)

    async def _acts(self, event: events.Key) -> bool:
        """Whether a key acts now. One that has to wait comes again."""
        if self._held is not None:  # typed under the first frame
            self._held.append(event)
            return False
        first, *rest = without_alt(event, self._typing(event))
        if rest:
            for key in (first, *rest):
                await self.on_event(key)
            return False
        if self._behind is not None and event.key != "f9":
            self._behind.append(event)
            return False
        if not self.key_guard.ready:
            self._unheard.append(event.key)
        typing = self._typing(event)
        match self.key_guard.take(event.character, event.time, typing):
            case "drop":
                return False
            case "wait":
                burst = self.key_guard.burst
                self.set_timer(GRACE_S, lambda: self._after_grace(event, burst))
                return False
        return typing or not self._refused_as_read_only(event.key)

    def _settle(self, event: events.Key) -> None:
        """Let what is typed behind an Escape or Enter in a text wait until that has left the text, or the R of "Esc R"
        would be a letter of a text that is about to go."""
        if self.focused is None:
            return
        if event.key == "enter":
            self.key_guard.left_text(event.time)
        behind: deque[events.Key] = deque()
        self._behind = behind
        way = 2 * [self.focused, *self.focused.ancestors]  # from queue to queue, as the key and then what it submits

        def release() -> None:
            if self._behind is behind:
                self.call_later(self._release_behind, behind)

        def hop(*_: object) -> None:
            if not way or not way.pop(0).call_later(hop):
                release()

        self.call_later(hop)  # behind the key itself
        self.set_timer(SETTLE_S, release)

    async def _release_behind(self, behind: deque[events.Key]) -> None:
        if self._behind is not behind:
            return
        self._behind = None
        while behind:
            await self.on_event(behind.popleft())

    @property
    def holds_keys(self) -> bool:
        """Whether keys wait for the first paint, or for those before them."""
        return self._held is not None

    def _fitting(self, paste: events.Paste) -> events.Paste:
        """A pasted text as one line that fits: Textual keeps the first line alone, and nothing of what is too long."""
        line = self.focused
        if not isinstance(line, Input):
            return paste
        text = clean_line(paste.text, len(paste.text) + 1)
        if line.max_length:
            selected = abs(line.selection.end - line.selection.start)
            room = max(0, line.max_length - len(line.value) + selected)
            if len(text) > room:
                text = text[:room]
                self.say(f"The pasted text is cut to {line.max_length} characters.", "caution")
        return events.Paste(text)

    def _typing(self, event: events.Key) -> bool:
        return self.focused is not None and self.focused.check_consume_key(event.key, event.character)

    async def _release(self) -> None:
        """Judge the held keys by the times at which they were typed, and let them act one after the other: the screen
        that a key opens must be there for the next one."""
        if not self._held:
            self._held = None
            self._report_unheard()
            self._offer_name()
            return
        burst, deliberate = next_burst(self._held), []
        for event in burst:
            typing = self._typing(event)
            verdict = self.key_guard.take(event.character, event.time, typing)
            event.time, typed_at = time.monotonic(), event.time
            if verdict != "drop" and self._acts_unseen(event, typing):
                self._unheard.append(event.key)
            elif verdict == "wait":
                deliberate.append(event)
            elif verdict == "take" and (typing or not self._refused_as_read_only(event.key)):
                await super().on_event(event)
        for event in deliberate:
            await self._after_grace(event, self.key_guard.burst)
        gap = self._held[0].time - typed_at if self._held else 0.0
        self.set_timer(min(max(gap, GRACE_S), APART_S), self._release)

    def _report_unheard(self) -> None:
        if dropped := report_dropped(self._unheard):
            self.say(*dropped, seconds=UNHEARD_S)
        self._unheard.clear()

    def _acts_unseen(self, event: events.Key, typing: bool) -> bool:
        """Whether a held key would act on a screen that one before it opened: it was typed without seeing that. R acts
        on every screen, if not as text."""
        if self.screen is self.screen_stack[0] or event.key in ("f9", "escape") or (event.key == "R" and not typing):
            return False
        return typing or isinstance(self.screen, ModalScreen) or self._is_acting(event.key)

    async def _after_grace(self, event: events.Key, burst: Burst) -> None:
        match self.key_guard.resolve_deliberate(event.character or "", burst):
            case "take":
                if not self._refused_as_read_only(event.key):
                    await super().on_event(event)
            case "refuse":
                self.say(
                    "R came in a burst of keys, like a paste, and was ignored. To roll back, press R once, or F9.",
                    "alarm",
                )

    def _refused_as_read_only(self, name: str) -> bool:
        """Whether a read-only console disables this key because of what it does; it then shows why."""
        acting = self.read_only and self._is_acting(name)
        if acting:
            self.say("This console is read-only: only R acts. Open it without --read-only to change things.", "caution")
        return acting

    def _is_acting(self, name: str) -> bool:
        """Whether this key changes something here."""
        page = self.page
        if page is None or isinstance(self.screen, ModalScreen):
            return False
        bound = next(
            (b for b in (*page.bindings(), *self.BINDINGS) if isinstance(b, Binding) and name in b.key.split(",")), None
        )
        return bound is not None and bound.action.removeprefix("app.").partition("(")[0] in ACTING

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        past = self.page is not None and self.page.cursor is not None
        return not (action in ACTING and (self.read_only or past))
