"""The LLM service of tests whose workers and gateways are processes."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from typing import Any


class Llm:
    """A simulated LLM service in a process of its own."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "engine.rehearsal.llm_server",
                "--seed",
                "7",
                "--slots",
                "8",
                "--latency-ms",
                "120",
                "--load-ms",
                "200",
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        where = json.loads(self.process.stdout.readline())
        self.url, self._control = f"http://127.0.0.1:{where['port']}", f"http://127.0.0.1:{where['control']}"

    @property
    def counters(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self._control}/counters") as answer:
            return dict(json.load(answer))

    def __enter__(self) -> Llm:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
