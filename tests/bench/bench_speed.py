"""The figures of speed in one table: single and batch, load and workers, idle leases, the LLM client, key to commit. Each is shown
beside its floor or its peer from the same run. Less than five minutes on two quiet cores.

    python -m tests.bench.bench_speed [--rounds 3] [--only http,load,leases,llm,rollback]

CPU is read from /proc, so other people's load does not count in it; rates do depend on it, so the load is printed with each line.
"""

from __future__ import annotations

import argparse
import asyncio
import compileall
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec

from engine.extraction.llm.prompt import build
from tests.bench import bench_cluster, bench_http, bench_llm, bench_rollback, bench_workers
from tests.engine.service.rig import EngineRig

LEASES = 50
SLOTS, LATENCY_S, LLM_S = 32, 0.1, 6.0
LOADED = 8000  # documents of a load: with 3,000 the start of its processes is a quarter of the CPU
STARTED = 50  # of a load that is hardly more than that start


def show(name: str, figure: str, wanted: str, met: bool) -> None:
    print(f"{name:<46} {figure:<44} {wanted:<26} {'met' if met else 'MISSED':<7} {os.getloadavg()[0]:4.1f}", flush=True)


def http(rounds: int) -> None:
    made = bench_http.texts(4000)
    rates: dict[str, list[float]] = {"single": [], "batch": []}
    cost: dict[str, list[float]] = {"engine": [], "all": []}
    with tempfile.TemporaryDirectory() as root, EngineRig(Path(root), speed=None) as rig:
        rig.engine()
        warm = [{"id": f"warm/{n}", "text": text} for n, text in enumerate(made[:400])]
        bench_http.batched(rig.view.engine.address, warm)
        for turn in range(rounds):
            for name, way, clients, count in (
                ("single", bench_http.single, 8, 1000),
                ("batch", bench_http.batched, 2, 4000),
            ):
                documents = [{"id": f"{name}/{turn}/{n}", "text": text} for n, text in enumerate(made[:count])]
                before = own_s(rig.pid)
                measured = bench_http.measure(rig, way, documents, clients)
                rates[name].append(measured.rate)
                if name == "batch":
                    cost["all"].append(measured.cpu_ms)
                    cost["engine"].append((own_s(rig.pid) - before) * 1000 / count)
    one, many = (statistics.median(rates[name]) for name in ("single", "batch"))
    own, whole = statistics.median(cost["engine"]), statistics.median(cost["all"])
    show(
        "batch by frequency, short documents",
        f"{many:.0f}/s, {many / one:.1f} x single ({one:.0f}/s)",
        ">= 3000/s",
        many >= 3000,
    )
    show(
        "  CPU a document",
        f"{whole:.2f} ms, of it the engine process {own:.2f}",
        "<= 0.67 ms on two cores",
        whole <= 0.67,
    )


