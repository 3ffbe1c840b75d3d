"""The machine that the tests run on."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import subprocess
from functools import cache
from typing import Any


def crowd() -> float:
    """How many want each core: 1 on a quiet machine, where the bounds hold to the letter."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1) + 0.5)


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
