"""Which processes hold a store's lock open, even one whose file was removed. Asks the kernel, not the folder."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path

from engine.store.folder import Folder

WORDS = (b"engine.server.process", b"rollout")
ROOT = 0
ACCESS_LIST = "system.posix_acl_access"


def holders(folder: Folder) -> tuple[list[int], list[int]]:
    """(processes that hold the store's lock file open, even an unlinked one; processes of this product that cannot be
    inspected and may hold it). A colleague's console holds no lock; a colleague's engine on a store of his own holds
    another."""
    lock = os.path.realpath(folder.lock)
    wanted = {lock, f"{lock} (deleted)"}
    lockers = _lockers()
    held: list[int] = []
    hidden: list[int] = []
    with contextlib.suppress(OSError):
        for name in os.listdir("/proc"):
            if not name.isdigit() or int(name) == os.getpid():
                continue
            try:
                for entry in os.scandir(f"/proc/{name}/fd"):
                    with contextlib.suppress(OSError):
                        if os.readlink(entry.path) in wanted:
                            held.append(int(name))
                            break
            except PermissionError:
                if (lockers is None or int(name) in lockers) and _may_hold(int(name), folder):
                    hidden.append(int(name))
            except OSError:
                continue
    return held, hidden


def _lockers() -> frozenset[int] | None:
    """Every process that holds a lock on a whole file; None when the kernel does not list them."""
    try:
        with open("/proc/locks") as file:
            rows = [line.split() for line in file]
        return frozenset(int(row[4]) for row in rows if row[1] == "FLOCK")
    except (OSError, ValueError, IndexError):
        return None


def is_ours(pid: int) -> bool:
    """Whether a process belongs to this product, by its command line."""
    return any(word in argument for word in WORDS for argument in _arguments(pid))


def numbers(pid: int) -> tuple[int, ...]:
    """A process's number here, then the ones in its own namespaces: a container's engine records the last."""
    return _status(pid, "NSpid") or (pid,)


def locks_a_file(pid: int) -> bool:
    """Whether a process holds a lock on a whole file, which the kernel shows even where it hides all else of other
    users' processes (hidepid)."""
    return pid in (_lockers() or ())


def _may_hold(pid: int, folder: Folder) -> bool:
    """Whether a process that cannot be inspected may be the engine of this store: one of this product, whose user can
    write here, and which was not started for another store."""
    return is_ours(pid) and _can_write(pid, folder) and not _has_other_store(pid, folder)


def _can_write(pid: int, folder: Folder) -> bool:
    """Whether its user can make or open the store's files; an access list may permit anyone."""
    place = next(path for path in (folder.path, *folder.path.absolute().parents) if os.path.lexists(path))
    users, groups = _status(pid, "Uid"), _status(pid, "Gid") + _status(pid, "Groups")
    if not users or ROOT in users:
        return True
    try:
        status = os.stat(place)
        owners = {status.st_uid, *(os.stat(file).st_uid for file in (folder.database, folder.lock) if file.exists())}
    except OSError:
        return True
    by_group = bool(status.st_mode & stat.S_IWGRP) and status.st_gid in groups
    by_all = bool(status.st_mode & stat.S_IWOTH) or _has_access_list(place)
    return by_group or by_all or not owners.isdisjoint(users)


def _has_access_list(path: Path) -> bool:
    try:
        return ACCESS_LIST in os.listxattr(path)
    except OSError as error:
        return error.errno != errno.ENOTSUP


def _has_other_store(pid: int, folder: Folder) -> bool:
    """Whether its command line names another store. In a container the same name may mean another folder."""
    arguments = _arguments(pid)
    if b"--store" not in arguments[:-1] or len(numbers(pid)) > 1:
        return False
    named = Path(os.fsdecode(arguments[arguments.index(b"--store") + 1]))
    return named.is_absolute() and os.path.realpath(named) != os.path.realpath(folder.path)


def _arguments(pid: int) -> list[bytes]:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read(4000).split(b"\0")
    except OSError:
        return []


def _status(pid: int, field: str) -> tuple[int, ...]:
    """The numbers of one line of a process's status; none if it cannot be read."""
    try:
        with open(f"/proc/{pid}/status") as file:
            line = next(line for line in file if line.startswith(f"{field}:"))
    except (OSError, StopIteration):
        return ()
    return tuple(map(int, line.split()[1:]))
