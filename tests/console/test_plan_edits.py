"""A plan file that is edited under a running engine, on real processes: reported by status and check, shown by plan diff, blocking nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.plan.init import set_value
from tests.engine.service.rig import EngineRig

SLOW_PROBES = {"llm.url": "http://127.0.0.1:9", "triggers[llm_unavailable].enabled": False}


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[EngineRig]:
    with EngineRig(tmp_path, speed=None, settings=SLOW_PROBES) as made:
        made.engine()
        yield made


def edit(stage: EngineRig, place: str, value: object) -> None:
    stage.plan_path.write_text(set_value(stage.plan_path.read_text(), place, value))  # type: ignore[arg-type]


def test_a_change_is_named_by_status_check_and_plan_diff(stage: EngineRig) -> None:
    assert stage.cli("plan", "diff").stdout.count("Nothing differs") == 1
    stage.climb(2)
    edit(stage, "stages[2].percent", 12)
    assert stage.until(lambda: "has changed since the engine read it" in stage.view.plan_changed)
    assert "ollout.toml has changed since the engine read it" in stage.cli("status").stdout
    assert json.loads(stage.cli("status", "--json").stdout)["plan_changed"]
    assert "has changed since the engine read it" in stage.cli("check", "--offline").stdout
    done = stage.cli("plan", "diff")
    assert done.returncode == 1
    assert "stages[canary].percent: 10 -> 12" in done.stdout
    assert "A restart holds the rollout" in done.stdout
    answer = json.loads(stage.cli("plan", "diff", "--json").stdout)
    assert answer["changes"][0]["after"] == 12
    assert "12 % instead of 10 %" in answer["misplaced"]


def test_a_plan_broken_half_way_through_an_edit_blocks_nothing_of_a_running_engine(stage: EngineRig) -> None:
    stage.climb(2)
    text = stage.plan_path.read_text()
    stage.plan_path.write_text(text.replace("percent = 25", 'percent = "a quar'))
    assert stage.until(lambda: "mistake" in stage.view.plan_changed)
    status = stage.cli("status")
    assert "Canary" in status.stdout
    assert "mistake" in status.stdout
    for words in (
        ("hold", "--reason", "while I edit"),
        ("log",),
        ("triggers", "list"),
        ("sign",),
        ("due",),
        ("resume",),
        ("env",),
    ):
        done = stage.cli(*words)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
    difference = stage.cli("plan", "diff")
    assert "cannot start under the file as it is" in difference.stdout
    assert stage.cli("check", "--offline").returncode == 1
    assert stage.cli("stop").returncode == 0
    assert not stage.folder.is_locked()
    assert stage.cli("log").returncode == 0  # the store alone is enough to read


def test_a_restart_under_a_changed_plan_is_held_and_adopted_on_the_command_line(stage: EngineRig) -> None:
    stage.climb(3)
    edit(stage, "stages[3].percent", 12)
    assert stage.cli("stop").returncode == 0
    stage.engine()
    assert stage.until(lambda: stage.view.misplaced != "")
    status = stage.cli("status")
    assert "25 %" in status.stdout
    assert "12 % instead of 25 %" in status.stdout
    refused = stage.cli("promote", "--to", "4", "--override", "--reason", "at any price now")
    assert refused.returncode == 1
    assert "rollout plan adopt" in refused.stderr
    done = stage.cli("plan", "adopt", "--stage", "3", "--reason", "12 % is enough")
    assert done.returncode == 0, done.stderr
    assert stage.until(lambda: stage.view.effective_bp == 1200)
    assert "plan changed: stages[limited].percent: 25 -> 12" in stage.cli("log").stdout
    assert stage.cli("log", "--verify").returncode == 0
