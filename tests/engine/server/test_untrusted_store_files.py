"""Whatever a member of the store's group puts into its folder: it reaches no other file, runs nothing and stops no engine."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from console.output import write_text
from console.plan_commands import localized
from console.terminal.escape import keep
from engine import files
from engine.service.apply import Applier
from engine.store import backup, database, ownership
from tests.engine.service.rig import QUIET, EngineRig
from tests.machine import crowd

SECRET = "no one may change this"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A file of the owner, outside the store."""
    path = tmp_path / "target"
    path.write_text(SECRET)
    return path


def a_link(path: Path, target: Path) -> None:
    path.symlink_to(target)


def a_pipe(path: Path, target: Path) -> None:
    os.mkfifo(path)


def a_folder(path: Path, target: Path) -> None:
    path.mkdir()
    (path / "in it").touch()


PLANTED = [a_link, a_pipe, a_folder]
Plant = Callable[[Path, Path], None]


def test_an_intent_that_is_not_a_file_stops_neither_the_engine_nor_promotion(tmp_path: Path, target: Path) -> None:
    with EngineRig(tmp_path / "rig", QUIET) as rig:
        rig.engine()
        for plant in PLANTED:
            plant(rig.folder.path / f"x-{plant.__name__}.intent", target)
            plant(rig.folder.path / f"rollback-{plant.__name__}.intent", target)
        beat = rig.reader.engine_record().heartbeat
        assert rig.until(lambda: rig.reader.engine_record().heartbeat > beat + 1.5, 10)
        rig.climb(3)
        assert rig.percent_bp > 0
        assert "rollback" not in rig.kinds()
        assert rig.client.rollback("with rubbish in the folder").ok
        assert rig.until(lambda: rig.percent_bp == 0, 5)
    assert target.read_text() == SECRET


@pytest.mark.parametrize("plant", PLANTED)
@pytest.mark.parametrize("names", [("applied", "ballast", "engine.log.1"), ("applied.part", ".applied.part")])
def test_an_engine_starts_and_serves_beside_what_was_planted(
    tmp_path: Path, target: Path, plant: Plant, names: tuple[str, ...]
) -> None:
    with EngineRig(tmp_path / "rig", QUIET, settings={"apply.env_file": str(tmp_path / "rollout.env")}) as rig:
        rig.folder.prepare()
        (rig.folder.path / "lock").touch()
        for name in names:
            plant(rig.folder.path / name, target)
        rig.engine()
        rig.climb(1)
        assert rig.extract("one")["method"] == "frequency"
    assert target.read_text() == SECRET


@pytest.mark.parametrize("plant", PLANTED)
@pytest.mark.parametrize("name", ["store.db", "store.db-wal", "store.db-shm", "lock", "engine.log"])
def test_what_an_engine_cannot_do_without_is_refused_at_once(
    tmp_path: Path, target: Path, plant: Plant, name: str
) -> None:
    with EngineRig(tmp_path / "rig", QUIET) as rig:
        database.create(rig.folder)
        path = rig.folder.path / name
        path.unlink(missing_ok=True)
        plant(path, target)
        began = time.monotonic()
        try:
            process = rig.engine(wait=False)
            process.wait(20 * crowd())
        except OSError:  # a log that cannot be opened: no process was started
            pass
        assert time.monotonic() - began < 20 * crowd()
    assert target.read_text() == SECRET
    assert not os.path.exists(f"{target}-wal")


@pytest.mark.parametrize("plant", [a_pipe, a_folder, a_link])
def test_looking_at_the_lock_waits_for_nothing(tmp_path: Path, target: Path, plant: Plant) -> None:
    with EngineRig(tmp_path / "rig", QUIET) as rig:
        rig.folder.prepare()
        plant(rig.folder.lock, target)
        with pytest.raises(OSError, match=r"regular|symbolic"):
            rig.folder.is_locked()


