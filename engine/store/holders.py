"""Which processes hold a store's lock open, even one whose file was removed. Asks the kernel, not the folder."""

from __future__ import annotations

import contextlib
import os

from engine.store.folder import Folder

WORDS = (b"engine.server.process", b"rollout")


def holders(folder: Folder) -> tuple[list[int], list[int]]:
    """(processes that hold the store's lock file open, even an unlinked one; processes of this product that cannot be
    inspected and may hold it). A colleague's console holds no lock."""
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
                if (lockers is None or int(name) in lockers) and is_ours(int(name)):
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
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read(4000)
    except OSError:
        return False
    return any(word in words for word in WORDS)
