"""A rehearsal that is kept and opened again goes on where it was."""

from __future__ import annotations

from pathlib import Path

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
