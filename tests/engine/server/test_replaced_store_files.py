"""The store's files are swapped, removed or overwritten under a live engine: 0 %, 503, a loud report, and nothing written there."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.service import loop, snapshot
from engine.store.reader import Reader
from tests.engine.routing.running_engine import FULL, running
from tests.engine.service.rig import QUIET, TEXT, EngineRig
from tests.stub_llm import StubLlm


def restored_backup(store: Path, copy: Path) -> Path:
    """A backup moved over the database, as a restore from another machine does."""
    copy.replace(store / "store.db")
    return store / "store.db"


def overwritten(store: Path, copy: Path) -> Path:
    """The same inode, other bytes."""
    (store / "store.db").write_bytes(copy.read_bytes())
    return store / "store.db"


def log_removed(store: Path, copy: Path) -> Path | None:
    (store / "store.db-wal").unlink()
    return None


def emptied(store: Path, copy: Path) -> Path:
    """The same inode, which no longer can be read."""
    os.truncate(store / "store.db", 0)
    return store / "store.db"


def log_cut(store: Path, copy: Path) -> Path | None:
    """The same inode; what was in it is lost."""
    os.truncate(store / "store.db-wal", 0)
    return None


def lock_removed(store: Path, copy: Path) -> Path | None:
    (store / "lock").unlink()
    return None


def folder_swapped(store: Path, copy: Path) -> Path:
    store.rename(store.with_name("store-before"))
    store.mkdir(0o700)
    copy.replace(store / "store.db")
    (store / "armed").touch()
    return store / "store.db"


@pytest.mark.parametrize(
    "swap", [restored_backup, overwritten, emptied, log_removed, log_cut, lock_removed, folder_swapped]
)
def test_a_store_that_is_not_the_one_that_was_opened_takes_nothing(
    tmp_path: Path, swap: Callable[[Path, Path], Path | None]
) -> None:
    with EngineRig(tmp_path, QUIET) as rig:
        engine = rig.engine()
        rig.climb(2)
        copy = tmp_path / "copy.db"
        assert rig.cli("backup", str(copy)).returncode == 0
        rig.climb(5)
        assert rig.until(lambda: rig.view.effective_bp == 10_000)
        address = rig.view.engine.address
        there = swap(rig.folder.path, copy)
        before = hashlib.sha256(there.read_bytes()).hexdigest() if there else ""

        def refused() -> bool:
            status, body = _post(address, {"id": "late", "text": TEXT})
            return status == 503 and any(word in body for word in ("replaced", "removed", "overwritten", "was cut"))

        assert rig.until(refused, 10)
        status, body = _get(address, "/v1/status")
        assert status == 200
        assert '"effective_bp":0' in body
        assert "ALARM" in body
        assert _get(address, "/healthz")[0] == 503
        engine.terminate()
        assert engine.wait(20) == 0
        assert not there or hashlib.sha256(there.read_bytes()).hexdigest() == before
        left = {path.name for path in rig.folder.path.iterdir()}
        if swap is folder_swapped:
            assert left == {"store.db", "armed"} or left == {"store.db"}
            shutil.rmtree(tmp_path / "store-before")
        elif there:
            assert "store.db-wal" not in left  # it would be replayed into the other database


def test_an_engine_whose_store_was_deleted_is_shown_and_can_be_stopped(tmp_path: Path) -> None:
    with EngineRig(tmp_path, QUIET) as rig:
        engine = rig.engine()
        rig.climb(2)
        shutil.rmtree(rig.folder.path)
        shown = rig.cli("status")
        assert shown.returncode == 1
        assert "Its engine still runs, though its files were deleted" in shown.stderr
        assert "or stuck" not in shown.stderr
        done = rig.cli("stop")
        assert done.returncode == 0, done.stdout
        assert "has stopped" in done.stdout
        assert engine.wait(1) == 0
        assert "No engine runs" in rig.cli("stop").stdout


def test_a_restored_backup_starts_though_a_console_still_has_the_database_before_it_open(tmp_path: Path) -> None:
    with EngineRig(tmp_path, QUIET) as rig:
        engine = rig.engine()
        rig.climb(2)
        assert rig.cli("backup", str(tmp_path / "copy.db")).returncode == 0
        console = Reader(rig.folder)
        console.state()
        restored_backup(rig.folder.path, tmp_path / "copy.db")
        engine.terminate()
        assert engine.wait(20) == 0
        rig.reader.close()
        rig.engine()
        assert (rig.percent_bp, console.state().percent_bp) == (0, 0)
        console.close()


@pytest.mark.anyio
async def test_a_client_that_the_writer_refuses_sees_0_percent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "TICK_S", 60.0)  # the writer sees it first
    async with StubLlm() as stub, running(tmp_path, stub, FULL) as place:
        place.engine.view = snapshot.view(place.engine)
        assert place.engine.view.effective_bp == 10_000
        path = place.engine.folder.path
        path.rename(path.with_name("store-before"))
        path.mkdir(0o700)
        with pytest.raises(OSError, match="was replaced"):
            await asyncio.wrap_future(place.engine.writer.write(lambda conn: None))
        assert (place.engine.view.effective_bp, place.engine.switch.read().percent_bp) == (0, 0)
        assert "was replaced" in place.engine.switch.shut
        assert any("ALARM" in sentence for _, sentence in place.engine.events)


def _post(address: str, body: dict[str, str]) -> tuple[int, str]:
    import httpx

    # without certificates, which take 60 ms to read
    try:
        answer = httpx.post(f"{address}/v1/extract", json=body, timeout=10.0, verify=False, trust_env=False)
    except httpx.HTTPError:
        return 0, ""
    return answer.status_code, answer.text


def _get(address: str, path: str) -> tuple[int, str]:
    import httpx

    answer = httpx.get(f"{address}{path}", timeout=10.0, verify=False, trust_env=False)
    return answer.status_code, answer.text
