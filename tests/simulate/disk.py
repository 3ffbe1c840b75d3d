"""The store behind a seam that can fill, lock and stall, and an engine's files that end with it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from engine.store.folder import Folder, Intent
from engine.store.writer import Writer

Mood = Literal["healthy", "full", "locked"]
COMMIT_S = 0.002


class Disk:
    """One for the machine: every engine's writer asks it."""

    mood: Mood = "healthy"

    def refuses(self) -> sqlite3.OperationalError | None:
        if self.mood == "full":
            return sqlite3.OperationalError("database or disk is full")
        return sqlite3.OperationalError("database is locked") if self.mood == "locked" else None


class SimulatedWriter(Writer):
    """The engine's own writer, its steps driven by the loop instead of a thread."""

    disk: Disk

    def start(self) -> None:
        super_start = self._thread
        self._thread = _NoThread()  # type: ignore[assignment]
        super().start()
        del super_start
        self._wanted = asyncio.Event()
        self._pump = asyncio.get_running_loop().create_task(self._run_steps())
        self._dead = False
        self._fast = _Failing(self._fast, self.disk)  # type: ignore[assignment]
        self._durable = _Failing(self._durable, self.disk)  # type: ignore[assignment]
        self._wake = _Knock(self._wanted.set)  # type: ignore[assignment]

    async def _run_steps(self) -> None:
        while True:
            self._wanted.clear()
            left = self.due_in()
            if left is None and self._stopping:
                self._close()
                return
            if left == 0.0:
                await asyncio.sleep(COMMIT_S)
                self.step()
                continue
            try:
                async with asyncio.timeout(left):
                    await self._wanted.wait()
            except TimeoutError:
                continue

    def stop(self, timeout_s: float = 10.0) -> None:
        """Write what waits; the loop that would is the one that calls."""
        self._stopping = True
        while self.due_in() == 0.0:
            self.step()
        self._pump.cancel()
        self._close()

    def crash(self) -> None:
        """As kill -9 does: no commit, no clean-up."""
        for conn in (self._fast, self._durable):
            conn.close()


class _NoThread:
    def start(self) -> None: ...

    def join(self, timeout: float | None = None) -> None: ...


class _Knock:
    """In place of the condition that wakes the thread."""

    def __init__(self, knock: Callable[[], None]) -> None:
        self.notify = knock

    def __enter__(self) -> _Knock:
        return self

    def __exit__(self, *_: object) -> None: ...


class _Failing:
    """A connection whose writes meet the disk's mood."""

    def __init__(self, conn: sqlite3.Connection, disk: Disk) -> None:
        self._conn = conn
        self._disk = disk

    def execute(self, sql: str, *more: Any) -> Any:
        if sql.startswith("BEGIN") and self._disk.mood == "locked":
            raise sqlite3.OperationalError("database is locked")
        if sql == "COMMIT" and self._disk.mood == "full":
            raise sqlite3.OperationalError("database or disk is full")
        return self._conn.execute(sql, *more)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._conn, name)


class EngineFolder(Folder):
    """The folder as one engine sees it: after the engine's death nothing of it reaches the disk."""

    dead = False

    def _alive(self) -> None:
        if self.dead:
            raise OSError("the process is dead")

    def prepare_armed_file(self, note: str) -> None:
        self._alive()
        super().prepare_armed_file(note)

    def arm(self) -> None:
        self._alive()
        super().arm()

    def disarm(self) -> bool:
        self._alive()
        return super().disarm()

    def leave_intent(self, intent: Intent) -> Path:
        self._alive()
        return super().leave_intent(intent)

    def lay_ballast(self) -> None:
        """Not on a simulated disk: 256 KB a start are most of a rollout's time."""