def test_a_writing_connection_follows_no_planted_log(tmp_path: Path, target: Path) -> None:
    with EngineRig(tmp_path / "rig", QUIET) as rig:
        database.create(rig.folder)
        Path(f"{rig.folder.database}-wal").unlink(missing_ok=True)
        Path(f"{rig.folder.database}-wal").symlink_to(target)
        with pytest.raises(sqlite3.OperationalError, match="not a regular file"):
            database.open_writer(rig.folder, "FULL")
        result = rig.client.rollback("with a planted log")
        assert "committed by this console" not in result.ways
    assert target.read_text() == SECRET


@pytest.mark.parametrize("name", [".out.json.part", "out.json.part", "out.json"])
def test_an_output_follows_no_planted_link(tmp_path: Path, target: Path, name: str) -> None:
    (tmp_path / name).symlink_to(target)
    write_text(tmp_path / "out.json", "{}")
    assert (tmp_path / "out.json").read_text() == "{}"
    assert target.read_text() == SECRET


def test_a_backup_and_a_kept_screen_follow_no_planted_link(
    tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with EngineRig(tmp_path / "rig", QUIET) as rig:
        database.create(rig.folder)
        for name in ("copy.db.part", "copy.db"):
            (tmp_path / name).symlink_to(target)
        assert backup.take(rig.folder, tmp_path / "copy.db").ok
        assert not (tmp_path / "copy.db").is_symlink()
        assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("time.strftime", lambda *_: "now")
    os.mkfifo(tmp_path / "now.txt")
    assert keep("a screen") == tmp_path / "now.txt"
    assert target.read_text() == SECRET


def test_a_folder_that_someone_else_made_is_not_the_engine_s(tmp_path: Path) -> None:
    """Automatic backups go to `backups`, and old ones there are deleted."""
    store, elsewhere = tmp_path / "store", tmp_path / "elsewhere"
    store.mkdir()
    elsewhere.mkdir()
    assert ownership.make_private(store / "backups") == ownership.make_private(store / "backups") == ""
    (store / "backups").chmod(0o770)
    assert "move it away" in ownership.make_private(store / "backups")
    (store / "backups").rmdir()
    for plant in (lambda path: path.symlink_to(elsewhere), os.mkfifo, lambda path: path.touch()):
        plant(store / "backups")
        assert "move it away" in ownership.make_private(store / "backups")
        (store / "backups").unlink()


@pytest.mark.anyio
async def test_what_was_applied_is_written_through_no_link(tmp_path: Path, target: Path) -> None:
    from engine.plan.settings import Apply

    (tmp_path / "applied").symlink_to(target)
    applier = Applier(Apply(str(tmp_path / "env")), tmp_path / "applied")
    applier.catch_up(["export A=1"])
    assert applier._task is not None
    await applier._task
    assert not os.path.islink(tmp_path / "applied")  # noqa: ASYNC240
    assert target.read_text() == SECRET  # noqa: ASYNC240


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:8080$(touch hacked)", "http://127.0.0.1:8080;id", "`id`", "http://x:1/ ; id #", "$(id)", "http://a b:1",
        "http://127.0.0.1:80\nid", "file:///etc/passwd",
    ],
)  # fmt: skip
def test_an_address_from_the_store_is_an_address_or_nothing(tmp_path: Path, address: str) -> None:
    with EngineRig(tmp_path / "rig", QUIET, settings={"http.port": 8080}) as rig:
        line = "curl -s http://localhost:8080/metrics"
        assert localized(line, rig.plan, address) == line
        assert localized(line, rig.plan, "http://127.0.0.1:9") == "curl -s http://127.0.0.1:9/metrics"
        assert localized(line, rig.plan, "http://[::1]:9") == "curl -s http://[::1]:9/metrics"


def test_a_command_to_copy_is_quoted(tmp_path: Path) -> None:
    with EngineRig(tmp_path / "a $(touch hacked) folder", QUIET) as rig:
        rig.folder.prepare()
        (rig.folder.armed / "a file").mkdir(parents=True)  # an empty folder would be removed
        assert f"rm -r '{rig.folder.armed}'" in rig.client.rollback("quoted").sentence


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(OSError, match="larger"):
        files.read(path)
    assert files.tail(path, 10) == b"\0" * 10
