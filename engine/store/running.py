"""Finds the process that runs the engine of a store, even after its folder was moved."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import msgspec

from engine import files
from engine.decoding import decode
from engine.store import state_folder

BOOT = Path("/proc/sys/kernel/random/boot_id")
ERRORS = (OSError, RuntimeError, ValueError, IndexError, msgspec.MsgspecError)  # RuntimeError: a user without a home


class Running(msgspec.Struct, frozen=True):
    """`began`: boot and clock tick of the process's start, so that a later process with this number is not taken for
    it."""

    store: str
    pid: int
    began: str


def note(store: Path) -> None:
    """This process runs the store's engine. Best effort: without it, a moved folder is harder to find."""
    with contextlib.suppress(*ERRORS):
        running = Running(os.path.realpath(store), os.getpid(), _began(os.getpid()))
        for path in state_folder.places(store, "running"):
            state_folder.write(path, msgspec.json.encode(running), durable=False)


def process_of(store: Path) -> int:
    """The live process that this user started for the store at this path; 0 when there is none."""
    with contextlib.suppress(*ERRORS):
        for path in state_folder.places(store, "running"):
            with contextlib.suppress(*ERRORS):
                known = decode(files.read(path, 10_000).content, Running)
                if known.began == _began(known.pid):
                    return known.pid
    return 0


def moved_to(store: Path, pid: int) -> Path | None:
    """Where the folder that this process holds is now; None if it is still at the store's path."""
    here = _identity(store)
    with contextlib.suppress(OSError):
        for entry in os.scandir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                held = Path(os.readlink(entry.path))
                if held.name == "lock" and (there := _identity(held.parent)) is not None and there != here:
                    return held.parent
    return None


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(folder)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def stat(pid: int) -> tuple[str, int]:
    """The kernel's letter for a process's state, and the clock tick of its start. OSError, ValueError or IndexError if
    there is no such process, or it cannot be read."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return fields[0], int(fields[19])


def _began(pid: int) -> str:
    """When a process began. Raises what `stat` does; a zombie does not count."""
    state, tick = stat(pid)
    if state in "ZX":
        raise ProcessLookupError(pid)
    return f"{BOOT.read_text().strip()} {tick}"
