"""The log records when an engine started, why it stopped, and that none ran for weeks."""

from __future__ import annotations

import signal
import sqlite3
import time
from pathlib import Path

import pytest

from engine.store import lease
from tests.engine.service.rig import EngineRig


def rows(stage: EngineRig, kind: str) -> list[str]:
    return [row.sentence for row in stage.reader.log(100, kind=kind)][::-1]


def test_start_stop_and_a_kill_are_in_the_log_and_a_hangup_ends_nothing(tmp_path: Path) -> None:
    with EngineRig(tmp_path, speed=None) as stage:
        for number in (signal.SIGTERM, signal.SIGINT):
            process = stage.engine()
            process.send_signal(signal.SIGHUP)  # a closed terminal, or `kill -HUP`: it continues
            assert stage.until(lambda: "received SIGHUP" in stage.folder.engine_log.read_text())
            assert stage.client.request("GET", "/healthz")[0] == 200
            process.send_signal(number)
            assert process.wait(20) == 0
        stopped = rows(stage, "engine_stop")
        assert [sentence.split(": ")[1] for sentence in stopped] == [
            f"it received {name}" for name in ("SIGTERM", "SIGINT")
        ]
        process = stage.engine()
        assert stage.cli("stop").returncode == 0
        process.wait(20)
        assert rows(stage, "engine_stop")[-1].endswith("asked for it")
        process = stage.engine()
        process.kill()
        process.wait()
        stage.engine()
        started = rows(stage, "engine_start")
        assert len(started) == 5
        assert "; the previous one" not in started[0]
        assert "the previous one ended at" in started[2]
        assert "did not end cleanly" in started[4]
        assert stage.cli("log", "--verify").returncode == 0


@pytest.mark.parametrize(("days", "held"), [(21, True), (0.1, False)])
def test_weeks_without_an_engine_leave_a_trace_and_bring_the_rollout_back_held(
    tmp_path: Path, days: float, held: bool
) -> None:
    with EngineRig(tmp_path, speed=None, settings={"llm.url": "http://127.0.0.1:9"}) as stage:
        stage.engine()
        stage.climb(3)
        assert stage.cli("stop").returncode == 0
        assert stage.until(lambda: not stage.folder.is_locked())
        with sqlite3.connect(stage.folder.database) as conn:  # the engine was last alive long ago
            lease.beat(conn, time.time() - days * 86400, time.time() - days * 86400)
        conn.close()
        stage.engine()
        assert stage.until(lambda: bool(stage.reader.state().held) == held)
        time.sleep(0.5)
        assert bool(stage.reader.state().held) == held
        assert stage.percent_bp == 2500
        if held:
            (sentence,) = rows(stage, "hold")
            assert "no engine ran for 21d" in sentence
            assert "returns at 25 %" in sentence
            assert stage.until(lambda: "no engine ran for 21d" in stage.cli("status").stdout)  # in the next view
