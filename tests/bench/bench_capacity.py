"""Eight workers on one LLM server of eight slots: the share of its capacity that they use, beside bare clients on the same
server in the same run, and whether a trigger took the queue for a slow service.

python -m tests.bench.bench_capacity [--workers 8] [--slots 8] [--latency-ms 250] [--seconds 40]
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

from tests.bench.bench_workers import Crew
from tests.bench.llm_recorder import RecordingLlm
from tests.engine.service.rig import EngineRig

WARM_S = 12.0
BARE_S = 10.0
BODY = {
    "model": "llama3.2:3b",
    "messages": [{"role": "user", "content": "The broker keeps an offset for each partition of the commit log."}],
    "stream": False,
    "options": {"num_ctx": 8192},
    "keep_alive": "10m",
}


def rate(llm: RecordingLlm, seconds: float) -> tuple[float, float]:
    """(answers a second, percent of a core that the service itself took)."""
    before, began = llm.calls, time.monotonic()
    time.sleep(seconds)
    after, took = llm.calls, time.monotonic() - began
    return (after["served"] - before["served"]) / took, (after["cpu_s"] - before["cpu_s"]) / took * 100


def bare(llm: RecordingLlm, clients: int) -> tuple[float, float]:
    """By as many clients as there are slots, each with one call after the other."""
    where, stop = urlsplit(llm.url), threading.Event()

    def call() -> None:
        connection = http.client.HTTPConnection(where.hostname or "", where.port)
        while not stop.is_set():
            connection.request("POST", "/api/chat", json.dumps(BODY), {"Content-Type": "application/json"})
            connection.getresponse().read()

    threads = [threading.Thread(target=call) for _ in range(clients)]
    for thread in threads:
        thread.start()
    time.sleep(1.0)
    result = rate(llm, BARE_S)
    stop.set()
    for thread in threads:
        thread.join()
    return result


def main() -> None:
    parser = argparse.ArgumentParser()
    for name, default in (("workers", 8), ("slots", 8), ("latency-ms", 250), ("seconds", 40)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    ideal = given.slots / (given.latency_ms / 1000)
    with tempfile.TemporaryDirectory() as folder, RecordingLlm(given.slots, given.latency_ms) as llm:
        alone, cpu = bare(llm, given.slots)
        print(
            f"capacity {ideal:.1f}/s; {given.slots} bare clients {alone:.1f}/s = {alone / ideal:.1%}, service's CPU {cpu:.0f} %"
        )
        settings = {"llm.url": llm.url, "store.texts": "none"}
        with EngineRig(Path(folder) / "bench", speed=None, settings=settings) as rig:
            rig.engine()
            rig.climb(4)
            crew = Crew(rig, given.workers, 20_000)
            try:
                crew.runs()
                time.sleep(WARM_S)
                before = len(rig.kinds())
                mine, cpu = rate(llm, given.seconds)
                made = rig.kinds()[before:]
                latency, most = rig.view.latency, llm.calls["most"]
            finally:
                crew.end()
    print(
        f"{given.workers} workers {mine:.1f}/s = {mine / ideal:.1%} of capacity, {mine / alone:.1%} of the bare clients'"
    )
    print(f"decisions meanwhile: {made}; most calls at once: {most}; {latency}")
    print(f"load average {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
