"""Where a user's engine keeps what it knows of a store outside that store: out of reach of whoever may write there."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

SHOWN = "~/.local/state/rollout"
MACHINE = Path("/etc/machine-id")  # homes are shared between machines, stores are not


def paths(store: Path) -> tuple[str, ...]:
    """The folder's own path first, then the path that leads to it."""
    return tuple(dict.fromkeys((os.path.realpath(store), os.path.abspath(store))))


def places(store: Path, what: str) -> tuple[Path, ...]:
    """The files about a store, one for each of its paths. RuntimeError for a user without a home."""
    machine = ""
    with contextlib.suppress(OSError):
        machine = MACHINE.read_text().strip()
    return tuple(place(path, what, machine) for path in paths(store))


def place(path: str, what: str, machine: str) -> Path:
    home = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    about = f"{machine}\n{path}" if machine else path
    name = hashlib.sha256(about.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    return home / "rollout" / what / f"{name}.json"


def write(path: Path, content: bytes, durable: bool) -> None:
    """Replace a file as a whole. OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, content)
        if durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(part, path)
    if durable:
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
