"""When a rehearsal was last passed on this machine by this user: evidence for the checklist item that asks for one."""

from __future__ import annotations

import contextlib
from pathlib import Path

import platformdirs

from engine.store.folder import Folder


def _file() -> Path:
    return Path(platformdirs.user_state_dir("rollout-console")) / "rehearsal-passed"


def record_passed(at: float) -> None:
    """A rehearsal counts as passed when an automatic rollback and one by hand were both proven in it."""
    with contextlib.suppress(OSError):
        _file().parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _file().write_text(f"{at}\n")


def last_passed(_: Folder) -> float | None:
    """Epoch seconds of the machine, or None."""
    try:
        return float(_file().read_text())
    except (OSError, ValueError):
        return None
