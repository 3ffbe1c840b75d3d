"""A simulated LLM server as a process of its own, for tests that look at it from outside."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from engine.extraction.llm import prompt

MODEL = "llama3.2:3b"
COMMAND = [sys.executable, "-m", "engine.rehearsal.llm_server", "--load-ms=10"]


class Process:
    """One server; `ask` sends a text as the engine does."""

    def __init__(self, *options: str) -> None:
        self.popen = subprocess.Popen(
            [*COMMAND, "--latency-ms=10", *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self.popen.stdout is not None
        self.announced = json.loads(self.popen.stdout.readline())
        self.url = f"http://127.0.0.1:{self.announced['port']}"
        self.control = f"http://127.0.0.1:{self.announced['control']}"
        self.client = httpx.Client(timeout=120.0, trust_env=False, verify=False)

    def body(self, text: str, **more: Any) -> dict[str, Any]:
        asked = prompt.build(text, max_descriptive=8, max_technical=10, max_total=15)
        messages = [{"role": "system", "content": asked.system}, {"role": "user", "content": asked.user}]
        options = {"num_ctx": 8192, "num_predict": 512}
        return {
            "model": MODEL, "messages": messages, "format": asked.schema, "stream": False, "options": options, **more,
        }  # fmt: skip

    def ask(self, text: str, **more: Any) -> httpx.Response:
        return self.client.post(f"{self.url}/api/chat", json=self.body(text, **more))

    def ask_all(self, texts: list[str], at_once: int = 8) -> list[httpx.Response]:
        with ThreadPoolExecutor(at_once) as threads:
            return list(threads.map(self.ask, texts))

    def faults(self, **values: float) -> dict[str, float]:
        reply = self.client.post(f"{self.control}/faults", json=values)
        assert reply.status_code == 200, reply.text
        result: dict[str, float] = reply.json()
        return result

    def counters(self) -> dict[str, float]:
        result: dict[str, float] = self.client.get(f"{self.control}/counters").json()
        return result

    def end(self) -> None:
        self.client.close()
        self.popen.terminate()
        self.popen.communicate(timeout=10)

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


def user_prompt(text: str) -> str:
    return prompt.build(text, max_descriptive=8, max_technical=10, max_total=15).user


def content(reply: httpx.Response) -> str:
    output: str = reply.json()["message"]["content"]
    return output
