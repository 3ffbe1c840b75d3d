"""engine.log tells each trouble once and never fills the disk."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from engine.server import process
from tests.engine.service.clocked import Clocked
from tests.engine.service.stage import Stage

pytestmark = pytest.mark.anyio


async def test_what_fails_with_every_beat_is_written_whole_once_and_then_counted_ever_more_rarely(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with Clocked(tmp_path) as clocked:
        with caplog.at_level(logging.ERROR):
            for number in range(150):
                try:
                    raise RuntimeError(f"the disk is odd, {number} times")
                except RuntimeError as error:
                    clocked.engine.trouble(error)
        written = [record.getMessage() for record in caplog.records]
    assert ["Traceback" in text for text in written] == [True, False, False]
    assert [text.rpartition("now ")[2] for text in written[1:]] == ["10 times)", "100 times)"]


async def test_two_troubles_that_come_with_every_beat_do_not_drive_out_what_else_people_should_see(
    tmp_path: Path,
) -> None:
    async with Clocked(tmp_path) as clocked:
        engine = clocked.engine
        engine.event("The rollback is in force and not yet recorded.")
        for beat in range(120):
            engine.event("Messages are not looked at now: disk I/O error.")
            try:
                raise RuntimeError(f"the disk is odd, {beat} times")
            except RuntimeError as error:
                engine.trouble(error)
            clocked.clock.advance(1.0)
        said = [sentence for _, sentence in engine.events]
    assert "The rollback is in force and not yet recorded." in said
    assert len(said) <= 6


def test_a_long_engine_log_is_put_aside_when_the_next_engine_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "LOG_BYTES", 100)
    with Stage(tmp_path) as stage:
        stage.folder.prepare()
        stage.folder.engine_log.write_text("an old line\n" * 20)
        stage.engine()
        assert "an old line" not in stage.folder.engine_log.read_text()
        assert (stage.folder.path / "engine.log.1").read_text() == "an old line\n" * 20
