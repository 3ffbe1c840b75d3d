"""The log records when an engine started, why it stopped, and that none ran for weeks."""

from __future__ import annotations

import signal
import sqlite3
import time
from pathlib import Path

import pytest

from engine.store import lease
from tests.engine.service.rig import EngineRig


def rows(rig: EngineRig, kind: str) -> list[str]:
    return [row.sentence for row in rig.reader.log(100, kind=kind)][::-1]


def test_start_stop_and_a_kill_are_in_the_log_and_a_hangup_ends_nothing(tmp_path: Path) -> None:
    with EngineRig(tmp_path, speed=None) as rig:
        for number in (signal.SIGTERM, signal.SIGINT):
            process = rig.engine()
            process.send_signal(signal.SIGHUP)  # a closed terminal, or `kill -HUP`: it continues
            assert rig.until(lambda: "received SIGHUP" in rig.folder.engine_log.read_text())
            assert rig.client.request("GET", "/healthz")[0] == 200
            process.send_signal(number)
            assert process.wait(20) == 0
        stopped = rows(rig, "engine_stop")
        assert [sentence.split(": ")[1] for sentence in stopped] == [
            f"it received {name}" for name in ("SIGTERM", "SIGINT")
        ]
        process = rig.engine()
        assert rig.cli("stop").returncode == 0
        process.wait(20)
        assert rows(rig, "engine_stop")[-1].endswith("asked for it")
        process = rig.engine()
        process.kill()
        process.wait()
        rig.engine()
        started = rows(rig, "engine_start")
        assert len(started) == 5
        assert "; the previous one" not in started[0]
        assert "the previous one ended at" in started[2]
        assert "did not end cleanly" in started[4]
        assert rig.cli("log", "--verify").returncode == 0


@pytest.mark.parametrize(("days", "held"), [(21, True), (0.1, False)])
def test_weeks_without_an_engine_leave_a_trace_and_bring_the_rollout_back_held(
    tmp_path: Path, days: float, held: bool
) -> None:
    with EngineRig(tmp_path, speed=None, settings={"llm.url": "http://127.0.0.1:9"}) as rig:
        rig.engine()
        rig.climb(3)
        assert rig.cli("stop").returncode == 0
        assert rig.until(lambda: not rig.folder.is_locked())
        with sqlite3.connect(rig.folder.database) as conn:  # the engine was last alive long ago
            lease.beat(conn, time.time() - days * 86400, time.time() - days * 86400)
        conn.close()
        rig.engine()
        assert rig.until(lambda: bool(rig.reader.state().held) == held)
        time.sleep(0.5)
        assert bool(rig.reader.state().held) == held
        assert rig.percent_bp == 2500
        if held:
            (sentence,) = rows(rig, "hold")
            assert "no engine ran for 21d" in sentence
            assert "returns at 25 %" in sentence
            assert rig.until(lambda: "no engine ran for 21d" in rig.cli("status").stdout)  # in the next view
