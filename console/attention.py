"""Alerts the user by window title, bell and desktop notification, only for news and not too often."""

from __future__ import annotations

import time
from collections.abc import Callable

from console.link import EngineSnapshot
from console.terminal import escape
from console.widgets import words
from engine.view.model import View

QUIET_S = 20.0  # minimum time between two notifications


class Attention:
    """`write` takes sequences to the terminal; `now` is monotonic seconds."""

    def __init__(self, write: Callable[[str], None], now: Callable[[], float] = time.monotonic) -> None:
        self._write = write
        self._now = now
        self._title = ""
        self._announced = ""  # the last announced state, "" while all is well
        self._rang = float("-inf")
        self._due: set[tuple[str, float]] = set()  # announced monitoring

    def notice(self, snapshot: EngineSnapshot) -> None:
        """Set the title if it changed; ring for new serious trouble. Within the quiet time, ring later if the trouble
        lasts."""
        v = snapshot.view
        if v is None:
            return
        title = words.title(v) if snapshot.fresh else f"✖ {snapshot.liveness.state} · {v.stage_name}"
        if title != self._title:
            self._title = title
            self._write(escape.title(title))
        state, sentence = _is_serious(snapshot, v)
        if state and state != self._announced:
            if self._now() - self._rang < QUIET_S:
                return
            self._rang = self._now()
            self._write(escape.notification(f"{v.environment}: {sentence}"))
        self._announced = state
        due = {(r.id, r.due): r.text for r in v.reminders if r.overdue}
        new = [text for which, text in due.items() if which not in self._due]
        self._due = set(due)
        if new and snapshot.fresh:
            self._write(escape.notification(f"{v.environment}: due: {new[0]}"))


def _is_serious(snapshot: EngineSnapshot, v: View) -> tuple[str, str]:
    """(an id of the serious trouble, stable while it lasts; its sentence), or ("", "")."""
    if snapshot.liveness.state in ("frozen", "dead"):
        return snapshot.liveness.state, snapshot.liveness.sentence
    critical = any(t.verdict == "breach" and t.severity == "critical" for t in v.triggers)
    if v.rolled_back and v.health != "rolled_back":  # what else is wrong comes before it, as 503 for documents
        return f"rolled_back {v.epoch}", f"rolled back to 0 %. {v.health_sentence}"
    if v.health == "rolled_back" or (v.health == "alert" and critical):
        return f"{v.health} {v.epoch}", v.health_sentence
    return "", ""
