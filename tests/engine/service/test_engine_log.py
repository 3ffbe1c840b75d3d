"""engine.log reports each problem once and never fills the disk."""

from __future__ import annotations

import json
import logging
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from engine.server import engine_log
from tests.engine.service.clocked import Clocked
from tests.engine.service.rig import COMMAND, QUIET, EngineRig

pytestmark = pytest.mark.anyio


async def test_a_fault_beside_a_batch_and_one_of_a_probe_of_ours_are_written_whole(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def probe() -> None:
        raise KeyError("a list of models in another shape")

    def job(conn: sqlite3.Connection) -> None:
        raise ValueError("a view that cannot be written")

    async with Clocked(tmp_path, {"trigger_settings.probe_every": "100ms"}) as c:
        with caplog.at_level(logging.ERROR, logger="rollout.engine"):
            c.engine.writer.later(job)
            failed = c.engine.monitor.probing.failed
            monkeypatch.setattr(c.engine.pool, "probe", probe)
            await c.settled(lambda: c.engine.writer.faults or "cannot be written" in caplog.text)
            await c.settled(lambda: "models in another shape" in caplog.text)
            await c.passes(10)
            assert "in job\n" in caplog.text
            assert "ValueError: a view that cannot be written" in caplog.text
            assert c.engine.monitor.probing.failed == failed, "it says nothing about the service"


async def test_what_fails_with_every_beat_is_written_whole_once_and_then_counted_ever_more_rarely(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with Clocked(tmp_path) as clocked:
        with caplog.at_level(logging.ERROR, logger="rollout.engine"):
            clocked.engine.trouble(ValueError("two\nlines\x1b[2J"))
            assert "ValueError: two lines·[2J. Details" in clocked.engine.events[-1][1]
            caplog.clear()
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
    monkeypatch.setattr(engine_log, "LOG_BYTES", 100)
    with EngineRig(tmp_path, QUIET) as rig:
        rig.folder.prepare()
        rig.folder.engine_log.write_text("an old line\n" * 20)
        rig.engine()
        assert "an old line" not in rig.folder.engine_log.read_text()
        assert (rig.folder.path / "engine.log.1").read_text() == "an old line\n" * 20


# one program that forks for each row: importing the engine takes most of a start
BROKEN = """
import json, os, sys
from pathlib import Path
from engine.server import process
from engine.service import engine
from engine.store.folder import Folder
for error, foreground, plan, store, output in json.loads(sys.argv[1]):
    async def broken(*_, **__):
        raise eval(error)
    if os.fork() == 0:
        os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
        engine.Engine.open = broken
        os._exit(process.run(Path(plan), Folder(Path(store)), foreground=foreground))
    print(os.waitstatus_to_exitcode(os.wait()[1]))
"""


def test_what_breaks_the_start_is_one_sentence_and_a_traceback_in_the_log(tmp_path: Path) -> None:
    rigs: list[tuple[EngineRig, str, bool]] = []
    rows: list[tuple[object, ...]] = []
    for error, words in (
        ("ValueError('boom inside\\x1b]0;owned\\x07')", "internal fault (ValueError); your settings are not the cause"),
        ("KeyError('boom inside')", "internal fault (KeyError); your settings are not the cause"),
        ("OSError(28, 'boom inside')", "The engine cannot run: boom inside."),
    ):
        for foreground in (True, False):
            rig = EngineRig(tmp_path / str(len(rigs)), speed=None)
            rig.folder.prepare()
            # the standard error of an engine in the background is engine.log
            output = rig.root / "stderr" if foreground else rig.folder.engine_log
            rigs.append((rig, words, foreground))
            rows.append((error, foreground, str(rig.plan_path), str(rig.folder.path), str(output)))
    ended = subprocess.run([sys.executable, "-c", BROKEN, json.dumps(rows)], capture_output=True, text=True)
    assert ended.stdout.split() == ["1"] * len(rows), ended.stderr
    for rig, words, foreground in rigs:
        logged = rig.folder.engine_log.read_text()
        assert logged.count("Traceback") == 1
        assert "boom inside" in logged
        assert "\x1b" not in logged, "an escape would act in the terminal that shows the log"
        assert words in engine_log.last_words(rig.folder)
        if foreground:
            printed = (rig.root / "stderr").read_text()
            assert words in printed
            assert printed.count("\n") == 1


def test_an_engine_in_the_foreground_writes_engine_log_too(tmp_path: Path) -> None:
    with EngineRig(tmp_path, speed=None) as rig:
        served = subprocess.Popen([*COMMAND, *rig._where, "serve"], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        rig.processes.append(served)
        assert rig.until(lambda: rig.folder.engine_log.exists() and "engine up" in rig.folder.engine_log.read_text())
