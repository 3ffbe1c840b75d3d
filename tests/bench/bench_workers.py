"""Workers of a running load under rollback, on real processes, measured on the wire: when the last call is sent and when
the last call in flight is ended, after the commit; the same for `rm armed`; workers that are stopped for longer than
their lease and wake; and what idle leases cost the engine. As root, for the kernel's time stamps.

python -m tests.bench.bench_workers [--workers 12] [--trials 100] [--armed 20] [--stops 20] [--leases 50] [--least 6]
`--least`: calls in flight before each trial; fewer on a crowded machine
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from engine.client.client import machine_s
from engine.clock import SystemClock
from engine.cluster.lease_times import LEASE_S
from engine.worker.keeper import Keeper
from engine.worker.line import EngineConnection
from tests.bench.bench_cluster import engine_s
from tests.bench.llm_recorder import RecordingLlm
from tests.bench.wire import Wire
from tests.engine.service.rig import COMMAND, EngineRig
from tests.engine.worker.leased_work import NoCalls
from tests.machine import crowd

IDLE_S = 20.0
SETTLE_S = 0.4
BUSY_S = 60.0  # until every worker is at work, on a quiet machine
TEXT = (
    "The scheduler assigns task {0} to a worker pool and retries it with exponential backoff. "
    "The broker keeps an offset for partition {0} and compacts segment {0} of the commit log."
)


def written(path: Path, documents: int) -> Path:
    with path.open("w") as out:
        for number in range(documents):
            out.write(json.dumps({"id": f"{path.stem}/{number}", "text": TEXT.format(number)}) + "\n")
    return path


class Crew:
    """`rollout load --on local:N` in the background, begun again with more documents when it has none left."""

    def __init__(self, rig: EngineRig, workers: int, documents: int) -> None:
        self._rig, self._workers, self._documents, self._loads = rig, workers, documents, 0
        self._process: subprocess.Popen[bytes] | None = None

    def runs(self) -> None:
        assert self._rig.until(self.is_at_work, BUSY_S)

    def is_at_work(self) -> bool:
        """Whether every worker is at work. Begins the next load when one has ended."""
        if self._process is None or self._process.poll() is not None:
            self._loads += 1
            path = written(self._rig.root / f"load-{self._loads}.jsonl", self._documents)
            words = ["load", "--json", "--method", "llm", "--on", f"local:{self._workers}", str(path)]
            self._process = subprocess.Popen(
                [*COMMAND, *self._rig._where, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        return sum(worker.state == "active" for worker in self._rig.view.workers) >= self._workers

    @property
    def pids(self) -> list[int]:
        assert self._process is not None
        pid = self._process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def busy(rig: EngineRig, crew: Crew, llm: RecordingLlm, least: int) -> None:
    """Up to the canary, every worker at work and several calls in flight."""
    until = time.monotonic() + BUSY_S * crowd()
    while True:
        rig.climb(2)  # a load for the LLM is refused before; a removed armed file is noticed a moment later
        if crew.is_at_work() and llm.calls["open"] >= least:
            return
        assert time.monotonic() < until, llm.calls
        time.sleep(0.05)


def lasts(
    rig: EngineRig,
    crew: Crew,
    llm: RecordingLlm,
    wire: Wire,
    trials: int,
    fall: Callable[[], tuple[float, float]],
    least: int,
) -> Iterator[tuple[float, float]]:
    """Of each trial, in ms after the fall that `fall` brings about, and at least 0: the last call that is sent, and the
    last one that a worker ends. None may be sent or open after the proof."""
    for _ in range(trials):
        busy(rig, crew, llm, least)
        fell, proven = fall()
        time.sleep(SETTLE_S)
        assert rig.until(lambda: llm.calls["open"] == 0, 30), llm.calls  # a crowded machine takes longer to settle
        after = wire.calls
        assert max(after["posted"], after["ended"]) < proven, (after, proven)
        yield tuple(max(0.0, after[which] - fell) * 1000 for which in ("posted", "ended"))  # type: ignore[misc]


def rollback(rig: EngineRig) -> tuple[float, float]:
    """When it was committed, which the engine alone knows, and when it was proven."""
    pressed, offset = machine_s(), time.monotonic() - machine_s()
    made = rig.client.rollback("a trial")
    assert made.ok
    proof = rig.proof(made.request_id, recorded=True)
    assert not proof["overdue"], proof
    return pressed + offset + proof["recorded_ms"] / 1000, pressed + offset + proof["effective_ms"] / 1000


def removal(rig: EngineRig) -> tuple[float, float]:
    rig.folder.armed.unlink()
    return time.monotonic(), math.inf


def stopped(rig: EngineRig, crew: Crew, llm: RecordingLlm, stops: int, least: int) -> list[int]:
    """Calls that arrive after all workers were stopped for longer than their lease, with a rollback meanwhile, and woke."""
    late: list[int] = []
    for _ in range(stops):
        busy(rig, crew, llm, least)
        for pid in crew.pids:
            os.kill(pid, signal.SIGSTOP)
        assert rig.client.rollback("while they are stopped").ok
        time.sleep(LEASE_S + 0.2)
        before = llm.calls
        for pid in crew.pids:
            os.kill(pid, signal.SIGCONT)
        time.sleep(0.7)
        late.append(llm.calls["calls"] - before["calls"])
    return late


def idle(rig: EngineRig, leases: int) -> tuple[float, float]:
    """Percent of a core that the engine takes without leases, and with idle ones."""

    def line() -> EngineConnection:
        return EngineConnection(str(rig.folder.path))

    async def hold() -> float:
        keepers = [Keeper(f"idle-{number}", line, SystemClock(), NoCalls(rig.plan.digest)) for number in range(leases)]
        for keeper in keepers:
            keeper.start(asyncio.get_running_loop())
        await asyncio.sleep(3)
        used = await measured()
        for keeper in keepers:
            await asyncio.to_thread(keeper.stop)
        return used

    async def measured() -> float:
        before = engine_s(rig.pid)
        await asyncio.sleep(IDLE_S)
        return (engine_s(rig.pid) - before) / IDLE_S * 100

    return asyncio.run(measured()), asyncio.run(hold())


def shown(name: str, values: list[float]) -> str:
    values = sorted(values)
    at = [values[min(len(values) - 1, int(len(values) * share))] for share in (0.5, 0.9, 0.99)]
    return f"{name}: p50 {at[0]:.1f}, p90 {at[1]:.1f}, p99 {at[2]:.1f}, max {values[-1]:.1f} ms (n = {len(values)})"


def main() -> None:
    parser = argparse.ArgumentParser()
    for name, default in (("workers", 12), ("trials", 100), ("armed", 20), ("stops", 20), ("leases", 50), ("least", 6)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, RecordingLlm() as llm, Wire(urlsplit(llm.url).port or 0) as wire:
        settings = {"llm.url": llm.url, "store.texts": "none"}
        with EngineRig(Path(folder) / "bench", speed=None, settings=settings) as rig:
            rig.engine()
            crew = Crew(rig, given.workers, 40_000)
            try:
                for name, trials, fall in (("rollback", given.trials, rollback), ("rm armed", given.armed, removal)):
                    late = (
                        list(lasts(rig, crew, llm, wire, trials, lambda fall=fall: fall(rig), given.least))
                        if trials
                        else []
                    )  # type: ignore[misc]
                    for which, what in enumerate(("last call sent", "last call in flight ended")):
                        if late:
                            print(shown(f"{name}, {given.workers} workers, {what}", [one[which] for one in late]))
                    print(f"  load average {os.getloadavg()[0]:.1f}", flush=True)
                if given.stops:
                    calls = stopped(rig, crew, llm, given.stops, given.least)
                    print(f"calls after waking from a stop of {LEASE_S + 0.2:g} s: {sum(calls)} in {len(calls)} trials")
                    print(f"  load average {os.getloadavg()[0]:.1f}", flush=True)
            finally:
                crew.end()
            if given.leases:
                alone, held = idle(rig, given.leases)
                print(f"engine without leases {alone:.1f} % of a core, with {given.leases} idle ones {held:.1f} %")
    print(f"load average {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
