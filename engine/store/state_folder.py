"""Where a user's engine keeps what it knows of a store outside that store, so that people who may write to the
store cannot change it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pwd
import stat
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from engine import files

SHOWN = "~/.local/state/rollout"
SHARED = Path("/var/tmp")  # sticky: a folder there belongs to the user who made it
MACHINE = Path("/etc/machine-id")  # homes are shared between machines, stores are not


def paths(store: Path) -> tuple[str, ...]:
    """The folder's own path first, then the path that leads to it."""
    return tuple(dict.fromkeys((os.path.realpath(store), os.path.abspath(store))))


def places(store: Path, what: str) -> tuple[Path, ...]:
    """The files about a store, one for each of its paths. RuntimeError for a user without a home."""
    home = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    return tuple(home / "rollout" / what / _name(path) for path in paths(store))


def machine() -> str:
    """Names this machine without showing its id; "" where it has none, as in many containers."""
    name = _machine_id()
    return name and hashlib.sha256(f"rollout {name}".encode()).hexdigest()[:16]


def _machine_id() -> str:
    with contextlib.suppress(OSError):
        return MACHINE.read_text().strip()
    return ""


@cache  # a tick asks for it
def _name(path: str) -> str:
    machine = _machine_id()
    about = f"{machine}\n{path}" if machine else path
    return f"{hashlib.sha256(about.encode('utf-8', 'surrogateescape')).hexdigest()[:32]}.json"


def published_path(store: Path, what: str, uid: int) -> Path:
    """The file by which this user's engine shows another user's what it knows of a store that both may run."""
    own = places(store, what)[0]
    return SHARED / f"rollout-{uid}" / f"{what}-{own.name}"


def has_other_users(store: Path) -> bool:
    """Whether engines of several users may run on it."""
    status = os.stat(store)
    return bool(status.st_mode & stat.S_IWGRP) or status.st_uid != os.geteuid()


def publish(path: Path, content: bytes) -> None:
    """Best effort. Nothing is written into a folder that someone else made under this user's name."""
    with contextlib.suppress(OSError):
        with contextlib.suppress(FileExistsError):
            path.parent.mkdir()
            path.parent.chmod(0o755)  # whatever the umask
        if _is_of(path.parent, os.geteuid()):
            write(path, content, durable=True, mode=0o644)


def others(store: Path, what: str) -> Iterator[tuple[int, bytes]]:
    """(uid, content) of what other users' engines show of this store, and for root what its owner's remembers."""
    with contextlib.suppress(OSError, RuntimeError):
        owner = os.stat(store).st_uid
        files_of: list[tuple[int, Path]] = []
        for folder in SHARED.glob("rollout-*"):
            uid = folder.name.removeprefix("rollout-")
            if uid.isascii() and uid.isdigit() and int(uid) != os.geteuid() and _is_of(folder, int(uid)):
                files_of.append((int(uid), published_path(store, what, int(uid))))
        if os.geteuid() == 0 != owner:
            with contextlib.suppress(KeyError):
                home = Path(pwd.getpwuid(owner).pw_dir) / ".local" / "state" / "rollout"
                files_of.append((owner, home / what / places(store, what)[0].name))
        for uid_, path in files_of:
            with contextlib.suppress(OSError):
                kept = files.read(path, 10_000)
                if kept.owner == uid_:
                    yield uid_, kept.content


def _is_of(folder: Path, uid: int) -> bool:
    status = os.lstat(folder)
    return stat.S_ISDIR(status.st_mode) and status.st_uid == uid and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def write(path: Path, content: bytes, durable: bool, mode: int = 0o600) -> None:
    """Replace a file as a whole, and make its folder if there is none. OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    files.write_whole(path, content, mode, exact=True, durable=durable)
