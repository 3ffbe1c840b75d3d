"""Unix sockets in a folder of any depth."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path


def bind(path: Path, mode: int) -> socket.socket:
    """A socket with this name and mode; it does not listen yet."""
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # before it has a name, since another file could have that name by then
    os.fchmod(server.fileno(), mode)
    mask = os.umask(0o007)
    try:
        with _short(path) as address:
            server.bind(address)
    finally:
        os.umask(mask)
    return server


def connect(path: Path, timeout_s: float) -> socket.socket:
    """OSError when nothing listens or answers in time."""
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.settimeout(timeout_s)
    try:
        with _short(path) as address:
            client.connect(address)
    except BaseException:
        client.close()
        raise
    return client


def identity(path: Path) -> tuple[int, int]:
    """Identifies a socket's file; an inode number alone may be reused for a later one with the same name."""
    status = os.stat(path)
    return status.st_ino, status.st_ctime_ns


@contextlib.contextmanager
def _short(path: Path) -> Iterator[str]:
    """A unix socket's address holds about 107 bytes; a deep folder is reached through its descriptor."""
    if len(os.fsencode(path)) < 100:
        yield str(path)
        return
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        yield f"/proc/self/fd/{descriptor}/{path.name}"
    finally:
        os.close(descriptor)
