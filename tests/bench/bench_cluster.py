"""Loads by frequency in worker processes, beside today's `load` in the same run: documents/s, and CPU a document.

python -m tests.bench.bench_cluster [--documents 4000]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import tempfile
import time
from pathlib import Path

from tests.engine.service.stage import COMMAND, Stage

TICKS = os.sysconf("SC_CLK_TCK")
WORDS = 220


def engine_s(pid: int) -> float:
    """CPU of the engine process and of what it has waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(fields[place]) for place in (11, 12, 13, 14)) / TICKS


def children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def written(stage: Stage, name: str, documents: int) -> Path:
    draw = random.Random(name)
    from engine.extraction import words

    known = [word for word in Path(words.__file__).read_text().split() if word.isalpha() and len(word) > 3]
    path = stage.root / f"{name}.jsonl"
    with path.open("w") as out:
        for number in range(documents):
            text = " ".join(draw.choices(known, k=WORDS)) + "."
            out.write(json.dumps({"id": f"{name}/{number}", "text": text}) + "\n")
    return path


def measure(stage: Stage, name: str, documents: int, *words: str) -> tuple[float, float, float]:
    """(documents/s, CPU ms a document in all, of it the engine's)."""
    path = written(stage, name, documents)
    pid = stage.running().pid
    engine, children, began = engine_s(pid), children_s(), time.monotonic()
    command = [*COMMAND, *stage._where, "load", "--json", "--method", "frequency", *words, str(path)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    took = time.monotonic() - began
    assert made.returncode == 0, made.stdout + made.stderr
    own = engine_s(pid) - engine
    return documents / took, (own + children_s() - children) * 1000 / documents, own * 1000 / documents


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--documents", type=int, default=4000)
    documents = parser.parse_args().documents
    with tempfile.TemporaryDirectory() as folder, Stage(Path(folder) / "bench", speed=None) as stage:
        stage.engine()
        rows = [
            ("load", *measure(stage, "plain", documents)),
            ("local:1", *measure(stage, "one", documents, "--on", "local:1")),
            ("local:2", *measure(stage, "two", documents, "--on", "local:2")),
        ]
    print(f"{documents:,} documents of {WORDS} words by frequency, load average {os.getloadavg()[0]:.1f}")
    for name, rate, cpu, own in rows:
        print(
            f"{name:8} {rate:7.0f}/s  {cpu:5.2f} ms CPU a document, the engine's {own:5.2f}  x{rate / rows[0][1]:.2f}"
        )


if __name__ == "__main__":
    main()
