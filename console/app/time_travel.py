"""The app's time travel: moves the screens through time."""

from __future__ import annotations

from functools import partial

from textual.screen import ModalScreen

from console.app.commands import CommandActions
from console.daemon_call import in_background
from console.screens.ask import QuestionDialog, TextField
from console.widgets.timegrid import ZOOMS
from engine.plan.durations import parse_when


class TimeTravel(CommandActions):
    """One cursor for all screens; esc or the end of time is now."""

    def action_travel(self, by: int) -> None:
        v = self.live.view
        page = self.page
        if v is None or page is None:
            return
        self._travel_to((self.travel.at if self.travel.at is not None else v.at) + by * page.step_s)

    def action_travel_on(self, by: int) -> None:
        """An arrow key, which must not leave the present when it is pressed by mistake."""
        if self.travel.at is not None:
            self.action_travel(by)

    def action_moment(self) -> None:
        """Ask for a moment and go there."""
        facts = ["Examples: 02:13, 4h ago, 2026-11-02 02:13. Times are UTC."]
        if not isinstance(self.screen, ModalScreen):
            self.push_screen(
                QuestionDialog("Which moment?", facts, "go there", "cancel", TextField("time", least=1)), self._go
            )

    def _go(self, typed: str | None) -> None:
        v = self.live.view
        if typed is None or v is None:
            return
        try:
            self._travel_to(parse_when(typed, v.at))
        except ValueError as error:
            self.say(f"{error}.", "caution")

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
        """Read the last moment asked for; moments that a held key passed over are not read."""
        travel = self.travel
        travel.busy = True
        try:
            while travel.at is not None and travel.read_at != travel.at:
                at = travel.at
                snapshot = await in_background(partial(travel.read, at))
                if travel.at is not None:
                    travel.snapshot, travel.read_at = snapshot, at
                self._page_refreshed()
        finally:
            travel.busy = False
        await self._read_history()
        self._page_refreshed()

    def action_event(self, direction: int) -> None:
        v = self.live.view
        at = self.travel.at
        if at is None and v is not None:
            at = v.at
        if at is not None:
            self.run_worker(self._to_event(at, direction), exit_on_error=False, group="event")

    async def _to_event(self, at: float, direction: int) -> None:
        moment = await in_background(lambda: self.travel.event(at, direction))
        if moment is not None:
            self._travel_to(moment)
        elif direction > 0:
            self.action_now()
        else:
            self.say("No earlier event in the store.", "caution")

    def action_zoom(self, by: int) -> None:
        self.series_cache.zoom = max(0, min(len(ZOOMS) - 1, self.series_cache.zoom + by))
        self._read_soon()
        self._page_refreshed()
