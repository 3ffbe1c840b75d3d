"""A service manager hears when the engine is up, that its triggers are evaluated, and that it ends."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from engine.server.spawning import wait_until_up
from tests.engine.service.rig import EngineRig
from tests.machine import crowd


def heard(manager: socket.socket, wanted: str) -> list[str]:
    """Its messages up to this one."""
    results: list[str] = []
    while wanted not in results:
        results += manager.recv(4096).decode().splitlines()
    return results


def test_systemd_hears_ready_then_watchdog_while_triggers_are_evaluated_then_stopping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, EngineRig(tmp_path, speed=None) as rig:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(20.0 * crowd())
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        engine = rig.engine()
        heard(manager, "READY=1")
        heard(manager, "WATCHDOG=1")
        engine.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, engine.pid, os.WSTOPPED | os.WNOWAIT)
        manager.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while manager.recv(4096):
                pass
        manager.settimeout(2.5)
        with pytest.raises(TimeoutError):
            manager.recv(4096)
        engine.send_signal(signal.SIGCONT)
        manager.settimeout(20.0 * crowd())
        heard(manager, "WATCHDOG=1")
        engine.terminate()
        heard(manager, "STOPPING=1")


def test_a_standby_is_up_and_alive_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, EngineRig(tmp_path, speed=None) as rig:
        rig.engine()
        name = f"rollout-test-{os.getpid()}"  # in Linux's abstract namespace, as some managers have it
        manager.bind("\0" + name)
        manager.settimeout(20.0 * crowd())
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name)
        rig.engine(wait=False)
        assert "STATUS=standby: another engine holds the store" in heard(manager, "WATCHDOG=1")


def test_a_standby_waits_for_the_port_of_the_engine_that_ended(tmp_path: Path) -> None:
    """The lock of an engine that dies can be free a moment before its port: the standby must not die of that."""
    with socket.socket() as port:
        port.bind(("127.0.0.1", 0))
        port.listen()
        with EngineRig(tmp_path, None, {"http.port": port.getsockname()[1]}) as rig:
            rig.folder.prepare()
            lock = rig.folder.try_lock()
            assert lock is not None
            standby = rig.engine(wait=False)
            assert rig.until(lambda: "waiting to take over" in rig.folder.engine_log.read_text())
            lock.release()
            assert rig.until(lambda: "taking over" in rig.folder.engine_log.read_text().split("waiting")[-1][20:])
            time.sleep(0.3)  # it has found the port taken, more than once
            port.close()
            assert wait_until_up(rig.folder, standby, 30.0 * crowd()) == ""
