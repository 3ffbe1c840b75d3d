"""Why the store takes no writes, in words that say what to do. SQLite's own for most causes are "disk I/O error"."""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
from pathlib import Path

PROBE_BYTES = 64 << 10
NO_ROOM = "no room for the store; free some space (its disk is full, or its files may not grow: `ulimit -f`)"


def refusal(error: Exception, folder: Path) -> str:
    """Why the store in this folder takes no writes, and what to do where that is known; without a full stop."""
    return cause(error, folder) or f"the store refuses writes: {error}"


def cause(error: Exception, folder: Path) -> str:
    """The same, or "" for what only the error itself can explain."""
    import sqlite3  # the command of a rollback imports this module, and is quick

    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the primary code of an extended one
    if code == sqlite3.SQLITE_FULL:
        return "the store's disk is full; free some space"
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        database = shlex.quote(str(folder / "store.db"))
        return f"another program has locked the store; `fuser {database}` names it"
    unspecific = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)
    if code in unspecific and (number := _probe(folder)):
        return meaning(number, folder)
    if code == sqlite3.SQLITE_IOERR:
        return f"the store's disk reports an error ({error}); `dmesg` and `df {shlex.quote(str(folder))}` may say why"
    return ""


def present(folder: Path) -> str:
    """Why no file can be written in the folder just now; "" if one can."""
    number = _probe(folder)
    return meaning(number, folder) if number else ""


def _probe(folder: Path) -> int:
    """The system's error number for a small new file in the folder; 0 if that can be written."""
    name = folder / f".probe-{os.getpid()}"
    try:
        with contextlib.suppress(FileNotFoundError):
            name.unlink()  # of a process that was killed here
        descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            data = memoryview(bytes(PROBE_BYTES))
            while data:
                data = data[os.write(descriptor, data) :]
        finally:
            os.close(descriptor)
            name.unlink()
    except OSError as error:
        return error.errno or 0
    return 0


def meaning(number: int, folder: Path) -> str:
    """What an error number of a write means, and what to do; without a full stop."""
    place = shlex.quote(str(folder))
    match number:
        case errno.ENOSPC:
            return "the store's disk is full; free some space"
        case errno.EFBIG:
            return NO_ROOM
        case errno.EDQUOT:
            return "the disk quota for the store is used up; free some space or raise it (`quota -s`)"
        case errno.EROFS:
            return f"the store's disk is mounted read-only; `dmesg` may say why, `findmnt -T {place}` names it"
        case errno.EACCES | errno.EPERM:
            return f"the engine may not write in {place} any more; `ls -ld {place}` shows who may"
        case errno.ENOENT | errno.ENOTDIR:
            return f"the store's folder {place} is gone"
        case _:
            return f"the store's disk refuses writes ({os.strerror(number)}); `dmesg` may say why"
