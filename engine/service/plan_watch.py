"""Watches whether the plan file is still the one the engine read."""

from __future__ import annotations

import hashlib
from pathlib import Path

from engine.plan.load import PlanError, load_plan
from engine.plan.model import Plan
from engine.text import counted


def changed_since(plan: Plan) -> str:
    """A sentence when the file has changed; "" while it is the same or does not exist. Reads and may parse: not for a
    loop."""
    source = Path(plan.source)
    try:
        if not plan.source or hashlib.sha256(source.read_bytes()).hexdigest() == plan.digest:
            return ""
    except FileNotFoundError:
        return f"{source.name} is gone; an engine cannot start again without it"
    except OSError as error:
        return f"{source.name} can no longer be read ({error.strerror})"
    since = f"{source.name} has changed since the engine read it"
    try:
        load_plan(source)
    except PlanError as error:
        return f"{since}, and has {counted(len(error.problems), 'mistake')}: rollout check"
    return f"{since}: rollout plan diff shows the difference, a restart loads it"


class PlanWatch:
    """Reads again only when the file's time, size or inode changed."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._seen: tuple[int, int, int] | None = None
        self.sentence = ""

    def check(self) -> None:
        try:
            status = Path(self._plan.source).stat()
            seen = (status.st_mtime_ns, status.st_size, status.st_ino)
        except OSError:
            seen = (0, 0, 0)
        if seen != self._seen:
            self._seen, self.sentence = seen, changed_since(self._plan)
