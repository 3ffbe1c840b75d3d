"""Detects when the store's files are swapped, removed or overwritten under a running engine.

An open database keeps working on an unlinked file; whatever is acknowledged then is lost when the process ends.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from engine.store.folder import Folder

Stamp = tuple[int, int] | None
WHAT = {
    "": "the store's folder {path} was replaced",
    "store.db": "the database {path} was replaced",
    "store.db-wal": "the database's log {path} was removed or replaced",
    "store.db-shm": "the database's index {path} was removed or replaced",
    "lock": "the lock {path} was removed or replaced, so a second engine could start",
}


class Replaced(Exception):
    """A file of the store is not the one this engine opened. The message is a sentence."""


class Files:
    """Create when the database is open. `check` is for the writer's thread, `differs` for the control loop."""

    def __init__(self, folder: Folder) -> None:
        self._paths = {name: os.path.join(folder.path, name) if name else str(folder.path) for name in WHAT}
        self._known = {name: self._stamp(name) for name in WHAT}
        self._written, self._ctime_known = self._content(), self._ctime()
        self._log_bytes = self._size_of_log()
        self.overwritten = ""
        self.touched = False  # the database file was changed in a way that its size and time of change do not show

    def differs(self) -> str:
        """Which file changed, as the start of a sentence; "" while none has."""
        return self.overwritten or self._moved(tuple(WHAT))

    def check(self) -> None:
        """Called before each write and before it is acknowledged. Raises Replaced when the files are not ours."""
        why = self.overwritten or self._moved(("", "store.db", "store.db-wal", "store.db-shm"))
        if why:
            raise Replaced(why)
        if self._size_of_log() < self._log_bytes:  # only this engine's own transactions shorten it
            self.overwritten = f"the database's log {self._paths['store.db-wal']} was cut by another program"
            raise Replaced(self.overwritten)

    def check_content(self) -> None:
        """Check that the files are ours, and that no other program wrote the database file since this engine's last
        transaction.

        A file's modification time can be set back. The kernel's own time of the last change (ctime) can't, but a
        backup program moves it too, so it only triggers a closer look (`touched`).
        """
        self.check()
        content, ctime = self._content(), self._ctime()
        self.touched = self.touched or ctime != self._ctime_known
        self._ctime_known = ctime
        if content != self._written:
            self.overwritten = f"the database {self._paths['store.db']} was overwritten by another program"
            raise Replaced(self.overwritten)

    def wrote(self) -> None:
        """This engine's own transaction has ended; it may have checkpointed its log into the database file."""
        self._written, self._ctime_known = self._content(), self._ctime()
        self._log_bytes = self._size_of_log()

    def set_aside(self) -> Path | None:
        """At shutdown, move our log away if the database beside it is another one; SQLite would replay it there. Its
        index goes too: a console that still has it open would keep the next engine from making its own."""
        log = Path(self._paths["store.db-wal"])
        if self._known["store.db-wal"] is None or self._stamp("store.db-wal") != self._known["store.db-wal"]:
            return None
        if not self.overwritten and self._stamp("store.db") in (self._known["store.db"], None):
            return None
        kept = log.with_name("store.db-wal.replaced")
        with contextlib.suppress(OSError):
            os.rename(log, kept)
            if self._stamp("store.db-shm") == self._known["store.db-shm"]:
                os.unlink(self._paths["store.db-shm"])
            return kept
        return None

    def _moved(self, names: tuple[str, ...]) -> str:
        for name in names:
            known = self._known[name]
            if known is not None and self._stamp(name) != known:
                return WHAT[name].format(path=self._paths[name])
        return ""

    def _stamp(self, name: str) -> Stamp:
        try:
            status = os.stat(self._paths[name], follow_symlinks=not name)
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _size_of_log(self) -> int:
        try:
            return os.stat(self._paths["store.db-wal"]).st_size
        except OSError:
            return 0

    def _content(self) -> Stamp:
        try:
            status = os.stat(self._paths["store.db"])
        except OSError:
            return None
        return status.st_size, status.st_mtime_ns

    def _ctime(self) -> int:
        try:
            return os.stat(self._paths["store.db"]).st_ctime_ns
        except OSError:
            return 0
