"""From the key to its effect, on a real engine with eight busy workers, beside the same disk's raw fsync.

`python -m tests.bench.bench_rollback [rounds] [--folder DIR]`. Every figure is taken outside the engine, on the machine's own clock,
but for the moments of the commit and of LLM calls, which only the engine knows. The workers are a process of their own, and so is the second router,
which does before each document what every router does: a stat of `armed` and a prepared read of the control row.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
import threading
import time
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path

from engine.client.client import EngineClient, machine_s
from engine.store import database
from engine.store.folder import Folder
from tests.engine.service.rig import TEXT, EngineRig

WORKERS = 8
TARGET_MS = {
    "key to commit": 50,
    "commit to last LLM call started": 20,
    "commit to last LLM call ended": 250,
    "commit to a second process's routing": 20,
}


def work(folder: Path, ending: Event) -> None:
    """Eight clients that extract without a pause."""
    client = EngineClient(Folder(folder))

    def loop(number: int) -> None:
        count = 0
        while not ending.is_set():
            count += 1
            name = f"busy-{number}-{count}"
            client.request("POST", "/v1/extract", {"id": name, "text": f"{TEXT} {name}"}, 30.0)

    threads = [threading.Thread(target=loop, args=(n,)) for n in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def route(path: Path, answers: Connection, ending: Event) -> None:
    """A second router: reports when it first applied 0 %, by the file and by the row."""
    folder = Folder(path)
    conn = database.open_reader(folder)
    armed, up, t_armed = True, True, 0.0
    while not ending.is_set():
        now_armed = folder.is_armed()
        now_up = conn.execute("SELECT percent_bp FROM control WHERE id = 1").fetchone()[0] > 0
        now = machine_s()
        t_armed = now if armed and not now_armed else t_armed
        if up and not now_up:
            answers.send((t_armed, now))
        armed, up = now_armed, now_up
        time.sleep(0.0002)


def fsyncs(folder: Path, count: int = 20) -> list[float]:
    """Milliseconds of an append of 4 KiB made durable: what no commit can be faster than."""
    out = []
    with (folder / "floor").open("ab", buffering=0) as file:
        for _ in range(count):
            began = time.perf_counter()
            file.write(b"x" * 4096)
            os.fdatasync(file.fileno())
            out.append((time.perf_counter() - began) * 1000)
    return out


def commits(rounds: int) -> tuple[list[float], list[float]]:
    """(key to commit of each rollback, the disk's own time for a small durable append), ms, sorted; with busy workers."""
    spawn = multiprocessing.get_context("spawn")
    took: list[float] = []
    floor: list[float] = []
    with tempfile.TemporaryDirectory() as root, EngineRig(Path(root), speed=1.0) as rig:
        rig.engine()
        rig.climb(5)
        ending = spawn.Event()
        busy = spawn.Process(target=work, args=(rig.folder.path, ending))
        busy.start()
        for _ in range(rounds):
            assert rig.until(lambda: rig.view.engine.in_flight >= WORKERS // 2, 30)
            result = rig.client.rollback("measured")
            assert result.ok
            took.append(rig.proof(result.request_id, recorded=True)["recorded_ms"])
            floor += fsyncs(Path(root))
            assert rig.client.command("undo_rollback", epoch=rig.reader.state().epoch).ok
        ending.set()
        busy.join(10)
        busy.kill()
    return sorted(took), sorted(floor)


def main(rounds: int, folder: str | None) -> None:
    spawn = multiprocessing.get_context("spawn")
    measured: dict[str, list[float]] = {name: [] for name in ("key to the file gone", *TARGET_MS, "key to proof")}
    floor: list[float] = []
    cancelled = 0
    with tempfile.TemporaryDirectory(dir=folder) as root, EngineRig(Path(root), speed=1.0) as rig:
        rig.engine()
        rig.climb(5)
        ending = spawn.Event()
        here, there = spawn.Pipe(duplex=False)
        helpers = [
            spawn.Process(target=work, args=(rig.folder.path, ending)),
            spawn.Process(target=route, args=(rig.folder.path, there, ending)),
        ]
        for helper in helpers:
            helper.start()
        wall = time.time() - machine_s()
        for _ in range(rounds):
            assert rig.until(lambda: rig.view.engine.in_flight >= WORKERS // 2, 30)
            key = machine_s()
            result = rig.client.rollback("measured")
            t_armed, t_row = here.recv()
            proof = rig.proof(result.request_id, recorded=True)
            assert result.ok
            assert not proof["overdue"]
            committed = key + proof["recorded_ms"] / 1000
            cancelled += proof["cancelled"]
            measured["key to the file gone"].append((t_armed - key) * 1000)
            measured["key to commit"].append((committed - key) * 1000)
            measured["commit to last LLM call started"].append(max(0.0, proof["last_call"] - wall - committed) * 1000)
            measured["commit to last LLM call ended"].append(
                max(0.0, proof["last_call_ended"] - wall - committed) * 1000
            )
            measured["commit to a second process's routing"].append(max(0.0, t_row - committed) * 1000)
            measured["key to proof"].append(proof["effective_ms"])
            floor += fsyncs(Path(root))
            reply = rig.client.command("undo_rollback", epoch=rig.reader.state().epoch)
            assert reply.ok, reply.sentence
        ending.set()
        for helper in helpers:
            helper.join(10)
            helper.kill()
    print(f"{rounds} rollbacks, {WORKERS} workers, {cancelled} calls ended in flight; milliseconds\n")
    print(f"{'':<38}{'p50':>8}{'p99':>8}{'max':>8}   target p99")
    for name, values in {**measured, "raw fdatasync of 4 KiB, same disk": floor}.items():
        ranked = sorted(values)
        p99 = ranked[min(len(ranked) - 1, int(len(ranked) * 0.99))]
        target = f"{TARGET_MS[name]:>6}  {'met' if p99 <= TARGET_MS[name] else 'MISSED'}" if name in TARGET_MS else ""
        print(f"{name:<38}{ranked[len(ranked) // 2]:>8.2f}{p99:>8.2f}{ranked[-1]:>8.2f}   {target}")
    load = os.getloadavg()[0]
    ratio = sorted(measured["key to commit"])[rounds // 2] / sorted(floor)[len(floor) // 2]
    print(
        f"\nkey to commit is {ratio:.1f} times the raw fdatasync (medians); load average {load:.1f} on {os.cpu_count()} processors"
    )


if __name__ == "__main__":
    options = argparse.ArgumentParser()
    options.add_argument("rounds", type=int, nargs="?", default=100)
    options.add_argument("--folder", help="on which disk; default: the temporary folder's")
    given = options.parse_args()
    main(given.rounds, given.folder)
