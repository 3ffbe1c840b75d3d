"""An LLM service that notes when each call arrives and when a client leaves, in a process of its own, so that what
workers do is measured where it counts.

    python -m tests.bench.llm_recorder --slots 24 --latency-ms 150      prints its address and its control address
    GET CONTROL/calls    {"arrived", "left": seconds of the machine's boot clock, "calls", "open", "most", "served", "cpu_s"}
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from typing import Any

from engine.rehearsal.http_server import LOOPBACK, Call, HttpServer, send_json
from engine.rehearsal.protocol import AnswerFormat, ModelRequest
from tests.stub_llm import StubLlm


class Recorder(StubLlm):
    """`arrived`: of the last call with a document; `left`: when the last client left before its answer."""

    arrived = left = 0.0
    open = most = 0

    async def before(self, call: Call, asked: ModelRequest, form: AnswerFormat) -> bool:
        self.arrived = time.monotonic()
        return await super().before(call, asked, form)

    async def _answer(self, call: Call, asked: ModelRequest, form: AnswerFormat) -> None:
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            await super()._answer(call, asked, form)
        except asyncio.CancelledError:
            self.left = time.monotonic()
            raise
        finally:
            self.open -= 1

    async def tell(self, call: Call) -> None:
        counters = self.counters
        send_json(
            call,
            {
                "arrived": self.arrived, "left": self.left, "open": self.open, "most": self.most,
                "calls": counters.calls, "served": counters.served, "turned_away": counters.turned_away,
                "cpu_s": time.process_time(),
            },
        )  # fmt: skip


async def _serve(given: argparse.Namespace) -> None:
    recorder = Recorder(
        slots=given.slots, latency_s=given.latency_ms / 1000, queue=given.queue, keep_requests=0
    )  # fmt: skip
    recorder.door = HttpServer(recorder, given.port, given.host)
    control = HttpServer(recorder.tell)
    await recorder.start()
    await control.open()
    print(json.dumps([recorder.url, control.url]), flush=True)
    await asyncio.Event().wait()


class RecordingLlm:
    """The service as a child process. `inside`: words before the command, as `ip netns exec NAME`."""

    def __init__(
        self,
        slots: int = 24,
        latency_ms: float = 150.0,
        host: str = LOOPBACK,
        inside: Sequence[str] = (),
        queue: int = 512,
        port: int = 0,
    ) -> None:
        self._inside = list(inside)
        words = ["--slots", str(slots), "--latency-ms", str(latency_ms), "--host", host, "--queue", str(queue)]
        self.process = subprocess.Popen(
            [*inside, sys.executable, "-m", "tests.bench.llm_recorder", "--port", str(port), *words],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.url, self._control = json.loads(self.process.stdout.readline())

    @property
    def calls(self) -> dict[str, Any]:
        if self._inside:
            out = subprocess.run(
                [*self._inside, "curl", "-s", f"{self._control}/calls"], capture_output=True, check=True
            )
            return dict(json.loads(out.stdout))
        with urllib.request.urlopen(f"{self._control}/calls") as answer:
            return dict(json.load(answer))

    def __enter__(self) -> RecordingLlm:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--slots", type=int, default=24)
    parser.add_argument("--latency-ms", type=float, default=150.0)
    parser.add_argument("--queue", type=int, default=512)
    parser.add_argument("--host", default=LOOPBACK)
    parser.add_argument("--port", type=int, default=0)
    asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
