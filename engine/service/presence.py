"""Who has a console open."""

from __future__ import annotations

from typing import Literal

from engine.clock import Clock
from engine.measures import stored
from engine.measures.attendance import LOOK, Attendance
from engine.rollout.state import Actor
from engine.store.writer import Writer

PRESENT_S = 15.0


class Presence:
    def __init__(self, clock: Clock, writer: Writer) -> None:
        self._clock = clock
        self._writer = writer
        self._people: dict[str, tuple[Actor, str, float, float]] = {}  # console -> who, screen, since, last seen
        self._left: dict[str, float] = {}  # console -> when it left

    def seen(self, console: str, actor: Actor, screen: str, gone: bool) -> None:
        if gone:
            self._left[console] = self._clock.real()
            if self._people.pop(console, None) is not None:
                self._note_look(actor, "left")
            return
        if console in self._left:  # a report on its way while the console ended
            return
        if console not in self._people:
            self._note_look(actor, "came")
        since = self._people[console][2] if console in self._people else self._clock.now()
        self._people[console] = (actor, screen, since, self._clock.real())

    def _note_look(self, actor: Actor, what: Literal["came", "left"]) -> None:
        """Record who looked and when, for the timeline of an incident."""
        at, look = self._clock.now(), Attendance(actor.name, actor.terminal, what)
        self._writer.later(lambda conn: stored.keep(conn, at, LOOK, look))

    def now(self) -> list[tuple[Actor, str, float]]:
        limit = self._clock.real() - PRESENT_S
        self._people = {key: value for key, value in self._people.items() if value[3] >= limit}
        self._left = {key: at for key, at in self._left.items() if at >= limit}
        return [(actor, screen, since) for actor, screen, since, _ in self._people.values()]
