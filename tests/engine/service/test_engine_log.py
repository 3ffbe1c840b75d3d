"""engine.log reports each problem once and never fills the disk."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from engine.server import process
from tests.engine.service.clocked import Clocked
from tests.engine.service.stage import COMMAND, QUIET, Stage

pytestmark = pytest.mark.anyio


async def test_what_fails_with_every_beat_is_written_whole_once_and_then_counted_ever_more_rarely(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with Clocked(tmp_path) as clocked:
        with caplog.at_level(logging.ERROR, logger="rollout.engine"):
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
            engine.event("Messages cannot be checked now: disk I/O error.")
            try:
                raise RuntimeError(f"the disk is odd, {beat} times")
            except RuntimeError as error:
                engine.trouble(error)
            clocked.clock.advance(1.0)
        results = [sentence for _, sentence in engine.events]
    assert "The rollback is in force and not yet recorded." in results
    assert len(results) <= 6


def test_a_long_engine_log_is_put_aside_when_the_next_engine_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "LOG_BYTES", 100)
    with Stage(tmp_path, QUIET) as stage:
        stage.folder.prepare()
        stage.folder.engine_log.write_text("an old line\n" * 20)
        stage.engine()
        assert "an old line" not in stage.folder.engine_log.read_text()
        assert (stage.folder.path / "engine.log.1").read_text() == "an old line\n" * 20


BROKEN = """
import sys
from pathlib import Path
from engine.server import process
from engine.service import engine
from engine.store.folder import Folder
async def broken(*_, **__):
    raise {error}
engine.Engine.open = broken
sys.exit(process.run(Path({plan!r}), Folder(Path({store!r})), foreground={foreground}))
"""


@pytest.mark.parametrize("foreground", [True, False])
@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("ValueError('boom inside')", "internal fault (ValueError); your settings are not the cause"),
        ("KeyError('boom inside')", "internal fault (KeyError); your settings are not the cause"),
        ("OSError(28, 'boom inside')", "The engine cannot run: boom inside."),
    ],
)
def test_what_breaks_the_start_is_one_sentence_and_a_traceback_in_the_log(
    tmp_path: Path, foreground: bool, error: str, words: str
) -> None:
    stage = Stage(tmp_path, speed=None)
    stage.folder.prepare()
    code = BROKEN.format(error=error, plan=str(stage.plan_path), store=str(stage.folder.path), foreground=foreground)
    with stage.folder.engine_log.open(
        "ab"
    ) as engine_log:  # where the standard error of an engine in the background goes
        ended = subprocess.run(
            [sys.executable, "-c", code], stderr=subprocess.PIPE if foreground else engine_log, text=True
        )
    assert ended.returncode == 1
    logged = stage.folder.engine_log.read_text()
    assert logged.count("Traceback") == 1
    assert "boom inside" in logged
    assert words in process.last_words(stage.folder)
    if foreground:
        assert words in ended.stderr
        assert ended.stderr.count("\n") == 1


def test_an_engine_in_the_foreground_writes_engine_log_too(tmp_path: Path) -> None:
    with Stage(tmp_path, speed=None) as stage:
        served = subprocess.Popen(
            [*COMMAND, *stage._where, "serve"], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        stage.processes.append(served)
        assert stage.until(
            lambda: stage.folder.engine_log.exists() and "engine up" in stage.folder.engine_log.read_text()
        )
