"""Rollback always works: on a disk that is full, and on one that the kernel has made read-only."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from engine.client import client
from engine.server.spawning import wait_until_up
from engine.store.reader import Reader
from tests.engine.service.rig import QUIET, TEXT, EngineRig
from tests.machine import crowd


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 8 MB of its own."""
    root = tmp_path / "disk"
    root.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(root)], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {made.stderr.strip()}")
    yield root
    subprocess.run(["umount", "-l", str(root)], check=True)


@dataclass(frozen=True)
class BreakingDisk:
    """A disk that the kernel makes read-only after an error, as it does with a real one that fails."""

    image: Path
    root: Path

    def fails(self) -> None:
        _run("sync", "-f", str(self.root))
        _run("mount", "-o", "remount,abort", str(self.root))

    def is_repaired(self) -> None:
        """As after a reboot. A copy: what another process, in a mount namespace of its own, still has mounted stays broken."""
        _run("umount", str(self.root))
        repaired = self.image.with_name("repaired")
        _run("cp", "--sparse=always", str(self.image), str(repaired))
        subprocess.run(["fsck.ext4", "-p", str(repaired)], capture_output=True, check=False)  # 1: it was repaired
        _run("mount", "-o", "loop", str(repaired), str(self.root))


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no disk can be broken here: {done.stderr.strip()}")


@pytest.fixture
def breaking_disk(tmp_path: Path) -> Iterator[BreakingDisk]:
    disk = BreakingDisk(tmp_path / "image", tmp_path / "disk")
    disk.root.mkdir()
    if shutil.which("mkfs.ext4") is None:
        pytest.skip("apt-get install e2fsprogs")
    with disk.image.open("wb") as file:
        file.truncate(64 << 20)
    _run("mkfs.ext4", "-q", str(disk.image))
    _run("mount", "-o", "loop", str(disk.image), str(disk.root))
    yield disk
    subprocess.run(["umount", "-l", str(disk.root)], check=True)


