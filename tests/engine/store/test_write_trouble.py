"""A store that takes no writes names the cause and what to do, not SQLite's "disk I/O error"."""

from __future__ import annotations

import errno
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from engine.store import write_trouble
from engine.store.write_trouble import NO_ROOM, refusal


def failed(code: int, words: str = "disk I/O error") -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(words)
    error.sqlite_errorcode = code  # type: ignore[misc]
    return error


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "the store's disk is full; free some space"),
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "mounted read-only"),
        (errno.EACCES, "may not write in"),
        (errno.ENOENT, "is gone"),
        (errno.EFBIG, "ulimit -f"),
        (errno.EIO, "dmesg"),
        (0, "dmesg"),
    ],
)
def test_an_unspecific_error_is_explained_by_what_the_system_answers(
    number: int, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_trouble, "_probe", lambda _: number)
    assert words in refusal(failed(sqlite3.SQLITE_IOERR_WRITE), tmp_path)


def test_full_and_locked_need_no_probe(tmp_path: Path) -> None:
    assert refusal(failed(sqlite3.SQLITE_FULL), tmp_path) == "the store's disk is full; free some space"
    assert "fuser" in refusal(failed(sqlite3.SQLITE_BUSY), tmp_path)
    assert refusal(sqlite3.OperationalError("odd"), tmp_path) == "the store refuses writes: odd"
    assert os.listdir(tmp_path) == []


def test_a_folder_that_is_gone_is_named(tmp_path: Path) -> None:
    assert "is gone" in refusal(failed(sqlite3.SQLITE_CANTOPEN), tmp_path / "store")


PROGRAM = """
import pathlib, resource, sqlite3, sys
from engine.store.write_trouble import refusal
folder = pathlib.Path(sys.argv[1])
conn = sqlite3.connect(folder / "store.db", isolation_level=None)
conn.execute("CREATE TABLE t (x)")
resource.setrlimit(resource.RLIMIT_FSIZE, (8192, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
try:
    conn.execute("INSERT INTO t VALUES (zeroblob(100000))")
except sqlite3.OperationalError as error:
    print(refusal(error, folder))
"""


def test_a_file_size_limit_is_not_reported_as_a_disk_error(tmp_path: Path) -> None:
    """A real limit, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.strip() == NO_ROOM
    assert not list(tmp_path.glob(".probe-*"))
