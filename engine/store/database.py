"""Connections to the one SQLite file, and the settings each needs.

Two connections write, both in the writer's thread: decisions and documents reach the disk before they are acknowledged
(`synchronous=FULL`); figures alone do not wait for it (`NORMAL`: a kill loses nothing; a power cut may lose what was
committed since the last flush or write-back by the kernel, on Linux about 30 s). Everyone else opens read-only.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from engine.files import is_regular_or_absent
from engine.store.folder import Folder, StoreError
from engine.store.write_trouble import cause

BUSY_S = 1.0
MIB = 1 << 20
LOG_MIB = 64  # size the write-ahead log is truncated to when it restarts
HELD_MIB = 4 * LOG_MIB  # it restarts long before this, unless a reader holds an old snapshot


FROM_BACKUP = 1  # `user_version` of a copy made by `rollout backup`, until an engine opens it


class Created(NamedTuple):
    """`altered`: what was put into its schema and is dropped, as a phrase; "" for nothing."""

    from_backup: bool
    altered: str


def create(folder: Folder, busy_s: float = 5.0) -> Created:
    """Create or migrate the database. The armed file of a restored backup belongs to another state and is removed
    first. Only for the holder of the lock. StoreError when the file is not usable."""
    from engine.store.migrations import migrate  # only the holder of the lock needs it

    folder.prepare()
    if not folder.database.exists():
        os.close(folder.create(folder.database))
    try:
        _refuse_planted(folder)
        conn = sqlite3.connect(folder.database, timeout=busy_s, isolation_level=None)
        try:
            restored = _is_from_backup(conn, folder)
            if restored:
                folder.disarm()
            conn.execute("PRAGMA journal_mode=WAL")
            altered = _repair_schema(conn, folder)
            migrate(conn)
            if restored:
                conn.execute("PRAGMA user_version=0")
        finally:
            conn.close()
    except sqlite3.DatabaseError as error:
        if "locked" in str(error):
            raise StoreError(
                f"The store {folder.database} is locked by another program, which blocks all writes. Stop it "
                f"(`fuser {shlex.quote(str(folder.database))}` names it), and any console that was open when a "
                "backup was restored."
            ) from None
        raise StoreError(
            damaged(folder, error)
            or folder.why_no_access()
            or f"The store {folder.database} cannot be opened: {cause(error, folder.path) or error}."
        ) from None
    return Created(restored, altered)


def _is_from_backup(conn: sqlite3.Connection, folder: Folder) -> bool:
    """StoreError for a database that is not a store, or one with a mark that this version does not know."""
    (version,) = conn.execute("PRAGMA user_version").fetchone()
    (program,) = conn.execute("PRAGMA application_id").fetchone()
    names = {name for (name,) in conn.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()}
    if program or (names and "_sqlite_migrations" not in names):
        raise StoreError(
            f"{folder.database} is a database of another program, not a store. Nothing was changed. Move it away, or "
            "point --store, or [store] path, at another folder."
        )
    if version not in (0, FROM_BACKUP):
        raise StoreError(
            f"The store {folder.database} has the mark user_version = {version}, which this version does not know: a "
            "newer version of the rollout console wrote it. Install that version, or restore a backup from before it. "
            "Rollback still works."
        )
    return bool(version == FROM_BACKUP)


def _repair_schema(conn: sqlite3.Connection, folder: Folder) -> str:
    """Drop planted schema items before anything is written, since they would act on the write. Return what they
    were."""
    from engine.store import own_schema

    conn.execute("BEGIN IMMEDIATE")
    try:
        altered = own_schema.repair(conn)
        conn.execute("COMMIT")
    except own_schema.TablesDiffer as differ:
        raise StoreError(
            f"The store {folder.database} was changed by another program ({differ}). Rollback still works. Move the "
            "file away and restore the last `rollout backup`."
        ) from None
    finally:
        if conn.in_transaction:
            conn.execute("ROLLBACK")
    return altered


def _refuse_planted(folder: Folder) -> None:
    """Raise sqlite3.OperationalError if a database file is a link, a pipe or a folder: SQLite would follow it and
    write there."""
    for name in ("", "-wal", "-shm", "-journal"):
        path = Path(f"{folder.database}{name}")
        if not is_regular_or_absent(path):
            raise sqlite3.OperationalError(f"{path} is not a regular file; move it away")


def damaged(folder: Folder, error: sqlite3.Error) -> str:
    """How to recover from a damaged file; "" for any other error."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the primary code of an extended one
    if code not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return ""
    what, first = f"is damaged ({error})", "Stop"
    if code == sqlite3.SQLITE_CORRUPT:  # SQLite's word for a page that the disk does not give, too
        what, first = f"is damaged or its disk fails ({error}); `dmesg` may say which", "If the disk is well, stop"
    return (
        f"The store {folder.database} {what}. Rollback still works. {first} the engine, move the file away and restore "
        "the last `rollout backup`."
    )


