"""Documents a second over HTTP, by frequency alone: one at a time on kept connections, and in batches, in the same run.

    python -m tests.bench.bench_http [--documents 12000] [--clients 8] [--rounds 3]

A real engine process in Preparation (no document goes to the LLM), TCP on loopback, documents of about 60 words (a
rehearsal's, cut) that are all different. The rounds of both ways take turns, so that a drifting machine drifts for both. CPU is the engine's with its
workers; `quiet` is how much of the machine was idle while it ran: a figure taken with less than a quiet machine is a lower bound.
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


class Caller:
    def __init__(self, address: str) -> None:
        url = urlsplit(address)
        self.connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=120)

    def post(self, path: str, body: object) -> bytes:
        self.connection.request("POST", path, json.dumps(body).encode(), {"Content-Type": "application/json"})
        response = self.connection.getresponse()
        output = response.read()
        assert response.status == 200, output
        return output


def single(address: str, documents: list[dict[str, str]]) -> None:
    caller = Caller(address)
    for document in documents:
        caller.post("/v1/extract", document)


def batched(address: str, documents: list[dict[str, str]]) -> None:
    caller = Caller(address)
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
    rig: EngineRig, way: Callable[[str, list[dict[str, str]]], None], documents: list[dict[str, str]], clients: int
) -> tuple[float, float, float]:
    """Documents a second, the engine's CPU in ms a document, the share of the machine that stayed idle."""
    address = rig.view.engine.address
    parts = [documents[n::clients] for n in range(clients)]
    threads = [threading.Thread(target=way, args=(address, part)) for part in parts]
    cpu, idle, began = cpu_s(rig.pid), idle_s(), time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - began
    cores = os.cpu_count() or 1
    return len(documents) / took, (cpu_s(rig.pid) - cpu) / len(documents) * 1000, (idle_s() - idle) / took / cores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=12_000)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    made = texts(given.documents)
    print(
        f"{given.documents:,} documents of {statistics.mean(map(len, made)):.0f} characters a round, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )
    rates: dict[str, list[float]] = {"single": [], "batch": []}
    with tempfile.TemporaryDirectory() as root, EngineRig(Path(root), speed=None) as rig:
        rig.engine()
        batched(rig.view.engine.address, [{"id": f"warm/{n}", "text": text} for n, text in enumerate(made[:200])])
        print(f"{'way':<8} {'clients':>7} {'docs/s':>8} {'CPU ms/doc':>11} {'idle':>6}")
        for round_ in range(given.rounds):
            for name, way, clients, count in (
                ("single", single, given.clients, given.documents // 4), ("batch", batched, 2, given.documents),
            ):  # fmt: skip
                documents = [{"id": f"{name}/{round_}/{n}", "text": text} for n, text in enumerate(made[:count])]
                rate, cpu, idle = measure(rig, way, documents, clients)
                rates[name].append(rate)
                print(f"{name:<8} {clients:>7} {rate:>8.0f} {cpu:>11.2f} {idle:>6.0%}")
    one, many = (statistics.median(rates[name]) for name in ("single", "batch"))
    print(f"median: single {one:.0f}/s, batch {many:.0f}/s, {many / one:.1f} times")


if __name__ == "__main__":
    main()
