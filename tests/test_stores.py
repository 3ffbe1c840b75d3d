"""A copied store is the one that the product's own steps make."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from engine.store import database, migrations
from engine.store.folder import Folder
from tests import stores

PRAGMAS = ("journal_mode", "page_size", "user_version", "application_id", "auto_vacuum", "encoding", "integrity_check")


def contents(folder: Folder) -> tuple[list[str], list[object]]:
    """What is in it but for the moment at which each step ran, and its settings."""
    with contextlib.closing(sqlite3.connect(folder.database)) as conn:
        settings = [conn.execute(f"PRAGMA {name}").fetchone() for name in PRAGMAS]
        conn.execute("UPDATE _sqlite_migrations SET applied_at = ''")
        return list(conn.iterdump()), settings


def test_a_copy_is_what_the_steps_make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copied, stepped = Folder(tmp_path / "copied"), Folder(tmp_path / "stepped")
    database.create(copied)
    monkeypatch.setattr(migrations, "migrate", stores._migrate)
    database.create(stepped)
    assert contents(copied) == contents(stepped)
    assert [path.name for path in sorted(copied.path.iterdir())] == [p.name for p in sorted(stepped.path.iterdir())]