def open_writer(folder: Folder, durability: Literal["FULL", "NORMAL"], busy_s: float = BUSY_S) -> sqlite3.Connection:
    """A writing connection in autocommit mode: transactions are explicit, always IMMEDIATE. It waits `busy_s` for a
    lock."""
    _refuse_planted(folder)
    conn = sqlite3.connect(folder.database, timeout=busy_s, isolation_level=None, check_same_thread=False)
    conn.execute(f"PRAGMA synchronous={durability}")
    conn.execute(f"PRAGMA journal_size_limit={LOG_MIB * MIB}")
    conn.execute("PRAGMA wal_autocheckpoint=1000")
    return conn


def open_reader(folder: Folder) -> sqlite3.Connection:
    """A read-only connection. Raises StoreError if the store is missing, or if its log is closed and unreadable."""
    if not folder.exists:
        try:
            os.stat(folder.database)
        except PermissionError:
            raise StoreError(
                folder.why_no_access() or f"This user has no access to the store in {folder.path}."
            ) from None
        except OSError:
            pass
        raise StoreError(
            f"There is no store in {folder.path}. `rollout load PATH` or the engine (`rollout`, `rollout "
            "serve`) makes one; --store DIR names another."
        )
    conn = None
    try:
        _refuse_planted(folder)
        conn = sqlite3.connect(
            f"file:{_quoted(folder)}?mode=ro", uri=True, timeout=0.2, isolation_level=None, check_same_thread=False
        )
        conn.execute("SELECT 1 FROM control LIMIT 1").fetchone()
    except sqlite3.Error as error:
        raise StoreError(
            _unfinished(folder, conn)
            or damaged(folder, error)
            or folder.why_no_access()
            or f"The store {folder.database} cannot be read: {error}."
        ) from None
    return conn


def _unfinished(folder: Folder, conn: sqlite3.Connection | None) -> str:
    """The sentence for a database that its first engine has not finished; "" for any other."""
    if conn is None:
        return ""
    try:
        tables = conn.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    except sqlite3.Error:
        return ""
    if any(name != "_sqlite_migrations" for (name,) in tables):
        return ""
    return (
        f"The store in {folder.path} is not made yet: its first engine is starting, or was killed while it did. Try "
        "again in a moment; if no engine is starting, `rollout` or `rollout serve` finishes it."
    )


@contextlib.contextmanager
def read_transaction(conn: sqlite3.Connection) -> Iterator[None]:
    """Read from one snapshot while an engine may be writing."""
    if conn.in_transaction:
        yield
        return
    conn.execute("BEGIN")
    try:
        yield
    finally:
        conn.execute("COMMIT")


def _quoted(folder: Folder) -> str:
    return str(folder.database).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def outgrown_log(folder: Folder) -> str:
    """A sentence on what keeps the write-ahead log from restarting; "" while its size is normal."""
    log = f"{folder.database}-wal"
    try:
        size = os.stat(log).st_size // MIB
    except OSError:
        return ""
    if size < HELD_MIB:
        return ""
    return (
        f"{log} has grown to {size} MiB: a program keeps a read transaction open; find it with `lsof "
        f"{shlex.quote(log)}` and stop it"
    )


def is_locked(error: sqlite3.Error) -> bool:
    """Whether another connection holds the lock that a statement needed."""
    return getattr(error, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))
