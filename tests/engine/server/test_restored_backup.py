"""A restored backup never switches the LLM on; and moments in JSON are ISO 8601."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

from tests.engine.service.rig import EngineRig


def test_a_backup_that_is_put_back_is_at_zero_and_unarmed_until_a_person_goes_up_again(tmp_path: Path) -> None:
    with EngineRig(tmp_path / "place", speed=None, settings={"llm.url": "http://127.0.0.1:9"}) as stage:
        stage.engine()
        stage.climb(2)
        made = json.loads(stage.cli("backup", str(tmp_path / "copy.db"), "--json").stdout)
        assert re.fullmatch("[0-9a-f]{64}", made["head"])
        assert made["head"][:16] in made["sentence"]
        assert stage.cli("log", "--verify", "--head", made["head"]).returncode == 0
        stage.climb(3)
        assert stage.cli("stop").returncode == 0
        assert stage.until(lambda: not stage.folder.is_locked())
        assert stage.folder.is_armed()  # of 25 %
        for name in ("store.db", "store.db-wal", "store.db-shm"):
            (stage.folder.path / name).unlink(missing_ok=True)
        shutil.copy(tmp_path / "copy.db", stage.folder.database)
        stage.reader.close()
        stage.engine()
        assert stage.percent_bp == 0
        assert not stage.folder.is_armed()
        assert "a restored backup carries an old percentage" in stage.cli("log", "--kind", "rollback").stdout
        assert stage.cli("log", "--verify").returncode == 0
        stage.climb(2)  # and from here on it is a store like any other
        assert stage.folder.is_armed()
        assert stage.cli("stop").returncode == 0
        assert stage.until(lambda: not stage.folder.is_locked())
        stage.engine()
        assert stage.percent_bp == 1000


def numbers_that_look_like_moments(value: Any, where: str = "") -> list[str]:
    if isinstance(value, dict):
        return [one for key, item in value.items() for one in numbers_that_look_like_moments(item, f"{where}.{key}")]
    if isinstance(value, list):
        return [one for item in value for one in numbers_that_look_like_moments(item, f"{where}[]")]
    is_moment = isinstance(value, float | int) and 1.5e9 < value < 4e9
    return [where] if is_moment else []


def test_every_json_has_its_moments_in_iso(tmp_path: Path) -> None:
    with EngineRig(tmp_path, speed=60.0) as stage:
        stage.engine()
        stage.climb(4)
        assert stage.until(lambda: stage.view.methods.get("llm", 0) >= 5, 40)
        assert stage.client.command("note", kind="lesson", text="a note").ok
        assert stage.client.command("message", id="daily_summary").ok
        assert stage.cli("rollback", "--reason", "for the figures").returncode in (0, 1)
        written = tmp_path / "out.json"
        verbs = (
            "status", "triggers list", "triggers why error_critical", "log", "notify queue", "notify preview", "due", "run", "env",
            "metrics snapshot", "logs analyze", "restore --dry-run", "sign", "query worker", "check --offline", "log --verify",
        )  # fmt: skip
        bodies = {}
        for verb in verbs:
            ended = stage.cli(*verb.split(), "--json")
            assert ended.stdout.strip(), f"{verb} --json printed nothing: {ended.stderr}"
            bodies[verb] = json.loads(ended.stdout)
        for verb in ("metrics analyze", "ab-test export", "ab-test analyze", "export --method frequency"):
            ended = stage.cli(*verb.split(), "--output", str(written))
            assert ended.returncode == 0, ended.stderr
            bodies[verb] = json.loads(written.read_text())
        _, bodies["GET /v1/status"] = stage.client.request("GET", "/v1/status")
        _, bodies["GET /metrics"] = stage.client.request("GET", "/metrics")
        assert {name: result for name, body in bodies.items() if (result := numbers_that_look_like_moments(body))} == {}
        assert bodies["status"]["at"].endswith("Z")
