"""Which processes hold a store's lock open, even one whose file was removed. Asks the kernel, not the folder."""

from __future__ import annotations

import contextlib
import os

from engine.store.folder import Folder

WORDS = (b"engine.server.process", b"rollout")


def holders(folder: Folder) -> tuple[list[int], list[int]]:
    """(processes that hold the store's lock file open, even an unlinked one; processes of this product that cannot be
    inspected)."""
    lock = os.path.realpath(folder.lock)
    wanted = {lock, f"{lock} (deleted)"}
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
                if is_ours(int(name)):
                    hidden.append(int(name))
            except OSError:
                continue
    return held, hidden


def is_ours(pid: int) -> bool:
    """Whether a process belongs to this product, by its command line."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read(4000)
    except OSError:
        return False
    return any(word in words for word in WORDS)
