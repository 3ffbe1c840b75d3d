"""A rollback drill takes the real way on a store of its own: it measures, cleans up and leaves the live one alone."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from engine.plan.load import default_plan_text, parse_plan
from engine.service import drill
from engine.store.folder import Folder

PLAN = parse_plan(default_plan_text())


def test_a_drill_measures_from_the_key_press_to_a_router_and_to_the_disk_and_leaves_nothing(tmp_path: Path) -> None:
    store = Folder(tmp_path / "store")
    store.prepare()
    store.armed.write_text("live\n")
    result = drill.drill(store, PLAN)
    assert result.ok, result.trouble
    assert result.effective_ms is not None
    assert result.recorded_ms is not None
    assert [path.name for path in store.path.iterdir()] == ["armed"]
    assert store.armed.read_text() == "live\n"


def test_an_armed_file_that_cannot_be_removed_fails_the_drill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Folder, "disarm", lambda self: False)
    monkeypatch.setattr(drill.log, "commit", lambda *_, **__: None)
    monkeypatch.setattr(drill, "LIMIT_S", 0.2)
    result = drill.drill(Folder(tmp_path / "store"), PLAN)
    assert not result.ok
    assert "did not read 0 %" in result.trouble


def test_when_it_fails_half_way_nothing_still_reads_what_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_: Folder) -> bool:
        raise OSError("the disk is gone")

    monkeypatch.setattr(Folder, "disarm", fails)
    before = threading.enumerate()
    result = drill.drill(Folder(tmp_path / "store"), PLAN)
    assert "the disk is gone" in result.trouble
    assert [thread for thread in threading.enumerate() if thread not in before] == []


def test_a_folder_that_takes_no_file_fails_it_in_words(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file where the folder should be")
    result = drill.drill(Folder(tmp_path / "store"), PLAN)
    assert not result.ok
    assert result.trouble
