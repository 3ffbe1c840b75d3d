"""On a full disk the store stops and the engine does not: screens ask the process, and lower nothing on a guess."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from pathlib import Path

import pytest

from console.link import StoreLink
from tests.engine.service.rig import EngineRig
from tests.engine.service.test_rollback_on_a_bad_disk import fill, small_disk
from tests.stub_llm import StubLlm

__all__ = ["small_disk"]
pytestmark = pytest.mark.anyio


async def test_with_a_full_disk_the_percentage_in_force_comes_from_the_engine(small_disk: Path) -> None:
    async with StubLlm() as stub:
        settings = {"llm.url": stub.url, "llm.model": stub.model}
        with EngineRig(small_disk / "s", speed=None, settings=settings) as rig:
            await asyncio.to_thread(seen, rig, small_disk)


def seen(rig: EngineRig, disk: Path) -> None:
    engine = rig.engine()
    rig.climb(2)
    rig.folder.drop_ballast()
    filler = fill(disk)
    link = StoreLink(rig.folder, rig.plan)
    still = rig.reader.engine_record().heartbeat
    time.sleep(7)  # longer than an engine may be silent
    fill(disk)
    assert rig.reader.engine_record().heartbeat - still < 7  # the store stopped
    snapshot = link.poll()
    assert snapshot.view is not None
    assert (snapshot.liveness.state, snapshot.view.effective_bp) == ("well", 1000)
    shown = json.loads(rig.cli("status", "--json").stdout)
    assert (shown["engine_state"], shown["effective_bp"]) == ("running", 1000)
    assert "no LLM call is made" not in rig.cli("status").stdout

    os.kill(engine.pid, signal.SIGSTOP)
    try:
        done = rig.cli("status")
        assert "does not answer" in done.stdout
        assert "no LLM call is made" not in done.stdout
        taken = json.loads(rig.cli("metrics", "snapshot").stdout)
        assert (taken["engine"], taken["current_rollout_percentage"]) == ("frozen", 10)
        snapshot = link.poll()
        assert snapshot.view is not None
        assert snapshot.view.effective_bp == 1000  # the last known state, labelled as such
        assert snapshot.liveness.state == "frozen"
        new = StoreLink(rig.folder, rig.plan).poll()  # of a console opened now, which has the store's figures alone
        assert new.view is not None
        assert (new.liveness.state, new.view.effective_bp) == ("frozen", 1000)
        assert "NOT CERTAIN" in new.liveness.sentence
    finally:
        os.kill(engine.pid, signal.SIGCONT)
    filler.unlink()
    rig.folder.lock.unlink()  # whoever infers from files sees no engine now; the engine goes to 0 % on its own
    shown = json.loads(rig.cli("status", "--json").stdout)
    assert shown["engine_state"] == "running"
    assert "not running" not in rig.cli("status").stdout
