"""A rollback in force whose record the store does not take: the answer says only what is known of its file by then."""

from __future__ import annotations

import contextlib
import errno
import sqlite3
import threading
from pathlib import Path

import pytest

from engine.store.folder import Folder
from engine.store.intents import Intent
from tests.engine.service.clocked import Clocked

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("disk", ["slow", "read-only"])
async def test_only_a_file_that_no_disk_took_is_called_lost(
    disk: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered, leave = threading.Event(), Folder.leave_intent

    def leave_there(folder: Folder, intent: Intent) -> Path:
        if disk == "read-only":
            raise OSError(errno.EROFS, "Read-only file system")
        answered.wait(20)
        return leave(folder, intent)

    async with Clocked(tmp_path) as c:
        await c.climb(3)
        monkeypatch.setattr(Folder, "leave_intent", leave_there)
        with contextlib.closing(sqlite3.connect(c.rig.folder.database, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            reply = await c.command("rollback", reason="the disk is odd")
            answered.set()
            assert (reply.ok, reply.data["recorded"]) == (True, False)
            assert ("only this engine knows of it" in reply.sentence) is (disk == "read-only")
            assert ("still retrying" in reply.sentence) is (disk == "slow")


async def test_in_a_store_that_was_replaced_the_answer_blames_no_disk_and_says_what_status_says(tmp_path: Path) -> None:
    async with Clocked(tmp_path) as c:
        await c.climb(3)
        c.rig.folder.database.with_name("store.db-shm").unlink()
        reply = await c.command("rollback", reason="the store is odd")
        assert (reply.ok, reply.data["recorded"]) == (True, False)
        assert "disk" not in reply.sentence
        assert "`rollout stop`, repair the store" in reply.sentence
