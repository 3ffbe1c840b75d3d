"""An engine makes a socket again that was removed from the store's folder, and survives where it cannot."""

from __future__ import annotations

import asyncio
import resource
import socket
import time
from pathlib import Path

import pytest

from engine.server import process
from tests.engine.service.clocked import Clocked
from tests.machine import crowd, patience


@pytest.mark.anyio
async def test_an_engine_outlives_a_socket_that_it_cannot_make_again_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has no file descriptor left; a full disk, and a folder that was moved away, refuse a socket in the same way."""
    monkeypatch.setattr(process, "SOCKET_LOOK_S", 0.01)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)
    made: list[socket.socket] = []
    async with Clocked(tmp_path / "rig", ticking=False) as c:
        looking = asyncio.create_task(process._listen_again(c.engine, made.append))
        until = time.monotonic() + 10 * crowd()
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, most[1]))
        try:
            while time.monotonic() < until and not looking.done():
                if any("cannot be made again yet" in text for _, text in c.engine.events):
                    break
                await asyncio.sleep(0.01)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, most)
        assert not looking.done(), looking.exception()
        for _ in patience(10):
            if made:
                break
            await asyncio.sleep(0.01)
        c.rig.folder.connect(5.0).close()
        looking.cancel()
        made.pop().close()
