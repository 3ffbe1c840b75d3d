"""Neither a restored backup nor a copied folder switches the LLM on; and moments in JSON are ISO 8601."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from engine.store import log, state_folder
from tests.engine.service.clocked import Clocked
from tests.engine.service.rig import EngineRig


def test_a_backup_that_is_put_back_is_at_zero_and_unarmed_until_a_person_goes_up_again(tmp_path: Path) -> None:
    with EngineRig(tmp_path / "place", speed=None, settings={"llm.url": "http://127.0.0.1:9"}) as rig:
        rig.engine()
        rig.climb(2)
        made = json.loads(rig.cli("backup", str(tmp_path / "copy.db"), "--json").stdout)
        assert re.fullmatch("[0-9a-f]{64}", made["head"])
        assert made["head"][:16] in made["sentence"]
        assert rig.cli("log", "--verify", "--head", made["head"]).returncode == 0
        rig.climb(3)
        assert rig.cli("stop").returncode == 0
        assert rig.until(lambda: not rig.folder.is_locked())
        assert rig.folder.is_armed()  # of 25 %
        for name in ("store.db", "store.db-wal", "store.db-shm"):
            (rig.folder.path / name).unlink(missing_ok=True)
        shutil.copy(tmp_path / "copy.db", rig.folder.database)
        rig.reader.close()
        rig.engine()
        assert rig.percent_bp == 0
        assert not rig.folder.is_armed()
        assert "a restored backup carries an old percentage" in rig.cli("log", "--kind", "rollback").stdout
        assert rig.cli("log", "--verify").returncode == 0
        rig.climb(2)  # and from here on it is a store like any other
        assert rig.folder.is_armed()
        assert rig.cli("stop").returncode == 0
        assert rig.until(lambda: not rig.folder.is_locked())
        rig.engine()
        assert rig.percent_bp == 1000


def test_a_copy_of_the_folder_is_at_zero_though_its_armed_file_was_copied_along(tmp_path: Path) -> None:
    with EngineRig(tmp_path / "place", speed=None, settings={"llm.url": "http://127.0.0.1:9"}) as rig:
        rig.engine()
        rig.climb(3)
        copy = tmp_path / "copy" / "store"
        shutil.copytree(rig.folder.path, copy, ignore=shutil.ignore_patterns("engine.sock"))
        with EngineRig(tmp_path / "copy", speed=None, settings={"llm.url": "http://127.0.0.1:9"}) as copied:
            assert copied.folder.is_armed()
            copied.engine()
            assert copied.percent_bp == 0
            assert copied.until(lambda: not copied.folder.is_armed())
            assert "copied" in copied.cli("log", "--kind", "rollback").stdout
        assert rig.percent_bp == 2500  # the rollout itself goes on,
        assert rig.cli("stop").returncode == 0
        assert rig.until(lambda: not rig.folder.is_locked())
        moved = rig.folder.path.rename(tmp_path / "moved")
        moved.rename(rig.folder.path)  # and renaming its folder copies nothing
        rig.engine()
        assert rig.percent_bp == 2500


def numbers_that_look_like_moments(value: Any, where: str = "") -> list[str]:
    if isinstance(value, dict):
        return [one for key, item in value.items() for one in numbers_that_look_like_moments(item, f"{where}.{key}")]
    if isinstance(value, list):
        return [one for item in value for one in numbers_that_look_like_moments(item, f"{where}[]")]
    is_moment = isinstance(value, float | int) and 1.5e9 < value < 4e9
    return [where] if is_moment else []


def test_every_json_has_its_moments_in_iso(tmp_path: Path) -> None:
    with EngineRig(tmp_path, speed=60.0) as rig:
        rig.engine()
        rig.climb(4)
        assert rig.until(lambda: rig.view.methods.get("llm", 0) >= 5, 40)
        assert rig.client.command("note", kind="lesson", text="a note").ok
        assert rig.client.command("message", id="daily_summary").ok
        assert rig.cli("rollback", "--reason", "for the figures").returncode in (0, 1)
        written = tmp_path / "out.json"
        verbs = (
            "status", "triggers list", "triggers why error_critical", "log", "notify queue", "notify preview", "due", "run", "env",
            "metrics snapshot", "logs analyze", "restore --dry-run", "sign", "query worker", "check --offline", "log --verify",
        )  # fmt: skip
        bodies = {}
        for verb in verbs:
            ended = rig.cli(*verb.split(), "--json")
            assert ended.stdout.strip(), f"{verb} --json printed nothing: {ended.stderr}"
            bodies[verb] = json.loads(ended.stdout)
        for verb in ("metrics analyze", "ab-test export", "ab-test analyze", "export --method frequency"):
            ended = rig.cli(*verb.split(), "--output", str(written))
            assert ended.returncode == 0, ended.stderr
            bodies[verb] = json.loads(written.read_text())
        _, bodies["GET /v1/status"] = rig.client.request("GET", "/v1/status")
        _, bodies["GET /metrics"] = rig.client.request("GET", "/metrics")
        assert {name: result for name, body in bodies.items() if (result := numbers_that_look_like_moments(body))} == {}
        assert bodies["status"]["at"].endswith("Z")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("then", "now", "percent_bp"), [("a", "b", 0), ("a", "a", 1000), ("", "b", 1000), ("a", "", 1000)]
)
async def test_a_copy_of_the_disk_on_another_machine_is_at_zero(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, then: str, now: str, percent_bp: int
) -> None:
    """Its armed file has the same inode. A machine without a name tells nothing."""
    machine = tmp_path / "machine-id"
    monkeypatch.setattr(state_folder, "MACHINE", machine)
    machine.write_text(then)
    async with Clocked(tmp_path) as c:
        await c.climb(2)
    machine.write_text(now)
    async with Clocked(tmp_path) as c:
        await c.settled(lambda: c.engine.state.percent_bp == percent_bp)
        row = log.last(c.engine.conn, ("rollback",))
        assert (row is None) == bool(percent_bp)
        assert row is None or "made on another machine" in row.decision.sentence


@pytest.mark.anyio
async def test_nor_does_a_copy_at_zero_percent_call_the_llm_for_its_shadow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = tmp_path / "machine-id"
    monkeypatch.setattr(state_folder, "MACHINE", machine)
    for name, permits in (("a", True), ("b", False)):
        machine.write_text(name)
        async with Clocked(tmp_path) as c:
            await c.climb(1)
            assert (c.engine.state.stage, c.engine.state.percent_bp) == (1, 0)
            assert c.engine.switch.may_call() is permits
