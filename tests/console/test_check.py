"""`rollout check` from outside, with a server in a process of its own and without one."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from console.cli import rollout
from console.context import CliContext
from console.verbs.check import _obey
from engine.clock import SystemClock
from engine.extraction.llm import LlmPool, NotPermitted
from engine.plan.init import set_value
from engine.plan.load import default_plan_text, load_plan
from engine.store import database
from engine.store.folder import Folder
from engine.store.intents import Intent
from tests.engine.rehearsal.process import Process
from tests.machine import crowd

Check = Callable[..., Result]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    def run(url: str, *words: str, **values: object) -> Result:
        text = set_value(set_value(default_plan_text(), "http.port", 0), "llm.url", url)
        for name, value in values.items():
            text = set_value(text, name.replace("__", "."), value)
        (tmp_path / "rollout.toml").write_text(text)
        return CliRunner().invoke(rollout, ["--plan", str(tmp_path / "rollout.toml"), "check", *words])

    return run


def test_a_service_in_order_passes_with_a_line_for_each_thing(check: Check) -> None:
    with Process() as server:
        done = check(server.url)
        answer = json.loads(check(server.url, "--json").stdout)
    assert done.exit_code == 0, done.output
    for what in (
        "plan",
        "store",
        "port",
        "llm service",
        "llm model",
        "llm context",
        "llm answer",
        "llm schema",
        "llm capacity",
    ):
        assert f"ok   {what}" in done.stdout
    assert answer["ok"]
    assert {"what": "llm schema", "ok": True, "state": "ok", "server": server.url} in [
        {key: row.get(key) for key in ("what", "ok", "state", "server")} for row in answer["findings"]
    ]


def test_a_service_that_is_down_is_one_failure_at_once(check: Check) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        began = time.monotonic()
        done = check(f"http://127.0.0.1:{held.getsockname()[1]}")
    assert done.exit_code == 1
    assert "Connection refused; start the server there, or correct [llm] url." in done.stdout
    assert time.monotonic() - began < 2.0 * crowd()


def test_a_missing_model_is_named_with_the_command_that_pulls_it(check: Check) -> None:
    with Process() as server:
        done = check(server.url, llm__model="qwen3:8b")
    assert done.exit_code == 1
    assert "run: ollama pull qwen3:8b" in done.stdout


def test_a_taken_port_fails_and_offline_probes_nothing(check: Check) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = check("http://127.0.0.1:9", http__port=taken.getsockname()[1])
        assert "set [http] port to a free one" in done.stdout
    done = check("http://127.0.0.1:9", "--offline")
    assert done.exit_code == 0
    assert "Nothing was probed" in done.stdout


def test_a_rollback_ends_a_question_in_flight(tmp_path: Path) -> None:
    """It is no engine's request, so no proof waits for it."""
    folder = Folder(tmp_path / "store")
    database.create(folder)
    folder.armed.touch()
    plan = tmp_path / "rollout.toml"
    plan.write_text(default_plan_text())
    context = CliContext(plan, folder.path)
    pool = LlmPool(load_plan(plan).llm, SystemClock())

    async def asked() -> str:
        obeying = asyncio.create_task(_obey(context, pool))
        question = asyncio.create_task(pool.gate.send(asyncio.Event().wait))
        await asyncio.sleep(0)
        folder.armed.unlink()
        folder.leave_intent(Intent("r1", 0.0, {}, ""))
        try:
            await asyncio.wait_for(question, 30 * crowd())
        except NotPermitted:
            return "cut"
        finally:
            obeying.cancel()
        return "answered"

    assert asyncio.run(asked()) == "cut"


def test_a_port_that_another_program_uses_is_named_so(check: Check) -> None:
    """And an address that is not this machine's is not."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        taken = check("http://127.0.0.1:9", http__port=port)
    assert f"127.0.0.1:{port} is in use by another program. Stop it, or set [http] port to a free one." in taken.stdout
    elsewhere = check("http://127.0.0.1:9", http__host="192.0.2.1", http__port=port)
    assert "192.0.2.1" in elsewhere.stdout
    assert "another program" not in elsewhere.stdout
