"""Whatever answers, and whatever the service's process lacks, the client gives None, Unavailable or a Failure, in time."""

from __future__ import annotations

import asyncio
import gzip
import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rollout_console import AsyncClient, Client, Document, Failure, RolloutError

from tests.engine.client.test_rollout_console import Listener
from tests.engine.service.rig import EngineRig
from tests.machine import crowd

PACKAGE = Path(__file__).parents[3] / "engine" / "client" / "public"
ANSWER = {"id": "another", "keywords": ["x"], "descriptive": ["x"], "technical": [], "method": "llm"}


def whole(body: bytes, *headers: bytes) -> bytes:
    return b"\r\n".join([b"HTTP/1.1 200 OK", *headers, b"Content-Length: %d" % len(body), b"", body])


ODD = {
    "nested": whole(b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "packed": whole(gzip.compress(b" " * 200_000_000, 1), b"Content-Encoding: gzip"),  # two seconds to unpack, at once
    "long": b"HTTP/1.1 200 OK\r\n\r\n" + b" " * 3_000_000,
    "of another document": whole(json.dumps(ANSWER).encode()),
    "of another place": whole(json.dumps({**ANSWER, "id": "a", "index": 7}).encode()),
}


@pytest.mark.parametrize("reply", [pytest.param(reply, id=name) for name, reply in ODD.items()])
def test_an_odd_answer_is_not_taken_and_does_not_hold_the_service_s_event_loop(reply: bytes) -> None:
    listener = Listener(reply)

    async def asked() -> tuple[list[object], float]:
        longest = 0.0

        async def others() -> None:
            nonlocal longest
            while True:
                began = time.monotonic()
                await asyncio.sleep(0.01)
                longest = max(longest, time.monotonic() - began)

        ticking = asyncio.create_task(others())
        async with AsyncClient(listener.url, timeout_s=20) as client:
            got = await client.batch([Document("a", "text")], timeout_s=20)
            single = None if "index" in str(reply[-60:]) else await client.extract_or_none("a", "text")
        ticking.cancel()
        return [single, *got], longest

    (single, line), longest = asyncio.run(asked())
    assert single is None
    assert isinstance(line, Failure)
    assert line.code in ("not_an_engine", "unreachable")  # the latter when its connection was reset first
    assert longest < 1.0 * crowd()
    listener.sock.close()


def test_a_client_serves_one_event_loop_after_another(tmp_path: Path) -> None:
    """As where each job of a worker has `asyncio.run` of its own, and in a process forked after the first call."""
    with EngineRig(tmp_path, speed=None) as rig:
        rig.engine()
        client = AsyncClient(rig.view.engine.address, timeout_s=30)

        def ask(name: str) -> bool:
            made = asyncio.run(client.extract_or_none(name, "The scheduler retries failed tasks."))
            return made is not None and made.id == name

        assert ask("before")
        if (pid := os.fork()) == 0:
            os._exit(0 if ask("forked") else 1)
        assert ask("after")
        assert os.waitpid(pid, 0)[1] == 0
        asyncio.run(client.close())


OUT_OF = {
    "descriptors": "resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir('/proc/self/fd')) - 1, 4096))",
    "threads": "threading.stack_size(1 << 40)",
}


@pytest.mark.parametrize("lack", OUT_OF)
def test_a_process_that_is_out_of_resources_gets_none(lack: str) -> None:
    program = (
        "import os, resource, sys, threading\n"
        f"sys.path.insert(0, {str(PACKAGE)!r})\n"
        "from rollout_console import Client, Document\n"
        "client = Client('http://127.0.0.1:9')\n"
        f"{OUT_OF[lack]}\n"
        "print(client.extract_or_none('a', 'text'), client.batch([Document('a', 'text')])[0].code)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "None unreachable\n", done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("limit", [math.inf, 1e300, math.nan, -1.0])
def test_no_time_limit_is_an_error(limit: float) -> None:
    listener = Listener(whole(b"[]"))
    with Client(listener.url, timeout_s=limit) as client:
        assert client.extract_or_none("a", "text") is None
        assert isinstance(client.batch([Document("a", "text")], timeout_s=limit)[0], Failure)
    listener.sock.close()


def test_a_token_ends_where_its_file_s_line_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROLLOUT_TOKEN", "a-token-for-tests")
    with EngineRig(tmp_path, speed=None) as rig:
        rig.engine()
        with Client(rig.view.engine.address, token="a-token-for-tests\n", timeout_s=30) as client:
            assert client.extract("a", "The scheduler retries failed tasks.").keywords
        with Client(rig.view.engine.address, token="another", timeout_s=30) as client, pytest.raises(RolloutError):
            client.extract("a", "text")


@pytest.mark.parametrize("token", ["schlüssel", "a\0b", "a\r\nHost: b"])
def test_a_token_that_no_header_can_carry_is_a_value_error(token: str) -> None:
    with pytest.raises(ValueError, match="printable ASCII"):
        Client(token=token)
