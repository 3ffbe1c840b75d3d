"""The head of the log as this user's engine wrote it last, kept in the user's state folder: out of reach of whoever may
write only the store. A log that was cut or replaced while no engine ran can be a valid chain; it lacks this decision.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
from pathlib import Path

import msgspec

UNREMEMBERED = 10  # epochs that may have passed since the last tick that remembered one
ERRORS = (OSError, RuntimeError, msgspec.MsgspecError)  # RuntimeError: a user without a home


class RememberedHead(msgspec.Struct, frozen=True):
    store: str
    rev: int
    hash: str
    epoch: int = 0  # memories of older versions have none


class Lack(msgspec.Struct, frozen=True):
    """The log lacks the remembered head: `why` as a clause. `epochs_used`: no higher epoch was in use."""

    why: str
    epochs_used: int


def keep(store: Path, rev: int, digest: str, epoch: int) -> None:
    """Best effort: where the folder cannot be written, only this memory is lost."""
    with contextlib.suppress(*ERRORS):
        path = _place(store)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, msgspec.json.encode(RememberedHead(str(store.resolve()), rev, digest, epoch)))
        finally:
            os.close(descriptor)
        os.replace(part, path)


def lacks(conn: sqlite3.Connection, store: Path) -> Lack | None:
    """What is wrong with a log that does not contain the remembered head; None if it does, or none is known."""
    try:
        known = msgspec.json.decode(_place(store).read_bytes()[:10_000], type=RememberedHead)
    except ERRORS:
        return None
    if known.store != str(store.resolve()):
        return None
    row = conn.execute("SELECT hash FROM decision WHERE rev = ?", (known.rev,)).fetchone()
    if row is not None and row[0] == known.hash:
        return None
    why = (
        f"the log was cut or replaced while no engine ran: it does not contain decision {known.rev} "
        f"({known.hash[:12]}), the last that this user's engine recorded"
    )
    return Lack(why, known.epoch + UNREMEMBERED)


def _place(store: Path) -> Path:
    home = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    name = hashlib.sha256(str(store.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:32]
    return home / "rollout" / "heads" / f"{name}.json"
