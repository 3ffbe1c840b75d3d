"""Throughput of the LLM pool against services whose capacity it does not know.

    python -m tests.bench.bench_llm [--seconds 12] [--rounds 3]

Each service is a process of its own with S slots and latency L, so S/L documents a second is the most it can do. The peer is `ollama`'s
AsyncClient behind a semaphore of exactly S (it is given what the pool has to discover), on the same documents in the same run;
it needs `pip install ollama`. Every run counts from the first document to the last, the pool's search for the size included.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx

from engine.clock import SystemClock
from engine.extraction.llm import LlmFailure, LlmPool
from engine.extraction.llm.prompt import build
from engine.plan.model import Llm

CASES = ((1, 0.2), (8, 0.05), (32, 0.1))
UNEQUAL = ((2, 0.1), (8, 0.1), (16, 0.2))
MODEL = "llama3.2:3b"
_TEXT = (
    "The gateway keeps a connection pool per upstream and retries idempotent requests with jitter. Cargo.toml pins tokio and "
    "hyper; max_connections and keepalive_timeout are read from gateway.yaml. "
)


@contextlib.contextmanager
def service(slots: int, latency_s: float, *more: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    command = [
        sys.executable,
        "-m",
        "tests.stub_llm",
        "--slots",
        str(slots),
        "--latency-ms",
        str(latency_s * 1000),
        *more,
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip(), process
    finally:
        process.terminate()
        process.wait()


def documents(count: int) -> list[str]:
    """About 2 kB each, all different."""
    return [f"Report {i}. " + _TEXT * 9 for i in range(count)]


def counters(url: str) -> dict[str, int]:
    results: dict[str, int] = httpx.get(f"{url}/counters", trust_env=False).json()
    return results


async def ours(urls: tuple[str, ...], count: int, kill: subprocess.Popen[str] | None = None) -> dict[str, Any]:
    pool = LlmPool(Llm(urls=urls, model=MODEL), SystemClock())
    await pool.start()
    lost: list[LlmFailure] = []
    latencies: list[float] = []
    ends: list[float] = []

    async def one(text: str) -> None:
        try:
            answer = await pool.extract(text, permit=lambda: True)
            latencies.append(answer.ms)
            ends.append(time.perf_counter())
        except LlmFailure as failure:
            lost.append(failure)
        if kill is not None and kill.poll() is None and len(latencies) > count // 2:
            kill.kill()

    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(one(text) for text in documents(count)))
    spent, cpu = time.perf_counter() - began, time.process_time() - cpu
    windows = [server.window for server in pool.servers()]
    await pool.close()
    ends.sort()
    half = ends[len(ends) // 2 :]
    steady = (len(half) - 1) / (half[-1] - half[0])
    return {
        "rate": count / spent,
        "steady": steady,
        "lost": len(lost),
        "why": str(lost[0])[:90] if lost else "",
        "p50": statistics.median(latencies),
        "cpu": cpu / count * 1000,
        "windows": windows,
    }


async def peer(url: str, count: int, slots: int) -> dict[str, Any] | None:
    try:
        import ollama
    except ImportError:
        return None
    client, gate = ollama.AsyncClient(host=url), asyncio.Semaphore(slots)
    options = {"temperature": 0.1, "num_ctx": 8192, "num_predict": 512, "seed": 1}

    async def one(text: str) -> None:
        asked = build(text, max_descriptive=8, max_technical=10, max_total=15)
        messages = [{"role": "system", "content": asked.system}, {"role": "user", "content": asked.user}]
        async with gate:
            await client.chat(MODEL, messages=messages, format=asked.schema, options=options)

    await one(documents(1)[0])  # the load is not its fault either
    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(one(text) for text in documents(count)))
    spent, cpu = time.perf_counter() - began, time.process_time() - cpu
    return {"rate": count / spent, "cpu": cpu / count * 1000}


async def one_server(slots: int, latency_s: float, seconds: float, rounds: int) -> str:
    ideal = slots / latency_s
    count = int(ideal * seconds)
    mine: list[dict[str, Any]] = []
    theirs: list[dict[str, Any]] = []
    busy = 0
    for _ in range(rounds):
        with service(slots, latency_s, "--queue", str(2 * slots)) as (url, _process):
            mine.append(await ours((url,), count))
            busy += counters(url)["turned_away"]
        with service(slots, latency_s) as (url, _process):
            other = await peer(url, count, slots)
            if other:
                theirs.append(other)

    def middle(of: list[dict[str, Any]], name: str) -> float:
        return statistics.median(one[name] for one in of)

    ratios = [m["rate"] / t["rate"] for m, t in zip(mine, theirs, strict=False)]
    compared = f"{middle(theirs, 'rate'):.1f} | {statistics.median(ratios):.3f}" if ratios else "not installed | -"
    return (
        f"| {slots} | {latency_s * 1000:.0f} | {ideal:.0f} | {middle(mine, 'rate'):.1f} | {middle(mine, 'rate') / ideal:.1%} | "
        f"{middle(mine, 'steady') / ideal:.1%} | {compared} | {sum(m['lost'] for m in mine)} | {busy / count / rounds:.2%} | "
        f"{middle(mine, 'p50'):.0f} | {[m['windows'][0] for m in mine]} | {middle(mine, 'cpu'):.2f} | "
        + (f"{middle(theirs, 'cpu'):.2f} |" if theirs else "- |")
    )


async def several(seconds: float, kill: bool) -> str:
    ideal = sum(slots / latency_s for slots, latency_s in UNEQUAL)
    count = int(ideal * seconds)
    with contextlib.ExitStack() as stack:
        running = [stack.enter_context(service(slots, latency_s)) for slots, latency_s in UNEQUAL]
        urls = tuple(url for url, _ in running)
        end = await ours(urls, count, kill=running[1][1] if kill else None)
    name = "the 8-slot one killed half way" if kill else "all up"
    share = "-" if kill else f"{end['rate'] / ideal:.1%}"
    return f"| {name} | {ideal:.0f} | {end['rate']:.1f} | {share} | {end['lost']} {end['why']} | {end['windows']} |"


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=12.0, help="least length of a run")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    print(
        f"load average before: {os.getloadavg()[0]:.2f}, {os.cpu_count()} cores; {asked.rounds} rounds of {asked.seconds:g} s\n"
    )
    print(
        "| slots | L ms | S/L | pool docs/s | of S/L | second half | ollama docs/s | ratio | lost | 503 | p50 ms | window | CPU ms/doc | ollama's |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|")
    for slots, latency_s in CASES:
        print(await one_server(slots, latency_s, asked.seconds, asked.rounds), flush=True)
    print(f"\n| three servers {UNEQUAL} | sum | pool docs/s | of the sum | lost | windows |\n|---|---|---|---|---|---|")
    for kill in (False, True):
        print(await several(asked.seconds, kill), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
