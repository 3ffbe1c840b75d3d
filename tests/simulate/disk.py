"""The disk behind a seam: it can fill, lock, stall, and lose what was not synced when the power goes.

SQLite's files are real. What a power cut takes is the tail of the write-ahead log after the last synced commit, and
changes of the folder's entries that no `sync` made durable. A checkpoint syncs the log first, so after one nothing is
taken.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any, Literal, NamedTuple

from engine.store.writer import Writer

Mood = Literal["healthy", "full", "locked", "stalled"]
COMMIT_S = 0.002
STALL_STEP_S = 0.05


class _Mark(NamedTuple):
    """The store's files at a synced commit."""

    generation: bytes  # of the write-ahead log
    length: int
    database: tuple[int, int]  # size and time


class Disk:
    """One for the machine: every engine's writer asks it."""

    def __init__(self, database: Path) -> None:
        self.mood: Mood = "healthy"
        self.ballast = False  # the file that gives its room to one commit on a full disk
        self.unsynced: list[Callable[[], None]] = []  # undo a change of the folder that a power cut may take
        self._room = 0  # commits that still fit on the full disk
        self._database = database
        self._log = database.with_name(f"{database.name}-wal")
        self._mark: _Mark | None = None

    # -- what a connection meets ---------------------------------------------------------------------------------------

    def begins(self) -> None:
        if self.mood == "locked":
            raise sqlite3.OperationalError("database is locked")

    def commits(self) -> None:
        if self.mood == "full":
            if not self._room:
                raise sqlite3.OperationalError("database or disk is full")
            self._room -= 1

    def drop_ballast(self) -> bool:
        self._room += self.ballast
        dropped, self.ballast = self.ballast, False
        return dropped

    # -- power ---------------------------------------------------------------------------------------------------------

    def sync(self) -> None:
        """Everything written so far is durable."""
        self._mark = self._now()

    def _now(self) -> _Mark | None:
        try:
            with self._log.open("rb") as file:
                generation = file.read(24)[16:]
            status = self._database.stat()
            return _Mark(generation, self._log.stat().st_size, (status.st_size, status.st_mtime_ns))
        except OSError:
            return None

    def lose_power(self, random: Random) -> None:
        """Call it on what an engine's sudden end left."""
        mark, now = self._mark, self._now()
        if mark and now and (mark.generation, mark.database) == (now.generation, now.database):
            with self._log.open("r+b") as file:
                file.truncate(mark.length)
        for undo in reversed(self.unsynced[random.randint(0, len(self.unsynced)) :]):  # a file system keeps their order
            undo()
        self.unsynced.clear()
        self._mark = self._now()

    @contextlib.contextmanager
    def as_it_is(self) -> Iterator[None]:
        """Connections that close inside leave the files as a kill would: without the last one's checkpoint."""
        kept = []
        for path in (self._database, self._log):
            if path.exists():
                kept.append((path, path.with_name(f"{path.name}.kept")))
                shutil.copy2(*kept[-1])
        yield
        with contextlib.suppress(FileNotFoundError):
            self._log.unlink()
        with contextlib.suppress(FileNotFoundError):
            self._database.with_name(f"{self._database.name}-shm").unlink()
        for path, copy in kept:
            copy.replace(path)


class SimulatedWriter(Writer):
    """The engine's own writer, its steps driven by the loop instead of a thread."""

    disk: Disk

    def start(self) -> None:
        self._thread = _NoThread()  # type: ignore[assignment]
        super().start()
        self.disk.sync()  # opening the store has committed the engine's token
        self._wanted = asyncio.Event()
        self._pump = asyncio.get_running_loop().create_task(self._run_steps())
        self._fast = _Connection(self._fast, self.disk, False)  # type: ignore[assignment]
        self._durable = _Connection(self._durable, self.disk, True)  # type: ignore[assignment]
        self._wake = _Knock(self._wanted.set)  # type: ignore[assignment]

    async def _run_steps(self) -> None:
        while True:
            self._wanted.clear()
            left = self.due_in()
            if left is None and self._stopping:
                self._close()
                return
            if left == 0.0:
                await self._disk_answers()
                self.step()
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._wanted.wait()

    async def _disk_answers(self) -> None:
        self._began = time.monotonic()
        await asyncio.sleep(COMMIT_S)
        while self.disk.mood == "stalled":  # noqa: ASYNC110
            await asyncio.sleep(STALL_STEP_S)

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


class _Connection:
    """A connection whose transactions meet the disk."""

    def __init__(self, conn: sqlite3.Connection, disk: Disk, durable: bool) -> None:
        self._conn = conn
        self._disk = disk
        self._durable = durable

    def execute(self, sql: str, *more: Any) -> Any:
        if sql.startswith("BEGIN"):
            self._disk.begins()
        if sql != "COMMIT":
            return self._conn.execute(sql, *more)
        self._disk.commits()
        cursor = self._conn.execute(sql)
        if self._durable:
            self._disk.sync()
        return cursor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._conn, name)
