"""Documents a second over HTTP, by frequency alone: one at a time on kept connections, and in batches, in the same run.

    python -m tests.bench.bench_http [--documents 12000] [--clients 1 8 64] [--rounds 3]

A real engine process in Preparation (no document goes to the LLM), TCP on loopback, documents of about 60 words (a
rehearsal's, cut) that are all different. The rounds of all ways take turns, so that a drifting machine drifts for all. p50 and p99 are of requests: a
document, or a batch. CPU is the engine's with its readers; `idle` is how much of the machine was idle while it ran: a rate from a busy machine is a
lower bound.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from engine.rehearsal import corpus
from tests.engine.service.rig import EngineRig

SOURCES = 400
BATCH = 1000
WORDS = 60


def texts(count: int) -> list[str]:
    """Real prose, each text another cut with its number in it."""
    words = " ".join(document.text for document in islice(corpus.documents(), SOURCES)).split()
    return [" ".join(words[(n * 37) % (len(words) - WORDS) :][:WORDS]) + f" Ticket {n}." for n in range(count)]


class Measured(NamedTuple):
    rate: float  # documents a second
    cpu_ms: float  # of the engine and its readers, a document
    idle: float  # share of the machine
    p50_ms: float
    p99_ms: float


class Caller:
    def __init__(self, address: str, took_ms: list[float]) -> None:
        self.took_ms = took_ms
        url = urlsplit(address)
        self.connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=120)

    def post(self, path: str, body: object) -> bytes:
        began = time.perf_counter()
        self.connection.request("POST", path, json.dumps(body).encode(), {"Content-Type": "application/json"})
        response = self.connection.getresponse()
        output = response.read()
        self.took_ms.append((time.perf_counter() - began) * 1000)
        assert response.status == 200, output
        return output


def single(address: str, documents: list[dict[str, str]], took_ms: list[float] | None = None) -> None:
    caller = Caller(address, [] if took_ms is None else took_ms)
    for document in documents:
        caller.post("/v1/extract", document)


def batched(address: str, documents: list[dict[str, str]], took_ms: list[float] | None = None) -> None:
    caller = Caller(address, [] if took_ms is None else took_ms)
    for start in range(0, len(documents), BATCH):
        output = caller.post("/v1/extract:batch", {"documents": documents[start : start + BATCH]})
        lines = [json.loads(line) for line in output.splitlines()]
        assert sorted(line["index"] for line in lines) == list(range(len(documents[start : start + BATCH])))
        assert all(line["ok"] for line in lines)


def idle_s() -> float:
    return int(Path("/proc/stat").read_text().split()[4]) / os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """Of the process and its children."""
    total = 0.0
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(entry.name) == pid or int(fields[1]) == pid:
                total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def measure(
    rig: EngineRig,
    way: Callable[[str, list[dict[str, str]], list[float]], None],
    documents: list[dict[str, str]],
    clients: int,
) -> Measured:
    address = rig.view.engine.address
    took_ms: list[float] = []
    threads = [threading.Thread(target=way, args=(address, documents[n::clients], took_ms)) for n in range(clients)]
    cpu, idle, began = cpu_s(rig.pid), idle_s(), time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - began
    cores = os.cpu_count() or 1
    ranked = sorted(took_ms)
    return Measured(
        len(documents) / took,
        (cpu_s(rig.pid) - cpu) / len(documents) * 1000,
        (idle_s() - idle) / took / cores,
        ranked[len(ranked) // 2],
        ranked[int(len(ranked) * 0.99)],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=12_000)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 64], help="at once, in turn")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    made = texts(given.documents)
    print(
        f"{given.documents:,} documents of {statistics.mean(map(len, made)):.0f} characters a round, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )
    ways = [("single", single, clients, given.documents // (4 if clients > 1 else 16)) for clients in given.clients]
    ways.append(("batch", batched, 2, given.documents))
    measured: dict[tuple[str, int], list[Measured]] = {(name, clients): [] for name, _, clients, _ in ways}
    with tempfile.TemporaryDirectory() as root, EngineRig(Path(root), speed=None) as rig:
        rig.engine()
        batched(rig.view.engine.address, [{"id": f"warm/{n}", "text": text} for n, text in enumerate(made[:200])])
        for round_ in range(given.rounds):
            for name, way, clients, count in ways:
                documents = [
                    {"id": f"{name}/{clients}/{round_}/{n}", "text": text} for n, text in enumerate(made[:count])
                ]
                measured[name, clients].append(measure(rig, way, documents, clients))
    print(f"{'medians':<8} {'clients':>7} {'docs/s':>8} {'p50 ms':>8} {'p99 ms':>8} {'CPU ms/doc':>11} {'idle':>6}")
    for (name, clients), rounds in measured.items():
        rate, cpu, idle, p50, p99 = (statistics.median(column) for column in zip(*rounds, strict=True))
        print(f"{name:<8} {clients:>7} {rate:>8.0f} {p50:>8.1f} {p99:>8.1f} {cpu:>11.2f} {idle:>6.0%}")


if __name__ == "__main__":
    main()
