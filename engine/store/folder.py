"""The store's folder: the database, the lock, the armed file, the ballast, rollback intents and the engine's socket.

Each file serves one purpose that must work when the others fail: `armed` needs no Python and no free disk space, the
kernel releases the lock when its holder dies, an intent waits for an engine that is stopped.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import grp
import os
import shlex
import socket
import stat
from pathlib import Path

import msgspec

from engine import files
from engine.store import armed_origin, file_systems, intents, outside, ownership, sockets
from engine.store.intents import Intent

BALLAST_BYTES = 256 * 1024
OF_A_STORE = ("store.db", "lock", "armed", "engine.log")  # a folder with any of these has been a store


class StoreError(Exception):
    """The store cannot be used. The message is a sentence: what, where, and what to do."""


class Folder:
    """Paths and the small files. Nothing here opens the database."""

    def __init__(self, path: Path, group: str = "") -> None:
        self.path = Path(path)
        self.group = group
        self.database = self.path / "store.db"
        self.armed = self.path / "armed"
        self._prepared = self.path / "armed.forged"
        self._listening_at = (0, 0)  # identity of the socket this process created
        self.lock = self.path / "lock"
        self.socket = self.path / "engine.sock"
        self.ballast = self.path / "ballast"
        self.engine_log = self.path / "engine.log"
        self.workers = self.path / "workers"  # there while workers outside the engine may call the LLM

    @property
    def exists(self) -> bool:
        """Whether a database exists, as far as this user can see."""
        return os.path.exists(self.database)

    @property
    def missing(self) -> bool:
        """Whether the folder does not exist; one this user may not read is not missing."""
        try:
            os.stat(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError:
            return False
        return False

    def prepare(self) -> None:
        """Create the folder (0700, or 2770 for a group). StoreError when it cannot be used safely."""
        try:
            group = grp.getgrnam(self.group).gr_gid if self.group else -1
        except KeyError:
            raise StoreError(
                f"The store's group {self.group!r} does not exist on this machine. Set [store] group to one that does."
            ) from None
        try:
            ownership.make_folder(self.path)
            if self._is_someone_else_s():
                raise StoreError(
                    f"{self.path} holds other files and is not a store. Nothing was changed, because a store "
                    "makes its folder private. Point --store, or [store] path, at a new or empty folder."
                )
            self._permit(group)
            ownership.give_back(self.path)
            if why := self.why_no_access():
                raise StoreError(why)
        except OSError as error:
            raise StoreError(
                self.why_no_access()
                or f"The store folder {self.path} cannot be prepared: {error.strerror}. Check [store] path and "
                "its permissions."
            ) from None
        kind = file_systems.type_of(self.path)
        if kind in file_systems.OF_NETWORKS:
            raise StoreError(
                f"The store folder {self.path} is on a network file system ({kind}). SQLite's log needs shared "
                "memory, which network file systems do not provide, so a write could be lost. Set [store] path "
                "to a folder on a local disk."
            )

    def why_no_access(self) -> str:
        """Why this user cannot use the store, and how to fix it; "" when it can."""
        log = Path(f"{self.database}-wal")
        return ownership.why_no_access(
            self.path, self.database, log, self.lock, self.armed, self.ballast, self.engine_log
        )

    def _is_someone_else_s(self) -> bool:
        """Whether the folder has files but no store's: a home, /tmp or a repository, named by mistake."""
        names = set(os.listdir(self.path))
        return bool(names) and names.isdisjoint(OF_A_STORE)

    def _permit(self, group: int) -> None:
        """Set the folder's mode and group. Only the owner can; for a member of the group they are already set."""
        status = os.stat(self.path)
        mode = 0o2770 if self.group else 0o700
        if os.geteuid() in (0, status.st_uid):
            if self.group and status.st_gid != group:
                os.chown(self.path, -1, group)
            if stat.S_IMODE(status.st_mode) != mode:
                os.chmod(self.path, mode)
        elif not os.access(self.path, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    @property
    def file_mode(self) -> int:
        """0600, or 0660 in a folder shared with a group, regardless of who opens it."""
        return 0o660 if self.group or self._is_shared() else 0o600

    def _is_shared(self) -> bool:
        try:
            return bool(os.stat(self.path).st_mode & stat.S_IWGRP)
        except OSError:
            return False

    def create(self, path: Path, flags: int = 0) -> int:
        """Open one of the store's files for writing, with a mode independent of the umask; return the descriptor.
        Never follows a link: in a shared folder it could point at any file of the engine's user. NotAFile for a pipe
        or a folder."""
        descriptor = files.open_regular(path, os.O_RDWR | os.O_CREAT | flags, self.file_mode)
        if stat.S_IMODE(os.fstat(descriptor).st_mode) != self.file_mode:
            with contextlib.suppress(PermissionError):  # another member of the group created it
                os.fchmod(descriptor, self.file_mode)
        ownership.give(descriptor, self.path)
        return descriptor

    # -- the armed file ----------------------------------------------------------------------------------------------

    def is_armed(self) -> bool:
        """Whether the armed file exists: one stat (2 us). Without it no LLM call is made."""
        try:
            os.stat(self.armed)
        except OSError:
            return False
        return True

    def armed_stamp(self) -> tuple[int, int] | None:
        """Identifies this armed file, so a later one with the same name differs; None without one. One stat, like
        `is_armed`."""
        try:
            status = os.stat(self.armed)
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns

    def is_surely_out(self) -> bool:
        """Whether the armed file is provably absent; a folder this user may not read proves nothing."""
        try:
            os.stat(self.armed)
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return False

    def prepare_armed_file(self, note: str) -> None:
        """Write the armed file under a temporary name, before anything is decided. OSError when it cannot be
        written."""
        with os.fdopen(self.create(self._prepared, os.O_TRUNC), "w") as file:
            file.write(f"{note}\n{armed_origin.lines(file.fileno())}")
            file.flush()
            os.fsync(file.fileno())

    def arm(self) -> None:
        """Move the prepared file into place; needs no disk space. Until `sync` a power cut may undo it, which means 0
        %."""
        os.replace(self._prepared, self.armed)

    def disarm(self) -> bool:
        """Remove the armed file; True if it existed. Works on a full disk. OSError when the folder is not writable.

        Takes effect immediately. `sync` makes it survive a power cut and may wait for the disk, so call it last.
        """
        try:
            os.unlink(self.armed)
        except FileNotFoundError:
            return False
        except IsADirectoryError:  # put there by someone else; it permits nothing
            os.rmdir(self.armed)
        return True

    @property
    def armed_removal(self) -> str:
        """The command with which a person removes the armed file, or the folder in its place."""
        return f"rm {'-r ' if os.path.isdir(self.armed) else ''}{shlex.quote(str(self.armed))}"

    def sync(self) -> None:
        """Make the folder's entries durable."""
        with contextlib.suppress(OSError):
            files.sync_folder(self.path)

    # -- the ballast: room for one commit on a full disk -------------------------------------------------------------

    def lay_ballast(self) -> None:
        """Best effort: a full disk has no room for it, but a rollback still takes effect before it is recorded."""
        with contextlib.suppress(OSError):
            descriptor = self.create(self.ballast, os.O_APPEND)
            try:
                short = BALLAST_BYTES - os.fstat(descriptor).st_size
                if short > 0:
                    os.write(descriptor, os.urandom(short))  # incompressible, so that it really takes the space
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def drop_ballast(self) -> bool:
        try:
            os.unlink(self.ballast)
        except OSError:
            return False
        return True

    # -- intents -----------------------------------------------------------------------------------------------------

    def leave_intent(self, intent: Intent) -> Path:
        """Write a rollback for the engine to apply. On a full disk the ballast makes room; where that is not enough, or
        the disk takes no writes at all, it is kept outside the store. OSError when that fails too."""
        path = self.path / outside.name_of(intent.request_id)
        body = msgspec.json.encode(intent)
        try:
            self.write_whole(path, body)
        except OSError:
            self.drop_ballast()
            try:
                self.write_whole(path, body)
            except OSError as error:
                return outside.leave(self.path, intent.request_id, body, error)
        self.sync()
        return path

    def write_whole(self, path: Path, content: bytes) -> None:
        """Write one of the store's files atomically, with the store's mode and owner. OSError."""
        files.write_whole(
            path, content, self.file_mode, exact=True, made=lambda descriptor: ownership.give(descriptor, self.path)
        )

    def keeps_outside(self, request_id: str) -> bool:
        """Whether a rollback is kept outside the store, where engines of other users do not see it."""
        return any(path.name == outside.name_of(request_id) for path in outside.waiting(self.path))

    def remove_intent(self, request_id: str) -> None:
        """Remove a rollback that is recorded. OSError."""
        outside.remove(self.path, request_id)
        (self.path / outside.name_of(request_id)).unlink(missing_ok=True)

    def intents(self) -> list[tuple[Path, Intent]]:
        """Waiting rollbacks, oldest first."""
        waiting = [(path, intents.read(path)) for path in self._intent_paths()]
        return sorted(waiting, key=lambda pair: pair[1].at)

    def has_intents(self) -> bool:
        return bool(self._intent_paths())

    def _intent_paths(self) -> list[Path]:
        """Intents that are regular files. A pipe, a folder or a link could not be read or removed."""
        with os.scandir(self.path) as entries:
            inside = [e.name for e in entries if e.name.endswith(".intent") and e.is_file(follow_symlinks=False)]
        return [*(self.path / name for name in inside), *outside.waiting(self.path)]

    # -- the lock ----------------------------------------------------------------------------------------------------

    def try_lock(self) -> Lock | None:
        """Take the right to write the database; None when another process holds it. The kernel releases it at death."""
        descriptor = self.create(self.lock)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return None
        return Lock(descriptor)

    def is_locked(self) -> bool:
        """Whether an engine (or a console committing a rollback) holds the lock. The check needs no write access,
        creates no file, and never looks like a holder to another check."""
        try:
            descriptor = files.open_regular(self.lock, os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    # -- workers -----------------------------------------------------------------------------------------------------

    def has_workers(self) -> bool:
        """Whether workers may hold a lease of this store's engine, or of the one before it."""
        return os.path.lexists(self.workers)

    def mark_workers(self) -> None:
        """Note it durably, before the first lease. OSError."""
        descriptor = self.create(self.workers)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self.sync()

    def unmark_workers(self) -> None:
        with contextlib.suppress(OSError):
            self.workers.unlink(missing_ok=True)

    # -- the socket --------------------------------------------------------------------------------------------------

    def listen(self) -> socket.socket:
        """Listen on the unix socket; replaces that of a dead engine."""
        with contextlib.suppress(FileNotFoundError):
            self.socket.unlink()
        server = sockets.bind(self.socket, self.file_mode)
        ownership.give_back(self.path)
        self._listening_at = sockets.identity(self.socket)
        server.listen(64)
        return server

    def stop_listening(self) -> None:
        """Remove the socket unless another engine has replaced it."""
        with contextlib.suppress(OSError):
            if sockets.identity(self.socket) == self._listening_at:
                self.socket.unlink()

    def connect(self, timeout_s: float) -> socket.socket:
        """OSError when nothing listens or answers in time."""
        return sockets.connect(self.socket, timeout_s)


class Lock:
    """A held `flock`."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def release(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Lock:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def disarm_for_rollback(folder: Folder) -> str:
    """The first step of every rollback; return the outcome as a phrase."""
    try:
        return "armed file removed" if folder.disarm() else "armed file was not there"
    except OSError as error:
        return (
            f"the armed file could not be removed ({error.strerror}); as a user with permission: {folder.armed_removal}"
        )