def own_s(pid: int) -> float:
    """CPU of this process alone."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def load(rounds: int) -> None:
    ways: dict[str, tuple[str, ...]] = {"load": (), "local:1": ("--on", "local:1"), "local:2": ("--on", "local:2")}
    rows: dict[str, list[tuple[float, float, float]]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as root, EngineRig(Path(root) / "bench", speed=None) as rig:
        rig.engine()
        for turn in range(max(1, rounds - 1)):
            for name, words in ways.items():
                rows[name].append(bench_cluster.measure(rig, f"{name}-{turn}", LOADED, *words))
        starting_ms = bench_cluster.measure(rig, "start", STARTED, *ways["local:2"])[1] * STARTED
    middle = {
        name: [statistics.median(column) for column in zip(*several, strict=True)] for name, several in rows.items()
    }
    plain, one, two = (middle[name] for name in ways)
    show("load, frequency, 220 words", f"{plain[0]:.0f}/s, {plain[1]:.2f} ms CPU a document", "-", True)
    show(
        "load --on local:1",
        f"{one[0]:.0f}/s, {one[0] / plain[0]:.2f} x load",
        ">= 1.5 x load",
        one[0] >= 1.5 * plain[0],
    )
    most = 2 * (one[1] - one[2]) / two[1]  # one worker fills a core; two cores carry two workers and the engine
    show(
        "load --on local:2",
        f"{two[0]:.0f}/s, {two[0] / one[0]:.2f} x local:1, on 2 cores <= {most:.2f}",
        ">= 1.8 x local:1",
        two[0] >= 1.8 * one[0],
    )
    show("  CPU a document", f"{two[1]:.2f} ms", "<= 1.8 ms", two[1] <= 1.8)
    show("  of it the engine's", f"{two[2]:.2f} ms", "<= 0.25 ms", two[2] <= 0.25)
    show("  CPU of the start of its processes", f"{starting_ms / 1000:.1f} s", "-", True)


def leases(_: int) -> None:
    with tempfile.TemporaryDirectory() as root, EngineRig(Path(root) / "bench", speed=None) as rig:
        rig.engine()
        alone, held = bench_workers.idle(rig, LEASES)
    show(f"{LEASES} idle leases", f"{held - alone:.1f} % of a core above {alone:.1f} %", "<= 5 %", held - alone <= 5)


async def bare(url: str, count: int) -> tuple[float, float]:
    """(documents/s, CPU ms a document) of `httpx.AsyncClient.post` with the same requests, as many at once as there are slots."""
    gate = asyncio.Semaphore(SLOTS)
    limits = httpx.Limits(max_connections=SLOTS, max_keepalive_connections=SLOTS)
    async with httpx.AsyncClient(limits=limits, timeout=60.0, trust_env=False) as client:

        async def one(text: str) -> None:
            asked = build(text, max_descriptive=8, max_technical=10, max_total=15)
            messages = [{"role": "system", "content": asked.system}, {"role": "user", "content": asked.user}]
            body = {
                "model": bench_llm.MODEL,
                "messages": messages,
                "format": asked.schema,
                "stream": False,
                "options": {},
            }
            async with gate:
                answer = await client.post(f"{url}/api/chat", json=body)
                msgspec.json.decode(answer.content)

        await asyncio.gather(*(one(text) for text in bench_llm.documents(SLOTS)))
        texts = bench_llm.documents(count)
        began, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*map(one, texts))
        return count / (time.perf_counter() - began), (time.process_time() - cpu) * 1000 / count


def llm(rounds: int) -> None:
    ideal = SLOTS / LATENCY_S
    count = int(ideal * LLM_S)
    mine: list[dict[str, Any]] = []
    floors: list[tuple[float, float]] = []
    for _ in range(rounds):
        with bench_llm.service(SLOTS, LATENCY_S) as (url, _process):
            floors.append(asyncio.run(bare(url, count)))
        with bench_llm.service(SLOTS, LATENCY_S, "--queue", str(2 * SLOTS)) as (url, _process):
            mine.append(asyncio.run(bench_llm.ours((url,), count)))
    cpu, floor = statistics.median(one["cpu"] for one in mine), statistics.median(cpu for _, cpu in floors)
    steady, rate = (statistics.median(one[name] for one in mine) / ideal for name in ("steady", "rate"))
    most = statistics.median(rate for rate, _ in floors) / ideal
    show(
        "LLM client, CPU a document",
        f"{cpu:.2f} ms, {cpu / floor:.2f} x httpx ({floor:.2f})",
        "<= 1.5 x httpx",
        cpu <= 1.5 * floor,
    )
    show(
        f"LLM, {SLOTS} slots of {LATENCY_S * 1000:.0f} ms",
        f"{steady:.1%} of S/L settled, {rate:.1%} in all; httpx {most:.1%}", ">= 95 %", steady >= 0.95,
    )  # fmt: skip


def rollback(rounds: int) -> None:
    commits, floor = bench_rollback.commits(10 * rounds)
    ratio, p99 = (
        statistics.median(commits) / statistics.median(floor),
        commits[min(len(commits) - 1, int(len(commits) * 0.99))],
    )
    show(
        "key to durable commit",
        f"{statistics.median(commits):.1f} ms, {ratio:.1f} x fdatasync",
        "<= 4 x fdatasync",
        ratio <= 4,
    )
    show("  p99", f"{p99:.1f} ms", "<= 50 ms at a load of 3", p99 <= 50)


PARTS: dict[str, Callable[[int], None]] = {
    "http": http,
    "load": load,
    "leases": leases,
    "llm": llm,
    "rollback": rollback,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=",".join(PARTS))
    given = parser.parse_args()
    chosen = given.only.split(",")
    if unknown := [name for name in chosen if name not in PARTS]:
        parser.error(f"there is no part {unknown[0]!r}; the parts are {', '.join(PARTS)}")
    for folder in ("engine", "console"):  # as an installation has them: compiling takes longer than a worker's start
        compileall.compile_dir(folder, quiet=2)
    print(f"{'':<46} {'measured':<44} {'wanted':<26} {'':<7} load, {os.cpu_count()} cores")
    for name in chosen:
        PARTS[name](given.rounds)


if __name__ == "__main__":
    main()
