"""Two game days on real processes: a fault answered with the right act, by a verb; and a false alarm left alone."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.client.client import EngineClient
from engine.gameday import journal, results
from engine.gameday.scenario import load
from engine.plan.load import default_plan_text, parse_plan
from engine.server.rehearse import GameDay
from tests.machine import patience
from tests.terminal import ROLLOUT, ROOT


def until(holds: Callable[[], bool], seconds: float, what: str) -> None:
    for _ in patience(seconds):
        if holds():
            return
        time.sleep(0.1)
    raise AssertionError(what)


@pytest.fixture
def collector() -> Iterator[socket.socket]:
    """Where the player's shell sends a real engine's messages and metrics."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield listening


@pytest.fixture
def empty_answers(tmp_path: Path, collector: socket.socket, monkeypatch: pytest.MonkeyPatch) -> Iterator[GameDay]:
    real = f"127.0.0.1:{collector.getsockname()[1]}"
    monkeypatch.setenv("ROLLOUT_NOTIFY_URLS", f"json://{real}/real mailto://a:b@{real}")
    monkeypatch.setenv("ROLLOUT_REHEARSAL_NOTIFY_URLS", f"json://{real}/rehearsal")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://{real}")
    monkeypatch.setenv("XZE_KEYWORD_EXTRACTION_ROLLOUT_PERCENTAGE", "10")
    with GameDay(load("empty"), speed=30.0, keep=tmp_path / "game") as game:
        assert game.start() == ""
        yield game


def ran(*verbs: str, cwd: Path, state: Path) -> subprocess.CompletedProcess[str]:
    env = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], "XDG_STATE_HOME": str(state)}
    return subprocess.run(
        [*ROLLOUT, *verbs], cwd=cwd, env=env, capture_output=True, text=True, timeout=110, check=False
    )


def test_a_fault_is_seen_and_rolled_back_by_a_verb(
    empty_answers: GameDay, collector: socket.socket, tmp_path: Path
) -> None:
    game = empty_answers
    assert game.left_s() is None
    until(lambda: game.begin()[0], 60.0, "the day shift never got the rollout to its stage")
    client = EngineClient(game.folder)
    refused = client.command("fault", name="error_rate", value=0.5)
    assert not refused.ok
    assert "game day" in refused.sentence
    assert not client.command("speed", value=1.0).ok
    status = ran(
        "--plan",
        str(game.plan_path),
        "--store",
        str(game.folder.path),
        "status",
        "--json",
        cwd=tmp_path,
        state=tmp_path,
    )
    shown = json.loads(status.stdout)
    assert shown["stage"] == 3
    assert shown["effective_bp"] == 2500, "the ceiling of the player's shell is a real engine's"
    assert shown["game"] is True
    assert game.plan.http.port == 0, "a real engine may need its own port"
    _hides_its_scenario(game)

    def failing() -> bool:
        begun = any(entry.kind == "step" for entry in journal.read(tmp_path / "game"))
        rate = client.request("GET", "/v1/status")[1]["error_rate"]["value"]
        return begun and rate is not None and rate > 0.05

    until(failing, 60.0, "no document was harmed by the fault")
    shown = client.request("GET", "/v1/status")[1]
    assert shown.get("faults") in ({}, None), "what goes wrong is hidden"
    game.screen_opened("Triggers")
    rolled = ran(
        "--plan", str(game.plan_path), "--store", str(game.folder.path), "rollback", cwd=tmp_path, state=tmp_path
    )
    assert rolled.returncode == 0
    made = game.finish()
    assert made is not None
    score = made.score
    assert score.acted == "rollback", made.text
    assert score.noticed_s is not None
    assert score.wrong == ()
    assert score.right, made.text
    assert 60 <= score.total <= 100
    assert score.passed
    assert any(moment.sentence.startswith("HIDDEN: 40 %") for moment in made.moments)
    kinds = [entry.kind for entry in journal.read(tmp_path / "game")]
    assert "empty" not in (tmp_path / "game" / journal.NAME).read_text()
    with pytest.raises(BlockingIOError):  # no message and no metric left the game
        collector.accept()
    assert kinds.index("ready") < kinds.index("begun") < kinds.index("step") < kinds.index("look")


def _hides_its_scenario(game: GameDay) -> None:
    assert game._process is not None
    place = Path(f"/proc/{game._process.pid}")
    assert b"empty" not in (place / "cmdline").read_bytes().split(b"\0")
    assert b"=empty\0" not in (place / "environ").read_bytes()


def test_a_false_alarm_left_alone_is_passed_and_kept(tmp_path: Path) -> None:
    here, state = tmp_path / "here", tmp_path / "state"
    here.mkdir()
    nothing = ran("gameday", "results", cwd=here, state=state)
    assert nothing.returncode == 1
    assert "No game day" in nothing.stderr
    played = ran("gameday", "--scenario", "false-alarm", "--speed", "300", "--no-console", cwd=here, state=state)
    assert played.returncode == 0, played.stderr
    assert "85 of 100 points" in played.stdout, played.stdout
    assert ": passed" in played.stdout
    assert "HIDDEN: the second LLM server goes down" in played.stdout
    kept = json.loads(ran("gameday", "results", "--json", cwd=here, state=state).stdout)
    (result,) = kept["results"]
    assert result["scenario"] == "false-alarm"
    assert result["score"]["passed"] is True
    assert "1 person passed" in results.evidence(results.read(state / "rollout-console"))
    assert "GAME DAY" in ran("gameday", "results", "--last", cwd=here, state=state).stdout


def test_an_unknown_scenario_names_the_ten(tmp_path: Path) -> None:
    refused = ran("gameday", "--scenario", "nonsense", "--no-console", cwd=tmp_path, state=tmp_path)
    assert refused.returncode == 1
    assert "false-alarm" in refused.stderr
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "rollout.toml").touch()
    taken = ran("gameday", "--keep", "mine", "--no-console", cwd=tmp_path, state=tmp_path)
    assert "mine is not empty" in taken.stderr
    both = ran("gameday", "--scenario", "dead", "--surprise", cwd=tmp_path, state=tmp_path)
    assert both.returncode == 2


def test_the_runbook_s_command_removes_the_game_s_own_core_dump_and_no_other(tmp_path: Path) -> None:
    """It runs in the folder of whoever plays."""
    game = GameDay(load("disk"), keep=tmp_path / 'a "game')
    plan = parse_plan(game._adapted(default_plan_text()))
    (command,) = (c.run for stage in plan.stages for c in stage.monitoring if c.run.startswith("rm "))
    here = tmp_path / "here"
    for folder in (here, tmp_path / 'a "game'):
        folder.mkdir()
        (folder / "core.4711").touch()
    subprocess.run(command, shell=True, cwd=here, check=True)
    assert (here / "core.4711").exists()
    assert not (tmp_path / 'a "game' / "core.4711").exists()
