"""A store that version 0.1.0 wrote (tests/data: six documents, a complaint, two promotions, a proven rollback) opens in this one."""

from __future__ import annotations

import gzip
import json
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.metrics import requests
from engine.metrics.requests import Scope
from engine.store.folder import Folder, Lock, StoreError
from engine.store.migrations import migrate
from engine.store.reader import Reader
from tests.engine.service.rig import EngineRig

STORE = Path(__file__).parents[2] / "data" / "store-0.1.0.db.gz"


def test_a_store_of_an_older_version_keeps_its_log_documents_and_figures(tmp_path: Path) -> None:
    with EngineRig(tmp_path, speed=None, settings={"llm.url": "http://127.0.0.1:9"}) as rig:
        rig.folder.prepare()
        rig.folder.database.write_bytes(gzip.decompress(STORE.read_bytes()))
        os.chmod(rig.folder.database, 0o600)
        rig.engine()
        assert (rig.view.stage, rig.percent_bp) == (1, 0)
        assert rig.kinds()[:6] == ["start", "promote", "promote", "complaint", "rollback", "proof"]
        verified = rig.cli("log", "--verify")
        assert verified.returncode == 0, verified.stdout + verified.stderr
        shown = json.loads(rig.cli("documents", "show", "docs/d1.md", "--json").stdout)
        assert shown["title"] == "Worker pool 1"
        assert "docs/d3.md" in rig.cli("query", "circuit breaker").stdout
        analysed = rig.cli("metrics", "analyze", "--days", "7")
        assert analysed.returncode == 0, analysed.stdout + analysed.stderr
        assert rig.cli("load", "--method", "frequency", str(_a_document(tmp_path))).returncode == 0
        assert rig.client.rollback("the older store too").ok


def _a_document(root: Path) -> Path:
    path = root / "new.md"
    path.write_text("# New\n\nA bounded queue applies back-pressure to the producers of a connection pool.\n")
    return path


def held(folder: Folder) -> Lock:
    """The lock, as a running engine holds it."""
    lock = folder.try_lock()
    assert lock is not None
    return lock


def test_what_an_older_store_does_not_have_yet_is_a_sentence(tmp_path: Path) -> None:
    """A console may be newer than the engine that runs, or than the last one that ran: its store is then read as it is."""
    folder = Folder(tmp_path / "s")
    folder.prepare()
    folder.database.write_bytes(gzip.decompress(STORE.read_bytes()))
    os.chmod(folder.database, 0o600)
    reader = Reader(folder)
    since, until = 0.0, 4e9
    queries: list[Callable[[sqlite3.Connection], object]] = [
        lambda conn: requests.requests(conn, Scope(since, until)),
        lambda conn: requests.of_document(conn, "docs/d1.md", until),
        lambda conn: conn.execute("SELECT * FROM job").fetchall(),
    ]
    for query in queries:
        with pytest.raises(StoreError, match="An older version wrote this store") as refused:
            reader.read(query)
        assert "running engine" not in str(refused.value)
        assert "no such" not in str(refused.value)
        with held(folder), pytest.raises(StoreError, match="of an older version than this console") as refused:
            reader.read(query)
        assert "`rollout stop`" in str(refused.value)
    assert reader.log(3)  # the rest of the store is read as before

    conn = sqlite3.connect(folder.database, isolation_level=None)
    migrate(conn)
    with pytest.raises(StoreError, match="no such column: nonsense"):  # a bug is not blamed on a version
        reader.read(lambda conn: conn.execute("SELECT nonsense FROM extraction"))
    conn.execute(
        "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('rollout', 'of_next_year', '2030')"
    )
    with pytest.raises(StoreError, match="A newer version wrote this store"):
        reader.read(lambda conn: conn.execute("SELECT nonsense FROM extraction"))
    with held(folder), pytest.raises(StoreError, match="of a newer version than this console"):
        reader.read(lambda conn: conn.execute("SELECT nonsense FROM extraction"))
    conn.close()
    reader.close()
