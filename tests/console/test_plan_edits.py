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
def rig(tmp_path: Path) -> Iterator[EngineRig]:
    with EngineRig(tmp_path, speed=None, settings=SLOW_PROBES) as made:
        made.engine()
        yield made


def edit(rig: EngineRig, place: str, value: object) -> None:
    rig.plan_path.write_text(set_value(rig.plan_path.read_text(), place, value))  # type: ignore[arg-type]


def test_a_change_is_named_by_status_check_and_plan_diff(rig: EngineRig) -> None:
    assert rig.cli("plan", "diff").stdout.count("Nothing differs") == 1
    rig.climb(2)
    edit(rig, "stages[2].percent", 12)
    assert rig.until(lambda: "has changed since the engine read it" in rig.view.plan_changed)
    assert "ollout.toml has changed since the engine read it" in rig.cli("status").stdout
    assert json.loads(rig.cli("status", "--json").stdout)["plan_changed"]
    assert "has changed since the engine read it" in rig.cli("check", "--offline").stdout
    done = rig.cli("plan", "diff")
    assert done.returncode == 1
    assert "stages[canary].percent: 10 -> 12" in done.stdout
    assert "A restart holds the rollout" in done.stdout
    answer = json.loads(rig.cli("plan", "diff", "--json").stdout)
    assert answer["changes"][0]["after"] == 12
    assert "12 % instead of 10 %" in answer["misplaced"]


def test_a_plan_broken_half_way_through_an_edit_blocks_nothing_of_a_running_engine(rig: EngineRig) -> None:
    rig.climb(2)
    text = rig.plan_path.read_text()
    rig.plan_path.write_text(text.replace("percent = 25", 'percent = "a quar'))
    assert rig.until(lambda: "mistake" in rig.view.plan_changed)
    status = rig.cli("status")
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
        done = rig.cli(*words)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
    difference = rig.cli("plan", "diff")
    assert "cannot start under the file as it is" in difference.stdout
    assert rig.cli("check", "--offline").returncode == 1
    assert rig.cli("stop").returncode == 0
    assert not rig.folder.is_locked()
    assert rig.cli("log").returncode == 0  # the store alone is enough to read


def test_a_restart_under_a_changed_plan_is_held_and_adopted_on_the_command_line(rig: EngineRig) -> None:
    rig.climb(3)
    edit(rig, "stages[3].percent", 12)
    assert rig.cli("stop").returncode == 0
    rig.engine()
    assert rig.until(lambda: rig.view.misplaced != "")
    status = rig.cli("status")
    assert "25 %" in status.stdout
    assert "12 % instead of 25 %" in status.stdout
    refused = rig.cli("promote", "--to", "4", "--override", "--reason", "at any price now")
    assert refused.returncode == 1
    assert "rollout plan adopt" in refused.stderr
    done = rig.cli("plan", "adopt", "--stage", "3", "--reason", "12 % is enough")
    assert done.returncode == 0, done.stderr
    assert rig.until(lambda: rig.view.effective_bp == 1200)
    assert "plan changed: stages[limited].percent: 25 -> 12" in rig.cli("log").stdout
    assert rig.cli("log", "--verify").returncode == 0
