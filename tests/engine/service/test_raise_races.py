"""A raise is never armed over a rollback that a console left as a file, whenever the file came."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.rollout.state import Ask
from engine.store.intents import Intent
from tests.engine.service.clocked import Clocked

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("moment", ["before it is asked for", "as it is recorded", "as the armed file is put in place"])
async def test_a_rollback_left_as_a_file_beats_a_raise(
    moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Clocked(tmp_path, ticking=False) as c:
        engine, folder = c.engine, c.engine.folder
        armed: list[bool] = []

        def leave() -> None:
            folder.leave_intent(Intent("left", c.clock.now(), {"name": "bo"}, "by a console"))

        commit_on, arm = engine.commit_on, folder.arm

        def recorded(conn: sqlite3.Connection, ask: Ask, decide: Callable[..., Any]) -> Any:
            outcome = commit_on(conn, ask, decide)
            leave()
            return outcome

        def placed() -> None:
            armed.append(True)
            if moment == "as the armed file is put in place":
                leave()
            arm()

        await c.climb(2)
        assert (await c.command("rollback", reason="a first one")).ok
        await c.passes(10)
        assert not folder.is_armed()
        if moment == "before it is asked for":
            leave()
        if moment == "as it is recorded":
            monkeypatch.setattr(engine, "commit_on", recorded)
        monkeypatch.setattr(folder, "arm", placed)
        fields = {"epoch": engine.state.epoch, "override": True, "reason": "up again"}
        reply = await c.command("promote", **fields)
        monkeypatch.setattr(engine, "commit_on", commit_on)
        assert reply.ok is (moment != "before it is asked for"), reply.sentence
        assert bool(armed) is (moment == "as the armed file is put in place")
        assert not folder.is_armed()
        assert not engine.switch.read().open
        await c.passes(10)
        assert engine.state.percent_bp == 0
        assert not folder.has_intents()
