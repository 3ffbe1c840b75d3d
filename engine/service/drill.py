"""A rollback without consequences: the real switch, log and routing check, on a separate store beside the live one.

It is in the store's folder, so on the same disk; it never reads or writes the live control row or the live `armed`.
"""

from __future__ import annotations

import shutil
import sqlite3
import threading
import time
import uuid

from msgspec import Struct

from engine.clock import SystemClock
from engine.plan.model import Plan
from engine.rollout.control import roll_back
from engine.rollout.state import Actor, Ask, Decision, State
from engine.routing.switch import Switch
from engine.store import database, lease, log
from engine.store.folder import Folder
from engine.store.trust import Trust
from engine.store.verification import verify

LIMIT_S = 5.0


class Drill(Struct, frozen=True):
    """`effective_ms`: from pressing R to the first 0 % read by a router; `recorded_ms`: to the decision on disk."""

    effective_ms: float | None
    recorded_ms: float | None
    trouble: str = ""

    @property
    def ok(self) -> bool:
        return not self.trouble and self.effective_ms is not None and self.recorded_ms is not None


def drill(store: Folder, plan: Plan) -> Drill:
    """Takes seconds at most; blocks, so call it in a thread. Failures that would affect a rollback are results, not
    exceptions."""
    place = store.path / f"drill-{uuid.uuid4().hex[:8]}"
    try:
        return _drill(Folder(place), plan)
    except Exception as error:
        return Drill(None, None, f"{type(error).__name__}: {error}")
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _drill(folder: Folder, plan: Plan) -> Drill:
    database.create(folder)
    writer = database.open_writer(folder, "FULL")
    reader = database.open_reader(folder)
    try:
        person = Actor("drill")
        high = Decision(
            kind="promote",
            actor=person,
            reason="drill",
            stage=plan.last_stage,
            percent_bp=10_000,
            at=time.time(),
            request_id=uuid.uuid4().hex,
            sentence="drill at 100 %",
        )
        token = lease.take(writer, 0, time.time(), time.time()).token
        log.begin(writer, token)
        log.append(writer, State(), high)
        writer.execute("COMMIT")
        folder.prepare_armed_file("drill")
        folder.arm()
        trust, _ = log.trusted(reader)
        switch = Switch(folder, reader, SystemClock(), 60.0, 10_000, token, trust)
        switch.armed = folder.armed_stamp()
        switch.evaluated()
        if switch.read().percent_bp != 10_000:
            return Drill(None, None, f"the drill's router did not reach 100 %: {switch.read().why}")
        effective, recorded = _press(folder, plan, switch, writer, trust)
        if effective is None:
            return Drill(None, recorded, f"a router did not read 0 % within {LIMIT_S:g} s")
        if log.read_state(writer).percent_bp != 0 or not verify(writer).ok:
            return Drill(effective, recorded, "the drill's log does not lead to 0 %")
        return Drill(effective, recorded)
    finally:
        writer.close()
        reader.close()


def _press(
    folder: Folder, plan: Plan, switch: Switch, writer: sqlite3.Connection, trust: Trust
) -> tuple[float | None, float]:
    """Press R: remove the armed file, then record, while a router keeps routing."""

    seen: list[float] = []
    asking, stop = threading.Event(), threading.Event()

    def route() -> None:
        until = time.monotonic() + LIMIT_S
        while not stop.is_set() and time.monotonic() < until:
            percent = switch.read().percent_bp
            if percent == 0:
                seen.append(time.perf_counter())
                return
            asking.set()

    router = threading.Thread(target=route, daemon=True)
    router.start()
    try:
        asking.wait(LIMIT_S)
        pressed = time.perf_counter()
        folder.disarm()
        ask = Ask(Actor("drill"), time.time(), uuid.uuid4().hex, "drill")
        log.commit(writer, ask.request_id, lambda state: roll_back(plan, state, ask), trust=trust)
        recorded = (time.perf_counter() - pressed) * 1000
        router.join(LIMIT_S)
    finally:
        stop.set()
        router.join()  # nothing may be closed while it runs: SQLite does not survive that
    return (max(0.0, seen[0] - pressed) * 1000 if seen else None), recorded
