"""What a restore would serve again, counted beside the loop: with millions of documents a count takes a tenth of a
second, which would delay calls, probes and a rollback."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine
from contextlib import closing
from typing import Any

from msgspec import Struct

from engine.clock import Clock
from engine.rollout.state import State
from engine.store import database, restores
from engine.store.folder import Folder
from engine.store.restores import Affected

AT_ONCE_S = 0.005  # a count that took at most this long is made again in the loop
REST = 50  # counting takes at most this fraction of the time


class Restorable(Struct, frozen=True):
    """Documents that serve LLM keywords: all, those from before the last change, and the last restore (id,
    documents)."""

    every: Affected
    before_change: int
    last: tuple[int, int] | None


class RestorableCount:
    """`background` runs a coroutine as a task whose failure is reported."""

    def __init__(self, folder: Folder, clock: Clock, background: Callable[[Coroutine[Any, Any, None]], object]) -> None:
        self._folder = folder
        self._clock = clock
        self._background = background
        self._kept: Restorable | None = None
        self._rev = -1  # of the state it was counted for
        self._took = 0.0
        self._due = 0.0
        self._counting = False

    def get(self, conn: sqlite3.Connection, state: State) -> Restorable:
        """The last count. A large store is counted again in a thread, for the next caller."""
        now = self._clock.real()
        kept = self._kept
        if kept is None or (self._is_old(state, now) and self._took <= AT_ONCE_S):
            return self._keep(count(conn, state), state, now)
        if self._is_old(state, now) and not self._counting:
            self._counting = True
            self._background(self._count_again(state))
        return kept

    def _is_old(self, state: State, now: float) -> bool:
        return self._rev != state.rev or now >= self._due

    async def _count_again(self, state: State) -> None:
        began = self._clock.real()
        try:
            self._keep(await asyncio.to_thread(self._read, state), state, began)
        finally:
            self._counting = False

    def _read(self, state: State) -> Restorable:
        with closing(database.open_reader(self._folder)) as conn:
            return count(conn, state)

    def _keep(self, counted: Restorable, state: State, began: float) -> Restorable:
        now = self._clock.real()
        self._kept, self._rev, self._took = counted, state.rev, now - began
        self._due = now + REST * self._took
        return counted


def count(conn: sqlite3.Connection, state: State) -> Restorable:
    return Restorable(
        restores.affected(conn), restores.affected(conn, until=state.changed_at).documents, restores.last_restore(conn)
    )
