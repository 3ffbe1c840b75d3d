"""A service manager hears when the engine is up, that its triggers are evaluated, and that it ends."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from pathlib import Path

import pytest

from tests.engine.service.stage import Stage


def heard(manager: socket.socket, wanted: str) -> list[str]:
    """What it says until it says this."""
    said: list[str] = []
    while wanted not in said:
        said += manager.recv(4096).decode().splitlines()
    return said


def test_it_is_told_up_alive_only_while_the_triggers_are_evaluated_and_ending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, Stage(tmp_path, speed=None) as stage:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(20.0)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        engine = stage.engine()
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
        manager.settimeout(20.0)
        heard(manager, "WATCHDOG=1")
        engine.terminate()
        heard(manager, "STOPPING=1")


def test_a_standby_is_up_and_alive_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, Stage(tmp_path, speed=None) as stage:
        stage.engine()
        name = f"rollout-test-{os.getpid()}"  # in Linux's abstract namespace, as some managers have it
        manager.bind("\0" + name)
        manager.settimeout(20.0)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name)
        stage.engine(wait=False)
        assert "STATUS=standby: another engine holds the store" in heard(manager, "WATCHDOG=1")
