"""A command whose record failed may have taken effect: its answer names what is in force."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from engine.client.client import Reply
from engine.rollout.state import Ask
from engine.server import commands
from engine.service.engine import Engine
from engine.store.log import Fenced
from tests.engine.service.clocked import Clocked

pytestmark = pytest.mark.anyio


async def test_the_answer_names_what_is_in_force_and_never_claims_that_nothing_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = (
        sqlite3.OperationalError("disk I/O error"),
        sqlite3.OperationalError("database or disk is full"),
        Fenced("another engine has taken over"),
        OSError(errno.ENOSPC, "No space left on device"),
        OSError("the store was replaced"),
    )
    async with Clocked(tmp_path) as c:
        await c.climb(2)
        hold = commands.REQUESTS["hold"]
        for number, error in enumerate(errors):

            async def half_done(engine: Engine, fields: dict[str, Any], ask: Ask, error: Exception = error) -> Reply:
                await hold(engine, fields, ask)  # recorded, and then the answer is lost
                raise error

            monkeypatch.setitem(commands.REQUESTS, "hold", half_done)  # type: ignore[arg-type]
            reply = await c.command("hold", reason=f"full disk {number}")
            assert not reply.ok
            assert "othing has changed" not in reply.sentence
            assert "In force now: 10 %." in reply.sentence, reply.sentence
            assert reply.data == {"code": "unconfirmed", "effective_bp": 1000}
        c.rig.folder.disarm()
        reply = await c.command("hold", reason="once more")
        assert "In force now: 0 % (the armed file is missing)." in reply.sentence
