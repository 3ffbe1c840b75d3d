"""When Python looks for cycles of objects that nothing uses. For a whole process; called where it starts."""

from __future__ import annotations

import gc

NEW_OBJECTS = 20_000  # between two searches; Python's own 700 are made by a few documents


def keep_loaded() -> None:
    """What is loaded stays until the process ends, and no later search goes through it. A full search
    through an engine takes tens of milliseconds, in which nothing else runs, not even a rollback."""
    gc.freeze()


def collect_seldom() -> None:
    """For a process that does little but read documents: these leave no cycles, and the searches cost 3 %."""
    keep_loaded()
    gc.set_threshold(NEW_OBJECTS)
