"""The app's rollback: rolls back, proves and undoes it, and shows what happened."""

from __future__ import annotations

import contextlib
import time

from textual.screen import ModalScreen

# at once: R must not wait for them, nor fail because an upgrade has moved the program
import engine.client.connection
import engine.rollout.control  # noqa: F401
from console.app.time_travel import TimeTravel
from console.link import EngineSnapshot
from console.rollback_attempt import RollbackAttempt
from console.screens.dashboard import Dashboard
from console.screens.rollback import Rollback
from engine.rollout.state import DOWN
from engine.text import clean_line
from engine.view.model import DecisionView

ROLLED_S = 20.0  # how long someone else's rollback is shown
AT_WORK_S = 10.0  # since the last key


class RollbackActions(TimeTravel):
    """R from anywhere; see `console.rollback_attempt` for what the key does."""

    _newest_rollback: int | None = None  # of the log; None before the first snapshot

    def action_roll_back(self) -> None:
        """Start the thread that removes the armed file, then show the screen. Nothing may delay this."""
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
        """Post the result to the loop. Unlike call_from_thread, this does not wait for a screen that may be busy or
        gone."""
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
        elif v is not None and v.rollback is not None and v.rolled_back and (v.locked or v.held):
            self.say(
                f"Too late to undo: {v.locked or f'held by {v.held}'}. "
                "Use the gate (2) to go back up; e resumes there.",
                "caution",
            )
        else:
            self.say(
                "Nothing to undo: a manual rollback can be undone for 60 s, a restore until the next one. "
                "Use the gate (2) to go back up.",
                "caution",
            )

    def action_proof(self) -> None:
        if not isinstance(self.screen, ModalScreen | Rollback):
            self.push_screen(Rollback())

    def action_incident(self) -> None:
        self._open_incident(asked=True)

    def _open_incident(self, asked: bool) -> None:
        from console.screens.incident import IncidentPage

        if not isinstance(self.screen, ModalScreen | IncidentPage):
            self.action_now()
            page = IncidentPage()
            page.asked = asked
            self.push_screen(page)

    def _see(self, snapshot: EngineSnapshot) -> None:
        if self.attempt is not None and self.attempt.overtaken(snapshot):
            self.attempt = None  # before the screens are painted
        super()._see(snapshot)
        self._show_incident()

    def _show_incident(self) -> None:
        """A rollback that this console did not make opens its timeline, once. Anyone at work on another screen, in a
        text or question, or in the past, keeps their screen and its keys, and reads what happened."""
        new = self._new_rollback()
        if new is None or self.attempt is not None:
            return
        if self._occupied():
            self.say(f"{new.sentence.rstrip('. ')}. i shows the incident.", "alarm", ROLLED_S)
        else:
            self._open_incident(asked=False)
            self.key_guard.typed_blind_from(time.monotonic(), text=False)

    def _new_rollback(self) -> DecisionView | None:
        """The last decision that lowered the percentage, the first time that a snapshot has it. None of those from
        before the first snapshot."""
        v = self.live.view
        if v is None:
            return None
        lowered = [d for d in v.log if d.kind in DOWN and d.percent_to < d.percent_from]
        last = max(lowered, key=lambda d: d.rev, default=None)
        known, self._newest_rollback = self._newest_rollback, last.rev if last is not None else 0
        return last if last is not None and known is not None and last.rev > known else None

    def _occupied(self) -> bool:
        """Whether a screen that opens now would take keys that are meant for the one it covers."""
        if self.focused is not None or isinstance(self.screen, ModalScreen | Rollback) or self.travel.at is not None:
            return True
        return not isinstance(self.screen, Dashboard) and time.monotonic() - self.key_at < AT_WORK_S
