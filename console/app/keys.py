"""The app's keys: decides whether a key acts."""

from __future__ import annotations

import time
from collections import deque

from textual import events
from textual.binding import Binding
from textual.screen import ModalScreen

from console.app.people import PeopleActions
from console.terminal.type_ahead import ACTING, GRACE_S, report_dropped

APART_S = 0.06  # between held keys, at most
UNHEARD_S = 20.0


def next_burst(keys: deque[events.Key]) -> list[events.Key]:
    """Take the first key, and those within GRACE_S of the one before: they are judged together."""
    burst = [keys.popleft()]
    while keys and keys[0].time - burst[-1].time <= GRACE_S:
        burst.append(keys.popleft())
    return burst


class Keys(PeopleActions):
    """Type-ahead, pastes and read-only consoles; see `console.terminal.type_ahead`."""

    async def on_event(self, event: events.Event) -> None:
        if isinstance(event, events.Key) and not event.is_forwarded:
            if self._held is not None:  # typed under the first frame
                self._held.append(event)
                return
            if not self.key_guard.ready:
                self._unheard.append(event.key)
            typing = self._typing(event)
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

    @property
    def holds_keys(self) -> bool:
        """Whether keys wait for the first paint, or for those before them."""
        return self._held is not None

    def _typing(self, event: events.Key) -> bool:
        return self.focused is not None and self.focused.check_consume_key(event.key, event.character)

    async def _release(self) -> None:
        """Judge the held keys by the times at which they were typed, and let them act one after the other: the screen
        that a key opens must be there for the next one."""
        if not self._held:
            self._held = None
            self._report_unheard()
            if self.attempt is None and len(self.screen_stack) == 1:  # the question would hide what they opened
                self._ask_name()  # not before: R would be text of the question
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
            await self._after_grace(event)
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
