"""The machine that the tests run on."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any


def crowd() -> float:
    """How many want each core: 1 on a quiet machine, where the bounds hold to the letter.

    The load is a mean of a minute: a suite that has just begun is crowded before it shows there.
    """
    fields = Path("/proc/loadavg").read_text().split()
    mean, now = float(fields[0]), float(fields[3].partition("/")[0])
    return max(1.0, max(mean, now) / (os.cpu_count() or 1) + 0.5)


def patience(seconds: float) -> Iterator[None]:
    """The turns of a wait for a fact, which ends after that long on a quiet machine: `for _ in patience(30): if ...`.

    A machine that becomes crowded meanwhile makes it longer. There is one more turn after the end, in case the one who
    waits was not let run.
    """
    began, spent, allowed = time.monotonic(), 0.0, 0.0
    yield  # mostly it holds already
    while spent <= allowed:
        spent = time.monotonic() - began
        allowed = max(allowed, seconds * crowd())
        yield


@cache
def be_patient() -> None:
    """From here on a bound on how long a process may take is one of a quiet machine."""
    wait, communicate = subprocess.Popen.wait, subprocess.Popen.communicate

    def wait_longer(self: subprocess.Popen[Any], timeout: float | None = None) -> int:
        return wait(self, None if timeout is None else timeout * crowd())

    def communicate_longer(self: subprocess.Popen[Any], input: Any = None, timeout: float | None = None) -> Any:
        return communicate(self, input, None if timeout is None else timeout * crowd())

    subprocess.Popen.wait = wait_longer  # type: ignore[method-assign, assignment]
    subprocess.Popen.communicate = communicate_longer  # type: ignore[method-assign, assignment]


def free_port() -> int:
    """A port of 127.0.0.1 for a server that must be given one. Not of the kernel's own choice: outgoing connections
    take their ports from there, and one of them may get this one before the server does."""
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with socket.socket() as sock, contextlib.suppress(OSError):
            sock.bind(("127.0.0.1", port))
            return port
