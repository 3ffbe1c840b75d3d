"""Back up the store while it is in use, and verify the copy before reporting success."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from pathlib import Path

from msgspec import Struct

from engine import files
from engine.store import database
from engine.store.folder import Folder, StoreError
from engine.store.verification import verify
from engine.text import reason_of, spoken


class BackupReport(Struct, frozen=True):
    ok: bool
    sentence: str
    path: str = ""
    bytes: int = 0
    decisions: int = 0
    head: str = ""


def take(folder: Folder, target: Path) -> BackupReport:
    """Copy online, then check integrity and the log's chain on the copy. The file appears complete (0600) or not at
    all."""
    try:
        source = database.open_reader(folder)
    except (OSError, StoreError) as error:
        return BackupReport(False, f"No backup was made. {spoken(reason_of(error))}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # in its own folder: SQLite opens by name, and in the target's folder others could swap the file
        private = Path(tempfile.mkdtemp(prefix=".rollout-backup-", dir=target.parent))
    except OSError as error:
        source.close()
        return BackupReport(False, f"No backup: {reason_of(error)}")
    part = private / target.name
    try:
        os.close(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
        copy = sqlite3.connect(part)
        try:
            source.backup(copy)  # one read transaction: with small steps, every commit would restart the copy
            copy.execute(f"PRAGMA user_version={database.FROM_BACKUP}")  # a restored backup starts with the LLM off
            copy.execute("PRAGMA journal_mode=DELETE")  # one self-contained file
            (integrity,) = copy.execute("PRAGMA quick_check").fetchone()
            verified = verify(copy)
        finally:
            copy.close()
        if integrity != "ok" or not verified.ok:
            return BackupReport(False, f"No backup: the copy does not verify ({integrity}; {verified.sentence})")
        with part.open("rb") as whole:
            os.fsync(whole.fileno())
        os.replace(part, target)
        files.sync_folder(target.parent)
    except (OSError, sqlite3.Error) as error:
        return BackupReport(False, f"No backup: {reason_of(error)}")
    finally:
        source.close()
        shutil.rmtree(private, ignore_errors=True)
    size = target.stat().st_size
    return BackupReport(
        True,
        f"backed up to {target} ({size / 1e6:.1f} MB) and verified: {verified.decisions} decisions, integrity ok, "
        f"head {verified.head[:16]}",
        str(target),
        size,
        verified.decisions,
        verified.head,
    )
