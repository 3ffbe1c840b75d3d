"""A healthy LLM service and a process that gets 10 % of a core: the engine, or the workers. Neither may be taken for a
failure of the service: no trigger may act.

python -m tests.bench.bench_starved [--seconds 90] [--percent 10]     (as root, where a CPU cgroup can be made)
"""

from __future__ import annotations

import argparse
import contextlib
import os
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.bench.bench_workers import Crew
from tests.bench.llm_recorder import RecordingLlm
from tests.engine.service.rig import EngineRig

V1, V2 = Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup")
PERIOD_US = 100_000


@contextlib.contextmanager
def throttled(pids: Iterable[int], percent: int) -> Iterator[None]:
    """The processes share so much of one core."""
    old = (V1 / "cpu.cfs_quota_us").exists() or V1.is_dir()
    group = (V1 if old else V2) / f"rollout-bench-{os.getpid()}"
    group.mkdir()
    quota = PERIOD_US * percent // 100
    try:
        if old:
            (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
            (group / "cpu.cfs_quota_us").write_text(str(quota))
        else:
            (group / "cpu.max").write_text(f"{quota} {PERIOD_US}")
        for pid in pids:
            (group / "cgroup.procs").write_text(str(pid))
        yield
    finally:
        for pid in (group / "cgroup.procs").read_text().split():
            with contextlib.suppress(OSError):
                (group.parent / "cgroup.procs").write_text(pid)
        group.rmdir()


def watched(rig: EngineRig, seconds: float, act: Iterable[None]) -> tuple[list[str], str]:
    """What the log gains meanwhile, and the last sentence about lag on the way."""
    before, lag = len(rig.kinds()), ""
    end = time.monotonic() + seconds
    for _ in act:
        with contextlib.suppress(Exception):  # a view that does not come in time is no finding
            lag = next((why for why in rig.view.engine.problems if "was late for" in why), lag)
        if time.monotonic() > end:
            break
    return rig.kinds()[before:], lag


def sent(rig: EngineRig, stop: threading.Event) -> None:
    """Documents over HTTP, as fast as they are answered."""
    number = 0
    while not stop.is_set():
        number += 1
        with contextlib.suppress(Exception):
            rig.extract(f"live-{threading.get_ident()}-{number}")


def ticks() -> Iterator[None]:
    while True:
        time.sleep(1.0)
        yield


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=90.0)
    parser.add_argument("--percent", type=int, default=10)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, RecordingLlm(slots=16, latency_ms=200) as llm:
        settings = {"llm.url": llm.url, "store.texts": "none"}
        with EngineRig(Path(folder) / "bench", speed=None, settings=settings) as rig:
            rig.engine()
            rig.climb(4)
            stop = threading.Event()
            clients = [threading.Thread(target=sent, args=(rig, stop), daemon=True) for _ in range(8)]
            for client in clients:
                client.start()
            with throttled([rig.pid], given.percent):
                made, lag = watched(rig, given.seconds, ticks())
            stop.set()
            print(
                f"engine at {given.percent} % of a core for {given.seconds:g} s, healthy service: decisions {made}; {lag!r}"
            )
            print(f"  load average {os.getloadavg()[0]:.1f}", flush=True)
            rig.climb(4)
            crew = Crew(rig, 4, 40_000)
            try:
                crew.runs()
                with throttled(crew.pids, given.percent):
                    made, lag = watched(rig, given.seconds, ticks())
                print(
                    f"4 workers at {given.percent} % of a core together: decisions {made}; calls {llm.calls['calls']}"
                )
                print(f"  load average {os.getloadavg()[0]:.1f}", flush=True)
                print(rig.cli("status").stdout)
            finally:
                crew.end()


if __name__ == "__main__":
    main()
