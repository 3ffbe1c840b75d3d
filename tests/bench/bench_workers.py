"""Workers under rollback, on real processes: how long after the commit the last call of any worker starts, how long a
cut-off worker calls, and what idle leases cost the engine.

python -m tests.bench.bench_workers [--trials 100] [--cuts 10] [--leases 50]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

from engine.clock import SystemClock
from engine.cluster.identity import version
from engine.cluster.lease import LEASE_S, Identity
from engine.worker.keeper import Keeper
from engine.worker.line import EngineConnection
from tests.bench.bench_cluster import engine_s
from tests.engine.service.stage import Stage
from tests.engine.worker.test_rollback import TOKEN, Caller

IDLE_S = 20.0


class Link:
    """A way to the engine that can be cut: what is sent then arrives nowhere, and no connection is closed."""

    def __init__(self, to: str) -> None:
        where = urlsplit(to)
        self._to = (where.hostname or "", where.port or 0)
        self.cut = False
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            near = self._listening.accept()[0]
            far = socket.create_connection(self._to)
            for pair in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=pair, daemon=True).start()

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        try:
            while data := one.recv(65536):
                if not self.cut:
                    other.sendall(data)
            other.close()
        except OSError:
            one.close()


def lasts(stage: Stage, callers: list[Caller], trials: int) -> list[float]:
    """Of each trial: from the rollback's commit to the last call that any worker started, ms; at least 0."""
    late: list[float] = []
    for _ in range(trials):
        stage.climb(2)
        assert stage.until(lambda: all(caller.busy() for caller in callers))
        assert stage.client.rollback("a trial").ok
        committed = time.time()
        time.sleep(0.3)
        late.append(max(0.0, max(caller.last for caller in callers) - committed) * 1000)
    return sorted(late)


def cut_off(stage: Stage, cuts: int) -> tuple[list[float], list[float]]:
    """(last call of the cut-off worker, of the other one) after cut and rollback, ms."""
    link = Link(stage.view.engine.address)
    far, near = Caller(stage, "far", link.address, TOKEN), Caller(stage, "near")
    mine: list[float] = []
    other: list[float] = []
    try:
        for _ in range(cuts):
            link.cut = False
            stage.climb(2)
            assert stage.until(lambda: far.busy() and near.busy())
            link.cut = True
            began = time.time()
            assert stage.client.rollback("a cut").ok
            time.sleep(LEASE_S + 0.5)
            mine.append(max(0.0, far.last - began) * 1000)
            other.append(max(0.0, near.last - began) * 1000)
    finally:
        far.end()
        near.end()
    return sorted(mine), sorted(other)


def idle(stage: Stage, leases: int) -> tuple[float, float]:
    """Percent of a core that the engine takes without leases, and with idle ones."""

    async def hold() -> float:
        keepers = [
            Keeper(
                f"idle-{number}", lambda: EngineConnection(str(stage.folder.path)), SystemClock(),
                lambda: Identity(version(), stage.plan.digest), lambda: 0, lambda: None, lambda why: None,
                lambda why: None,
            )
            for number in range(leases)
        ]  # fmt: skip
        for keeper in keepers:
            keeper.start(asyncio.get_running_loop())
        await asyncio.sleep(3)
        used = await measured()
        for keeper in keepers:
            await asyncio.to_thread(keeper.stop)
        return used

    async def measured() -> float:
        before = engine_s(stage.pid)
        await asyncio.sleep(IDLE_S)
        return (engine_s(stage.pid) - before) / IDLE_S * 100

    return asyncio.run(measured()), asyncio.run(hold())


def shown(name: str, values: list[float]) -> str:
    at = [values[min(len(values) - 1, int(len(values) * share))] for share in (0.5, 0.9, 0.99)]
    return f"{name}: p50 {at[0]:.1f}, p90 {at[1]:.1f}, p99 {at[2]:.1f}, max {values[-1]:.1f} ms (n = {len(values)})"


def main() -> None:
    parser = argparse.ArgumentParser()
    for name, default in (("trials", 100), ("cuts", 10), ("leases", 50)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    os.environ["ROLLOUT_TOKEN"] = TOKEN
    with tempfile.TemporaryDirectory() as folder, Stage(Path(folder) / "bench", speed=1.0) as stage:
        stage.engine()
        if given.trials:
            stage.climb(2)
            pair = [Caller(stage, "one"), Caller(stage, "two", stage.view.engine.address, TOKEN)]
            late = lasts(stage, pair, given.trials)
            for caller in pair:
                caller.end()
            print(shown("last call of any worker after the commit", late), flush=True)
        if given.cuts:
            mine, other = cut_off(stage, given.cuts)
            print(shown(f"last call of a cut-off worker (lease {LEASE_S * 1000:.0f} ms)", mine))
            print(shown("last call of the other worker", other), flush=True)
        if given.leases:
            alone, held = idle(stage, given.leases)
            print(f"engine without leases {alone:.1f} % of a core, with {given.leases} idle ones {held:.1f} %")
    print(f"load average {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
