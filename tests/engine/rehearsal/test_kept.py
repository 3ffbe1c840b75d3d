"""A rehearsal that is kept and opened again goes on where it was."""

from __future__ import annotations

from pathlib import Path

from engine.plan.load import default_plan_text
from engine.server.rehearse import Rehearsal
from tests.engine.service.stage import Stage


def test_the_calendar_of_a_kept_rehearsal_never_runs_backwards(tmp_path: Path) -> None:
    with Stage(tmp_path, speed=3600.0) as stage:
        first = stage.engine()
        began = stage.view.at
        assert stage.until(lambda: stage.view.at > began + 7200)
        first.terminate()
        assert first.wait(15) == 0
        ended = stage.view.at
        stage.engine()
        assert stage.until(lambda: stage.view.engine.pid != first.pid)
        assert stage.view.at >= ended


def test_a_kept_rehearsal_continues_under_its_own_plan(tmp_path: Path) -> None:
    with Rehearsal(keep=tmp_path) as first:
        assert first.start() == ""
    edited = first.plan_path.read_text() + "# edited\n"
    first.plan_path.write_text(edited)
    with Rehearsal(keep=tmp_path) as second:
        assert second.start() == ""
    assert second.plan_path.read_text() == edited


def test_a_rehearsal_never_overwrites_a_real_plan(tmp_path: Path) -> None:
    plan = tmp_path / "rollout.toml"
    plan.write_text(default_plan_text())
    with Rehearsal(keep=tmp_path) as rehearsal:
        assert "real rollout" in rehearsal.start()
    assert plan.read_text() == default_plan_text()
