"""The cursor through time: which moment the screens show, how far a step goes, and what was read of it."""

from __future__ import annotations

import sqlite3

from console.link import EngineSnapshot, Link
from console.liveness import Liveness
from engine.plan.durations import iso
from engine.plan.model import Plan
from engine.store.folder import StoreError
from engine.view.model import View

STEPS = 60  # of a window


class Travel:
    """`at` is None while the screens show now. `read` is called in a thread; all else in the screen's loop."""

    def __init__(self, link: Link, plan: Plan) -> None:
        self._link = link
        self._plan = plan
        self.at: float | None = None
        self.read_at: float | None = None
        self.snapshot = EngineSnapshot(None, Liveness("well"), 0.0)
        self.busy = False

    def move(self, to: float, now: float) -> None:
        """Move to a moment; to now if it is `now` or later."""
        if to >= now:
            self.leave()
        else:
            if self.at is None:
                self.snapshot = EngineSnapshot(None, Liveness("well", f"Reading {iso(to)} …"), now)
            self.at = to

    @property
    def shown_at(self) -> float | None:
        """The moment on the screens: what the store has is up to a minute older than the moment asked for."""
        view = self.snapshot.view
        return view.at if view is not None and self.read_at == self.at is not None else self.at

    def leave(self) -> None:
        self.at = self.read_at = None

    def read(self, at: float) -> EngineSnapshot:
        """The screens as of then; a snapshot without a view gives the reason."""
        from engine.history.decided import NothingKept  # not for the first paint

        try:
            view = self._link.reader.read(lambda conn: self._view(conn, at))
        except (NothingKept, StoreError) as error:
            return EngineSnapshot(None, Liveness("well", str(error)), at)
        return EngineSnapshot(view, Liveness("well"), at)

    def _view(self, conn: sqlite3.Connection, at: float) -> View:
        from engine.history.past import view_at

        return view_at(conn, self._plan, at)

    def event(self, at: float, direction: int) -> float | None:
        """The moment of the event before or after; None where there is none or the store cannot be read."""
        from engine.history.events import events_around

        try:
            before, after = self._link.reader.read(lambda conn: events_around(conn, at))
        except StoreError:
            return None
        return before if direction < 0 else after