def fill(disk: Path) -> Path:
    """To the last byte."""
    filler = disk / "filler"
    with filler.open("ab", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    return filler


@pytest.mark.parametrize("alive", [True, False], ids=["by the engine", "without an engine"])
def test_a_rollback_on_a_disk_gone_read_only_holds_for_the_engine_after_the_repair(
    breaking_disk: BreakingDisk, alive: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the record nor the removal of the armed file reaches that disk: the next engine would return to 25 %."""
    monkeypatch.setattr(client, "PUSH_TIMEOUT_S", 10.0)  # this is about the disk, not about a busy machine
    with EngineRig(breaking_disk.root / "s", QUIET) as rig:
        process = rig.engine()
        rig.climb(3)
        breaking_disk.fails()
        if alive:
            result = rig.client.rollback("the disk is broken")
            assert (result.ok, result.rev) == (True, None)
            assert rig.proof(result.request_id)["effective_ms"] < 1000 * crowd()
            assert "still retrying" in result.sentence
        rig.end()
        process.wait()
        if not alive:
            result = rig.client.rollback("the disk is broken")
            assert not result.ok  # an engine of another user would not see the rollback
            assert "accepts no writes" in result.sentence
            assert "goes to 0 % as soon as it answers or starts" in result.sentence
        assert rig.folder.is_armed()
        shown = rig.cli("status").stdout
        assert "the next engine goes to 0 % first" in shown
        assert rig.cli("serve").stderr.startswith("The engine cannot run: the store's disk is mounted read-only; ")
        breaking_disk.is_repaired()
        rig.reader = Reader(rig.folder)
        rig.engine()
        assert rig.percent_bp == 0
        assert rig.until(lambda: not rig.folder.has_intents())
        assert not rig.folder.is_armed()
        assert rig.reader.log(5, kind="rollback")[0].reason == "the disk is broken"


def test_an_engine_that_cannot_start_on_a_full_disk_says_what_to_do(small_disk: Path) -> None:
    with EngineRig(small_disk / "s", None) as rig:
        process = rig.engine()
        rig.climb(2)
        process.kill()
        process.wait()
        rig.folder.drop_ballast()
        filler = fill(small_disk)
        room = "the store's disk is full; free some space."
        served = rig.cli("serve")
        assert (served.returncode, served.stderr.strip()) == (1, f"The engine cannot run: {room}")
        assert wait_until_up(rig.folder, rig.engine(wait=False), 10.0 * crowd()) == f"The engine cannot run: {room}"
        filler.unlink()
        rig.engine()
        assert rig.percent_bp == 1000


def test_on_a_full_disk_the_ballast_lets_it_be_recorded_and_without_it_that_waits_for_room(small_disk: Path) -> None:
    with EngineRig(small_disk, QUIET) as rig:
        process = rig.engine()
        rig.climb(2)
        filler = fill(small_disk)
        result = rig.client.rollback("the disk is full")
        assert result.ok
        assert not rig.folder.is_armed()
        assert rig.until(lambda: rig.percent_bp == 0, 3)
        assert rig.proof(result.request_id)["effective_ms"] is not None

        filler.unlink()
        rig.climb(2)
        rig.folder.drop_ballast()
        filler = fill(small_disk)
        result = rig.client.rollback("the disk is full again")
        assert result.ok
        assert not rig.folder.is_armed()
        assert rig.proof(result.request_id)["effective_ms"] is not None
        filler.unlink()  # it may have found room in the database's own log; if not, it is recorded now
        assert rig.until(lambda: rig.percent_bp == 0, 3)

        rig.climb(2)
        rig.folder.lay_ballast()
        process.kill()
        process.wait()
        with contextlib.closing(sqlite3.connect(rig.folder.database)) as conn:
            conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # or the one below would need room for all of its pages
        fill(small_disk)
        result = rig.client.rollback("the disk is full and the engine dead")
        assert "committed by this console" in result.ways
        with contextlib.closing(sqlite3.connect(rig.folder.database)) as conn:
            conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # a log that is kept has room for one more record
        fill(small_disk)
        result = rig.client.rollback("and now the ballast is spent")  # this is what it is for
        assert result.ok
        assert result.rev is None
        assert not rig.folder.is_armed()


def test_on_a_full_disk_a_document_is_answered_that_it_is_not_stored(small_disk: Path) -> None:
    with EngineRig(small_disk / "s", speed=None) as rig:
        rig.engine()
        assert rig.client.request("POST", "/v1/extract", {"id": "before", "text": TEXT}, 20.0)[0] == 200
        address = rig.view.engine.address
        filler = fill(small_disk)
        for number in range(3):
            began = time.monotonic()
            status, answer = rig.client.request(
                "POST", "/v1/extract", {"id": f"full-{number}", "text": TEXT * 400}, 30.0
            )
            assert (status, answer["code"]) == (503, "store"), answer
            assert time.monotonic() - began < 15 * crowd()
        assert rig.until(lambda: "ALERT: documents get 503" in rig.cli("status").stdout)
        assert rig.cli("status").returncode == 1, "a monitor calls someone"
        figures = httpx.get(f"{address}/metrics", headers={"Accept": "text/plain; version=0.0.4"}, timeout=20.0).text
        assert "\nrollout_refusing_documents 1.0\n" in figures
        filler.unlink()
        assert rig.until(
            lambda: rig.client.request("POST", "/v1/extract", {"id": "after", "text": TEXT}, 20.0)[0] == 200
        )


def test_a_store_on_a_disk_mounted_read_only_is_reported_as_such(small_disk: Path) -> None:
    with EngineRig(small_disk / "rollout", speed=None, settings={"llm.url": "http://127.0.0.1:9"}) as rig:
        rig.engine()
        assert rig.cli("stop").returncode == 0
        assert rig.until(lambda: not rig.folder.is_locked())
        rig.reader.close()
        _run("mount", "-o", "remount,ro", str(small_disk))
        ended = rig.cli("serve")
        assert ended.returncode == 1
        assert ended.stderr.startswith("The store cannot be used: the store's disk is mounted read-only; ")
