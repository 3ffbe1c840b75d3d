"""Start an engine as a process of its own, and wait until it answers."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from engine.client.client import EngineClient
from engine.server import engine_log
from engine.store import write_trouble
from engine.store.folder import Folder

START_S = 60.0  # how long who starts an engine waits for its answer; one that has ended is noticed at once


def spawn(
    plan_path: Path, folder: Folder, *options: str, attached: bool = False, environ: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start an engine in its own session, logging to the store's folder. `attached`: it ends when its stdin pipe
    closes. `environ`: its environment, if not this process's.

    `-P`: imports nothing from the store's folder, where a whole group may put files.
    """
    folder.prepare()
    engine_log.rotate(folder)
    given = ["--plan", str(plan_path.absolute()), "--store", str(folder.path.absolute()), *options]
    if attached:
        given.append("--attached")
    output = folder.create(folder.engine_log, os.O_APPEND)
    try:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "engine.server.process", *given],
            stdin=subprocess.PIPE if attached else subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd=folder.path,
            env=environ,
        )
    finally:
        os.close(output)


def wait_until_up(folder: Folder, process: subprocess.Popen[bytes] | None, timeout_s: float = START_S) -> str:
    """ "" when the engine answers, else a sentence that gives the reason."""
    client = EngineClient(folder)
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        with contextlib.suppress(OSError, ValueError):
            status, _ = client.request("GET", "/healthz", timeout_s=1.0)
            if status:
                return ""
        if process is not None and process.poll():  # 0: another one runs, and will answer
            if trouble := write_trouble.present(folder.path):  # the log could not take the engine's last words either
                return f"The engine cannot run: {trouble}."
            return (
                engine_log.last_words(folder)
                or f"The engine exited immediately with code {process.returncode}; see {folder.engine_log}."
            )
        time.sleep(0.02)
    if trouble := write_trouble.present(folder.path):
        return f"The engine does not answer: {trouble}."
    if process is not None and process.poll() is None:
        return (
            f"The engine (process {process.pid}) runs but has not answered for {timeout_s:g} s; the machine may be too "
            f"busy. See {folder.engine_log}."
        )
    return f"The engine did not answer within {timeout_s:g} s; see {folder.engine_log}."
