"""Loads by frequency in worker processes, beside `load` in the same run: documents/s, and CPU a document. With few
documents the starts of processes are most of it. Then single documents over HTTP: by the engine alone, by one gateway,
by two.

python -m tests.bench.bench_cluster [--documents 16000] [--clients 16]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import resource
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from tests.bench.bench_http import cpu_s, single
from tests.engine.service.rig import COMMAND, EngineRig
from tests.machine import free_port

TICKS = os.sysconf("SC_CLK_TCK")
WORDS = 220


def engine_s(pid: int) -> float:
    """CPU of the engine process, of its readers, and of what it has waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return cpu_s(pid) + (int(fields[13]) + int(fields[14])) / TICKS


def children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def written(rig: EngineRig, name: str, documents: int) -> Path:
    draw = random.Random(name)
    from engine.extraction import words

    known = [word for word in Path(words.__file__).read_text().split() if word.isalpha() and len(word) > 3]
    path = rig.root / f"{name}.jsonl"
    with path.open("w") as out:
        for number in range(documents):
            text = " ".join(draw.choices(known, k=WORDS)) + "."
            out.write(json.dumps({"id": f"{name}/{number}", "text": text}) + "\n")
    return path


def measure(rig: EngineRig, name: str, documents: int, *words: str) -> tuple[float, float, float]:
    """(documents/s, CPU ms a document in all, of it the engine's)."""
    path = written(rig, name, documents)
    pid = rig.running().pid
    engine, children, began = engine_s(pid), children_s(), time.monotonic()
    command = [*COMMAND, *rig._where, "load", "--json", "--method", "frequency", *words, str(path)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    took = time.monotonic() - began
    assert made.returncode == 0, made.stdout + made.stderr
    own = engine_s(pid) - engine
    return documents / took, (own + children_s() - children) * 1000 / documents, own * 1000 / documents


def send(rig: EngineRig, name: str, documents: int, clients: int, addresses: list[str]) -> tuple[float, float]:
    """(documents/s, the engine's CPU ms a document) over HTTP, one at a time on each client's kept connection; clients
    take turns at the addresses."""
    rows = [json.loads(line) for line in written(rig, name, documents).read_text().splitlines()]
    parts = [(addresses[n % len(addresses)], rows[n::clients]) for n in range(clients)]
    threads = [threading.Thread(target=single, args=part) for part in parts]
    pid = rig.running().pid
    engine, began = engine_s(pid), time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return documents / (time.monotonic() - began), (engine_s(pid) - engine) * 1000 / documents


@contextlib.contextmanager
def gateways(rig: EngineRig, count: int) -> Iterator[list[str]]:
    ports = [free_port() for _ in range(count)]
    processes = [
        subprocess.Popen(
            [*COMMAND, *rig._where, "worker", "--engine", str(rig.folder.path), "--listen", f"127.0.0.1:{port}"],
            stderr=subprocess.DEVNULL,
        )
        for port in ports
    ]
    addresses = [f"http://127.0.0.1:{port}" for port in ports]

    def ready(address: str) -> bool:
        with contextlib.suppress(OSError):
            return bool(urllib.request.urlopen(f"{address}/readyz").status == 200)
        return False

    try:
        assert rig.until(lambda: all(map(ready, addresses)), 30)
        yield addresses
    finally:
        for process in processes:
            process.terminate()
            process.wait()


def served(rig: EngineRig, documents: int, clients: int) -> list[tuple[str, float, float]]:
    rows = [("engine", *send(rig, "engine", documents, clients, [rig.view.engine.address]))]
    for count in (1, 2):
        with gateways(rig, count) as addresses:
            rows.append((f"{count} gateway{'s'[: count - 1]}", *send(rig, f"g{count}", documents, clients, addresses)))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--documents", type=int, default=16_000)
    parser.add_argument("--clients", type=int, default=16)
    given = parser.parse_args()
    documents = given.documents
    with tempfile.TemporaryDirectory() as folder, EngineRig(Path(folder) / "bench", speed=None) as rig:
        rig.engine()
        rows = [
            ("load", *measure(rig, "plain", documents)),
            ("local:1", *measure(rig, "one", documents, "--on", "local:1")),
            ("local:2", *measure(rig, "two", documents, "--on", "local:2")),
        ]
        single_rows = served(rig, documents, given.clients)
    print(f"{documents:,} documents of {WORDS} words by frequency, load average {os.getloadavg()[0]:.1f}")
    for name, rate, cpu, own in rows:
        print(
            f"{name:8} {rate:7.0f}/s  {cpu:5.2f} ms CPU a document, the engine's {own:5.2f}  x{rate / rows[0][1]:.2f}"
        )
    print(f"the same one at a time, POST /v1/extract by {given.clients} clients of this machine")
    for name, rate, own in single_rows:
        print(f"{name:10} {rate:7.0f}/s  the engine's CPU {own:5.2f} ms a document  x{rate / single_rows[0][1]:.2f}")


if __name__ == "__main__":
    main()
