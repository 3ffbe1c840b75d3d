"""The file engine.log in the store's folder: what an engine that was started detached prints."""

from __future__ import annotations

import contextlib

from engine import files
from engine.store.folder import Folder

LOG_BYTES = 1 << 20  # a longer engine.log is rotated when the next engine starts, replacing the previous one


def rotate(folder: Folder) -> None:
    """Start a new engine.log when the old one is long."""
    with contextlib.suppress(OSError):  # none yet
        if folder.engine_log.lstat().st_size > LOG_BYTES:
            folder.engine_log.replace(folder.engine_log.with_suffix(".log.1"))


def last_words(folder: Folder) -> str:
    try:
        lines = files.tail(folder.engine_log).decode(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1] if lines else ""
