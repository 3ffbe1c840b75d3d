"""`status --watch` prints what changed, in words, once; jitter in a figure is not reported."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

from msgspec.structs import replace

from console.verbs.status import StatusLine, Watcher
from engine.client.client import EngineClient
from engine.plan.init import set_value
from engine.plan.load import default_plan_text, load_plan
from engine.rollout.state import State
from engine.server.spawning import spawn, wait_until_up
from engine.store.folder import Folder
from engine.store.reader import EngineRecord
from engine.view.model import View
from tests.console.samples import ALERT, NORMAL
from tests.console.samples import ROLLED as ROLLED_BACK
from tests.machine import crowd
from tests.terminal import ROLLOUT, ROOT


class Ear:
    def __init__(self) -> None:
        self.heard: list[str] = []
        self.at = 100.0
        self.watcher = Watcher(self._hear)

    def _hear(self, line: StatusLine, at: float) -> None:
        self.heard.append(line.sentence)

    def see(self, view: View | None, alive: str = "running", trouble: str = "", after: float = 1.0) -> list[str]:
        self.at += after
        self.heard.clear()
        self.watcher.see(None if trouble else EngineRecord(view, self.at, 1, 1, State()), alive, trouble, self.at)
        return list(self.heard)


def test_the_first_look_prints_the_state_and_the_second_nothing() -> None:
    ear = Ear()
    first = ear.see(NORMAL)
    assert first[0].startswith("Stage 2")
    assert ear.see(NORMAL) == []


def test_jitter_and_a_running_timer_are_not_printed_again() -> None:
    ear = Ear()
    ear.see(ALERT)
    trembling = replace(
        ALERT,
        at=ALERT.at + 1,
        error_rate=replace(ALERT.error_rate, value=0.205, sentence="another figure"),
        next=tuple(sentence.replace("1", "2") for sentence in ALERT.next),
    )
    assert ear.see(trembling) == []


def test_an_alert_a_rollback_and_their_end_are_printed() -> None:
    ear = Ear()
    ear.see(NORMAL)
    alert = ear.see(ALERT)
    assert ALERT.health_sentence in alert
    assert any(output.startswith("error_critical:") for output in alert)
    assert ROLLED_BACK.health_sentence in ear.see(ROLLED_BACK)
    assert any("back within bounds" in output for output in ear.heard)


def test_a_frozen_engine_and_a_missing_store_are_printed_once_and_so_is_their_return() -> None:
    ear = Ear()
    ear.see(NORMAL)
    assert any("does not answer" in output and "as of" in output for output in ear.see(NORMAL, "frozen"))
    assert ear.see(NORMAL, "frozen") == []
    assert ear.see(NORMAL) == ["The engine runs again."]
    assert ear.see(None, trouble="No store here.") == ["No store here."]
    assert ear.see(None, trouble="No store here.") == []
    assert ear.see(NORMAL) == ["The store can be read again."]


def test_after_a_quarter_of_an_hour_without_news_it_prints_that_it_is_still_watching() -> None:
    ear = Ear()
    ear.see(NORMAL)
    assert ear.see(NORMAL, after=901.0) == ["Nothing new; still watching."]
    assert ear.see(NORMAL) == []


def test_on_a_real_engine_each_line_is_json_and_a_decision_is_one(tmp_path: Path) -> None:
    text = set_value(set_value(default_plan_text(), "http.port", 0), "llm.url", "http://127.0.0.1:9")
    (tmp_path / "rollout.toml").write_text(text)
    folder = Folder(tmp_path / ".rollout")
    engine = spawn(tmp_path / "rollout.toml", folder)
    assert wait_until_up(folder, engine, 20.0 * crowd()) == ""
    command = [*ROLLOUT, "status", "--watch", "--json"]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=tmp_path, env=environ, stdout=subprocess.PIPE, text=True) as watch:
        try:
            assert watch.stdout is not None
            first = json.loads(watch.stdout.readline())
            assert set(first) == {"at", "topic", "sentence"}
            while json.loads(watch.stdout.readline())["topic"] != "cache_hit_rate":
                pass
            time.sleep(1.5)
            EngineClient(folder, load_plan(tmp_path / "rollout.toml")).rollback("a drill")
            topics = set()
            while not {"decision", "rollback"} <= topics:
                topics.add(json.loads(watch.stdout.readline())["topic"])
            watch.send_signal(signal.SIGINT)
            assert watch.wait(30) == -signal.SIGINT
        finally:
            watch.kill()
            engine.terminate()
            engine.wait(15)
