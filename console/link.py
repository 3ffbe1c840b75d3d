"""The console's line to a store and its engine: what it reads, what it sends, and whether anyone at the other end is alive.

Liveness is judged here, never by the engine: a frozen engine would say that it is well.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

from msgspec import Struct

from engine.client import EngineClient, Reply, RollbackResult
from engine.plan.durations import format_duration
from engine.plan.model import Plan
from engine.store.documents import Document
from engine.store.folder import Folder, StoreError
from engine.store.reader import Glance, Reader
from engine.view import DecisionView, View

T = TypeVar("T")

LATE_S = 1.6  # the engine beats about once a second
SILENT_S = 5.0


class Pulse(Struct, frozen=True):
    """Whether the engine lives, as seen from here. `sentence` is empty while all is well."""

    state: Literal["well", "late", "frozen", "dead", "starting", "gone"]
    sentence: str = ""
    age_s: float = 0.0


class Sight(Struct, frozen=True):
    """All that a screen paints from. `view` may be the last one that could be read."""

    view: View | None
    pulse: Pulse
    at: float  # when it was read, real epoch seconds

    @property
    def fresh(self) -> bool:
        return self.pulse.state in ("well", "late")


class Link(Protocol):
    """What the console needs from below; a store on disk in the product, samples in tests."""

    @property
    def folder(self) -> Folder: ...
    @property
    def who(self) -> str: ...
    def look(self) -> Sight: ...
    def log(
        self, limit: int = 100, before: int | None = None, text: str = "", kind: str = ""
    ) -> list[DecisionView]: ...
    def evidence(self, rev: int) -> dict[str, Any]: ...
    def series(
        self, metric: str, window_s: float, points: int, end: float, arm: str = "treatment"
    ) -> list[tuple[float, float | None]]: ...
    def documents(self, text: str = "", limit: int = 50, method: str | None = None) -> list[Document]: ...
    def document(self, document_id: str) -> Document | None: ...
    def read(self, query: Callable[[sqlite3.Connection], T]) -> T: ...
    def command(self, kind: str, /, **fields: Any) -> Reply: ...
    def rollback(self, reason: str = "", seen: str = "") -> RollbackResult: ...
    def out_of_reach(self) -> bool: ...


Process = Literal["runs", "stopped", "ended"]


def judge(
    heartbeat: float, pid: int, started: bool, now: float, lease_s: float, process: Process, rehearsal: bool = False
) -> Pulse:
    """The pulse from the last heartbeat (epoch seconds of the machine) and the process's state. Pure."""
    age = max(0.0, now - heartbeat)
    if not started:
        return Pulse("starting", "The engine has started and shows its first figures in a moment.", age)
    if process == "ended":
        left = lease_s - age
        stops = (
            f"its lease runs out in {format_duration(left)}"
            if left > 0
            else "its lease has run out: every router is at 0 %"
        )
        again = "q ends this one, `rollout rehearse` begins another." if rehearsal else "Start it with `rollout`."
        return Pulse(
            "dead", f"No engine: process {pid} ended, last heartbeat {format_duration(age)} ago; {stops}. {again}", age
        )
    if age > SILENT_S or process == "stopped":
        left = lease_s - age
        stops = (
            f"LLM calls stop by themselves in {format_duration(left)}"
            if left > 0
            else "its lease has run out: every router is at 0 %"
        )
        return Pulse(
            "frozen",
            f"Engine silent for {format_duration(age)} (process {pid} is {'stopped' if process == 'stopped' else 'frozen or busy'}); {stops}. R works all the same.",
            age,
        )
    if age > LATE_S:
        return Pulse("late", f"no heartbeat for {format_duration(age)}", age)
    return Pulse("well", "", age)


class StoreLink:
    """A store folder on this machine."""

    def __init__(self, folder: Path | Folder, plan: Plan) -> None:
        self.folder = folder if isinstance(folder, Folder) else Folder(folder, plan.store.group)
        self.plan = plan
        self.reader = Reader(self.folder)
        self.client = EngineClient(self.folder, plan)
        self._last: View | None = None

    @property
    def who(self) -> str:
        return self.client.actor.name

    def look(self) -> Sight:
        """One glance at the store, at most 0.2 s when it is locked. Never raises."""
        now = time.time()
        try:
            glance = self.reader.glance()
        except StoreError as error:
            return Sight(self._last, Pulse("gone", f"{error} What you see is the last that could be read."), now)
        self._last = glance.view or self._last
        return Sight(self._last, self._judge(glance, now), now)

    def _judge(self, glance: Glance, now: float) -> Pulse:
        return judge(
            glance.heartbeat,
            glance.pid,
            glance.view is not None,
            now,
            self.plan.trigger_settings.lease_s,
            process(glance.pid),
            glance.view is not None and glance.view.rehearsal,
        )

    def log(self, limit: int = 100, before: int | None = None, text: str = "", kind: str = "") -> list[DecisionView]:
        return self.reader.log(limit, before, text, kind)

    def evidence(self, rev: int) -> dict[str, Any]:
        return self.reader.evidence(rev)

    def series(
        self, metric: str, window_s: float, points: int, end: float, arm: str = "treatment"
    ) -> list[tuple[float, float | None]]:
        return self.reader.series(metric, window_s, points, end, "control" if arm == "control" else "treatment")

    def documents(self, text: str = "", limit: int = 50, method: str | None = None) -> list[Document]:
        return self.reader.documents(text, limit, method)

    def document(self, document_id: str) -> Document | None:
        return self.reader.document(document_id)

    def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Any query of the engine's library on the store; StoreError."""
        return self.reader.read(query)

    def command(self, kind: str, /, **fields: Any) -> Reply:
        return self.client.command(kind, **fields)

    def rollback(self, reason: str = "", seen: str = "") -> RollbackResult:
        return self.client.rollback(reason, seen)

    def out_of_reach(self) -> bool:
        """No key and no engine: nothing is left that could call the LLM."""
        try:
            return not self.folder.is_armed() and not self.folder.is_locked()
        except OSError:
            return False


def process(pid: int) -> Process:
    """What the kernel says about a process of this machine; a zombie has ended."""
    if pid <= 0:
        return "ended"
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return {"Z": "ended", "X": "ended", "T": "stopped", "t": "stopped"}.get(state, "runs")  # type: ignore[return-value]
    except (OSError, IndexError):
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return "ended"
    except OSError:
        return "runs"
    return "runs"
