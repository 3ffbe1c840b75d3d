"""The store's files belong to the owner of its folder, also after one `sudo rollout`; else the sentence names the remedy."""

from __future__ import annotations

import grp
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from engine.client.client import EngineClient
from engine.store import database, ownership, schema
from engine.store.folder import Folder, StoreError
from engine.store.holders import holders
from tests.engine.service.rig import NOBODY, EngineRig, as_nobody

assert schema  # loaded before a child process drops its rights: it may not read this machine's modules
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files for others")


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder of the user nobody, below one closed to everyone. Not in pytest's own, which another run of pytest closes."""
    with tempfile.TemporaryDirectory(prefix="rollout-home-") as above:
        os.chmod(above, 0o711)
        place = Path(above) / "home"
        place.mkdir()
        os.chown(place, NOBODY, NOBODY)
        yield place


def owners(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.lstat().st_uid for path in (folder, *folder.rglob("*"))}


@root_only
def test_what_an_engine_of_root_makes_belongs_to_the_owner_of_the_folder(home: Path) -> None:
    with EngineRig(home, speed=None) as rig:
        process = rig.engine()
        rig.extract("a")
        assert rig.client.command("sign", item="backups", stage=0).sentence  # whatever it answers, it may write
        asked = as_nobody(lambda: structs.asdict(EngineClient(rig.folder).command("hold", reason="nobody holds")))
        assert asked["ok"], asked
        process.terminate()
        process.wait(20)
        made = owners(rig.folder.path)
        assert {"store.db", "lock", "engine.log", "ballast"} <= set(made)
        assert {name: uid for name, uid in made.items() if uid != NOBODY} == {}

        def write() -> dict[str, Any]:
            folder = Folder(rig.folder.path)
            folder.prepare()
            lock = folder.try_lock()
            assert lock is not None
            database.create(folder)
            with sqlite3.connect(folder.database) as conn:
                conn.execute("UPDATE lease SET clean = 1")
            folder.prepare_armed_file("by its owner")
            folder.arm()
            return {"done": True}

        assert as_nobody(write) == {"done": True}


@root_only
def test_files_that_root_left_before_are_given_back_and_other_files_of_root_are_not(home: Path) -> None:
    folder = Folder(home / "store")
    folder.path.mkdir()
    os.chown(folder.path, NOBODY, NOBODY)
    for name in ("store.db", "lock"):
        (folder.path / name).write_bytes(b"")
    elsewhere = home / "of-root"
    elsewhere.write_text("a file of root's that the owner has linked into the store")
    os.chown(elsewhere, 0, 0)
    os.link(elsewhere, folder.path / "armed")
    os.symlink(elsewhere, folder.path / "ballast")
    folder.prepare()
    made = owners(folder.path)
    assert made["store.db"] == made["lock"] == NOBODY
    assert elsewhere.stat().st_uid == 0


@root_only
def test_a_locked_out_owner_learns_whose_the_files_are_and_what_to_do(home: Path) -> None:
    folder = Folder(home / "store")
    folder.path.mkdir()
    folder.path.chmod(0o700)
    os.chown(folder.path, NOBODY, NOBODY)
    folder.database.write_bytes(b"")
    folder.database.chmod(0o600)

    def closed() -> dict[str, Any]:
        sentences = []
        for attempt in (folder.prepare, lambda: database.open_reader(folder)):
            try:
                attempt()
            except StoreError as error:
                sentences.append(str(error))
        return {"sentences": sentences}

    wanted = (
        f"store.db in {folder.path} belongs to root, although the folder is yours: sudo chown -R nobody: {folder.path}"
    )
    assert as_nobody(closed) == {"sentences": [wanted] * 2}


@root_only
def test_a_stranger_learns_whose_the_store_is(home: Path) -> None:
    folder = Folder(home.with_name("roots"))
    folder.prepare()
    database.create(folder)
    answer = as_nobody(lambda: {"why": ownership.why_no_access(folder.path, folder.database)})
    assert answer["why"].startswith(
        f"The store in {folder.path} belongs to root: run this as root (`sudo -u root rollout ...`)"
    )
    group = grp.getgrgid(0).gr_name
    folder.path.chmod(0o2770)
    answer = as_nobody(lambda: {"why": ownership.why_no_access(folder.path, folder.database)})
    assert (
        f"is open to the group {group}, which nobody is not in: ask for `sudo usermod -aG {group} nobody`"
        in answer["why"]
    )


@root_only
def test_a_colleague_s_process_may_be_the_engine_only_if_it_holds_a_lock(home: Path) -> None:
    folder = Folder(home)
    hold = "import fcntl, sys; kept = open(sys.argv[1], 'w'); fcntl.flock(kept, 2) if sys.argv[2] == 'hold' else None"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", f"{hold}; print(1, flush=True); input()", str(home / f"{how}-rollout"), how],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for how in ("look", "hold")
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            process.stdout.readline()
        looker, holder = (process.pid for process in processes)
        hidden = as_nobody(lambda: {"pids": holders(folder)[1]})["pids"]
        assert holder in hidden
        assert looker not in hidden
    finally:
        for process in processes:
            process.kill()
            process.communicate()


@root_only
def test_a_folder_that_root_makes_in_a_persons_folder_is_that_persons(home: Path, tmp_path: Path) -> None:
    Folder(home / "deep" / "store").prepare()
    assert {(home / "deep").stat().st_uid, (home / "deep" / "store").stat().st_uid} == {NOBODY}
    open_to_all = home / "tmp"
    open_to_all.mkdir()
    open_to_all.chmod(0o1777)
    Folder(open_to_all / "store").prepare()
    assert (open_to_all / "store").stat().st_uid == 0


def test_a_store_of_a_newer_version_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with EngineRig(tmp_path, speed=None) as rig:
        rig.folder.prepare()
        database.create(rig.folder)
        with sqlite3.connect(rig.folder.database) as conn:
            conn.execute(
                "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('rollout', 'of_next_year', '2027')"
            )
        conn.close()
        before = sqlite3.connect(rig.folder.database).execute("SELECT count(*) FROM _sqlite_migrations").fetchone()
        served: subprocess.CompletedProcess[str] = rig.cli("serve")
        assert served.returncode == 1
        assert "was written by a newer version of the rollout console (it has of_next_year" in served.stderr
        assert "Traceback" not in served.stderr
        after = sqlite3.connect(rig.folder.database).execute("SELECT count(*) FROM _sqlite_migrations").fetchone()
        assert before == after
        assert rig.cli("rollback", "--reason", "works all the same").returncode == 0
