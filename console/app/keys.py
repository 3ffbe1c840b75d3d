"""The part that decides whether a key acts."""

from __future__ import annotations

from textual import events
from textual.binding import Binding
from textual.screen import ModalScreen

from console.app.together import Together
from console.terminal.type_ahead import ACTING, GRACE_S


class Keys(Together):
    """Type-ahead, pastes and read-only consoles; see `console.terminal.type_ahead`."""

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
        """Whether a read-only console disables this key because of what it does; it then shows why."""
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
