"""A rollback is in force at once, a trigger's in the tick that decides it, however long the store takes to record it."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.measures.record import Extraction
from engine.rollout.control import note
from tests.engine.service.clocked import Clocked

pytestmark = pytest.mark.anyio


async def fails_until(c: Clocked, holds: Callable[[], object]) -> None:
    """Every LLM document fails, six a minute."""
    for n in range(180):
        if holds():
            return
        state = c.engine.state
        c.engine.monitor.observations.add(
            Extraction(
                c.clock.now(),
                f"document-{n}",
                "treatment",
                "frequency",
                state.stage,
                state.epoch,
                attempted=True,
                lookup=True,
                fallback=True,
                error="http",
                ms=800.0,
            )
        )
        c.clock.advance(10.0)
        await c.loop.tick()
    raise AssertionError("no trigger acted")


async def test_a_trigger_s_rollback_is_in_force_before_a_slow_store_has_recorded_it(tmp_path: Path) -> None:
    async with Clocked(tmp_path) as c:
        await c.climb(4)
        blocker = sqlite3.connect(c.rig.folder.database, isolation_level=None, check_same_thread=False)
        blocker.execute("BEGIN IMMEDIATE")
        await fails_until(c, lambda: c.engine.switch.read().percent_bp < 5000)
        assert c.engine.switch.read().percent_bp == 0
        assert c.engine.state.percent_bp == 5000, "not recorded yet"
        threading.Timer(0.5, blocker.execute, ["ROLLBACK"]).start()
        await c.settled(lambda: c.engine.state.percent_bp == 0)
        assert "trigger" in c.rig.kinds()
        blocker.close()


def unreadable(action: int, table: str | None, *_: str | None) -> int:
    """Makes statements fail with an error of the class that a damaged page has. SQLite calls a disk's read error
    "malformed" too."""
    refused = action == sqlite3.SQLITE_INSERT and table == "decision"
    return sqlite3.SQLITE_DENY if refused else sqlite3.SQLITE_OK


async def test_a_rollback_that_a_damaged_page_kept_out_of_the_log_is_recorded_once_it_can_be_read(
    tmp_path: Path,
) -> None:
    async with Clocked(tmp_path) as c:
        await c.climb(4)
        c.engine.writer._durable.set_authorizer(unreadable)
        reply = await c.command("rollback", reason="bad keywords")
        assert reply.ok
        assert "still retrying" in reply.sentence
        assert c.engine.switch.read().percent_bp == 0
        assert c.rig.folder.has_intents(), "so that a kill loses nothing"
        c.engine.writer._durable.set_authorizer(None)
        await c.settled(lambda: c.engine.state.percent_bp == 0)
        await c.settled(lambda: not c.rig.folder.has_intents())
        assert c.rig.kinds().count("rollback") == 1


async def test_a_note_that_a_damaged_page_kept_out_of_the_log_is_recorded_once_it_can_be_read(tmp_path: Path) -> None:
    async with Clocked(tmp_path) as c:
        c.engine.writer._durable.set_authorizer(unreadable)
        ask = c.engine.ask()
        await c.loop.deferred.record(ask, lambda state: note(state, ask, "blind", "blind for two minutes"))
        assert c.loop.deferred.waiting
        c.engine.writer._durable.set_authorizer(None)
        await c.settled(lambda: not c.loop.deferred.waiting)
        assert c.rig.kinds()[-1] == "blind"
