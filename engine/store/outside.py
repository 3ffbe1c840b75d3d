"""Rollbacks that a store cannot hold because its disk takes no writes, kept in the user's state folder until they are
recorded.

A disk that turned read-only keeps the armed file and the last percentage. Without this file, the engine that starts
after the repair would take both for what was decided.
"""

from __future__ import annotations

import contextlib
import errno
from pathlib import Path

from engine.store import state_folder

OF_THE_DISK = (errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def name_of(request_id: str) -> str:
    return f"rollback-{request_id}.intent"


def folder_of(store: Path) -> Path:
    """RuntimeError for a user without a home."""
    return state_folder.places(store, "rollbacks")[0].with_suffix("")


def leave(store: Path, request_id: str, content: bytes, refusal: OSError) -> Path:
    """Keep a rollback after the store's `refusal`. Raises that if it is not the disk's, or if this fails too."""
    if refusal.errno not in OF_THE_DISK:
        raise refusal
    try:
        path = folder_of(store) / name_of(request_id)
        state_folder.write(path, content, durable=True)
    except (OSError, RuntimeError):
        raise refusal from None
    return path


def waiting(store: Path) -> list[Path]:
    try:
        return [path for path in folder_of(store).iterdir() if path.suffix == ".intent" and not path.is_symlink()]
    except (OSError, RuntimeError):
        return []


def remove(store: Path, request_id: str) -> None:
    """OSError."""
    with contextlib.suppress(RuntimeError):
        (folder_of(store) / name_of(request_id)).unlink(missing_ok=True)
