"""The HTTP API conforms to /openapi.json, under generated requests, valid and not, over a real socket. Not `/live`,
whose stream has no end."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engine.service.rig import EngineRig

CHECKS = "not_a_server_error,response_schema_conformance,content_type_conformance,status_code_conformance"


def test_no_generated_request_gets_an_answer_that_the_document_does_not_promise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLLOUT_TOKEN", "a-token-for-tests")
    with EngineRig(tmp_path, speed=None, settings={"llm.url": "http://127.0.0.1:9"}) as rig:
        rig.engine()
        address = rig.view.engine.address
        command = [
            sys.executable, "-m", "schemathesis.cli", "run", f"{address}/openapi.json", "--checks", CHECKS,
            "--max-examples", "5", "--seed", "3", "--phases", "examples,coverage,fuzzing", "--no-color",
            "--exclude-path-regex", "worker|live", "--header", "Authorization: Bearer a-token-for-tests",
        ]  # fmt: skip
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=200, check=False)
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
        assert re.search(r"Tested: 1\d", done.stdout), done.stdout[-4000:]
        assert rig.extract("after")["keywords"]
