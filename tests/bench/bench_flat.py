"""A large back-fill by frequency with texts not kept: how the engine's and the workers' memory grows, how fast it goes, and
what documents that someone waits for feel of it, beside the same while the back-fill is stopped, in turns.

python -m tests.bench.bench_flat [--documents 1000000] [--workers 2] [--seconds 420]     it ends when either is reached
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sqlite3
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from tests.engine.service.rig import COMMAND, EngineRig

SHORT = "Broker {0} keeps an offset for partition {0} of the log."
EVERY_S = 0.1
TURN_S = 10.0
SETTLE_S = 1.5  # of each turn, before single documents are measured


def rss_mb(pid: int) -> float:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024 if "VmRSS:" in status else 0.0


def documents(conn: sqlite3.Connection) -> int:
    return int(conn.execute("SELECT count(*) FROM document").fetchone()[0])


def children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def asked(rig: EngineRig, seconds: float, tag: str) -> list[float]:
    """How long single documents take, ms, one after the other with a pause between."""
    took: list[float] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.monotonic()
        rig.extract(f"live-{tag}-{len(took)}")
        took.append((time.monotonic() - began) * 1000)
        time.sleep(EVERY_S)
    return took


def paused(pids: list[int], signal_number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):  # the load has ended
            os.kill(pid, signal_number)
    time.sleep(SETTLE_S)


def shown(took: list[float]) -> str:
    took = sorted(took)
    return f"p50 {statistics.median(took):.0f}, p99 {took[min(len(took) - 1, int(len(took) * 0.99))]:.0f} ms (n = {len(took)})"


def main() -> None:
    parser = argparse.ArgumentParser()
    for name, default in (("documents", 1_000_000), ("workers", 2), ("seconds", 420)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        EngineRig(Path(folder) / "bench", speed=None, settings={"store.texts": "none"}) as rig,
    ):
        rig.engine()
        path = rig.root / "documents.jsonl"
        with path.open("w") as out:
            for number in range(given.documents):
                out.write(json.dumps({"id": f"f/{number}", "text": SHORT.format(number)}) + "\n")
        words = ["load", "--json", "--method", "frequency", "--as", "backfill", "--on", f"local:{given.workers}"]
        load = subprocess.Popen([*COMMAND, *rig._where, *words, str(path)], stdout=subprocess.PIPE, text=True)
        assert rig.until(lambda: rig.reader.read(documents) > 0, 120)
        began, number = time.monotonic(), 0
        took: dict[str, list[float]] = {"with": [], "without": []}
        while load.poll() is None and time.monotonic() - began < given.seconds:
            crew = [load.pid, *children(load.pid)]
            took["with"] += asked(rig, TURN_S, f"with-{number}")
            if load.poll() is not None:
                break
            paused(crew, signal.SIGSTOP)
            took["without"] += asked(rig, TURN_S, f"without-{number}")
            memory = " ".join(f"{rss_mb(pid):.0f}" for pid in crew[1:])
            print(
                f"{time.monotonic() - began:5.0f} s  {rig.reader.read(documents):9,} documents  engine {rss_mb(rig.pid):.0f} MB, "
                f"command {rss_mb(load.pid):.0f} MB, workers {memory} MB, load {os.getloadavg()[0]:.1f}",
                flush=True,
            )
            paused(crew, signal.SIGCONT)
            number += 1
        load.kill()
        load.wait()
        if not took["without"]:
            print(f"The load ended within its first {TURN_S:g} s: give it more documents.")
            return
        for name, values in took.items():
            print(f"single documents {name} the back-fill, in turns: {shown(values)}")


if __name__ == "__main__":
    main()
