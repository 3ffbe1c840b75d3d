"""The machine that the tests run on."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket


def crowd() -> float:
    """How many want each core: 1 on a quiet machine, where the bounds hold to the letter."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1) + 0.5)


def free_port() -> int:
    """A port of 127.0.0.1 for a server that must be given one. Not of the kernel's own choice: outgoing connections
    take their ports from there, and one of them may get this one before the server does."""
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with socket.socket() as sock, contextlib.suppress(OSError):
            sock.bind(("127.0.0.1", port))
            return port
