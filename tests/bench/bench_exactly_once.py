"""Loads of 10,000 documents by 12 workers while something is killed: how many documents are lost, how many doubled.

python -m tests.bench.bench_exactly_once [--documents 10000] [--workers 12] [--only workers|driver|engine|batches|head]
`head` needs Ray, and kills its head
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from engine.measures.record import Extraction
from engine.store.documents import DocumentWrite
from engine.store.jobs import ExtractedItem, key
from engine.text import digest
from engine.worker.line import EngineConnection
from engine.worker.messages import BATCH_DOCUMENTS, WorkerBatch
from tests.bench.bench_workers import TEXT, written
from tests.engine.service.rig import COMMAND, EngineRig

RAY_PORT = 9391


class Run:
    def __init__(self, rig: EngineRig, name: str, documents: int, workers: int) -> None:
        self.rig, self.name, self.documents, self.workers = rig, name, documents, workers
        self.path = written(rig.root / f"{name}.jsonl", documents)
        self.start(str(self.path), "--method", "frequency")

    @property
    def on(self) -> list[str]:
        return ["--on", f"local:{self.workers}"]

    def start(self, *words: str) -> None:
        command = [*COMMAND, *self.rig._where, "load", "--json", *self.on, *words]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def resume(self) -> None:
        jobs = json.loads(self.rig.cli("jobs", "--json").stdout)["jobs"]
        self.start("--resume", str(jobs[0]["id"]))

    @property
    def pids(self) -> list[int]:
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def stored(self) -> tuple[int, int, int]:
        """(documents, extractions, documents with more than one)."""
        like = (f"{self.name}/", f"{self.name}0")
        where = "document_id >= ? AND document_id < ?"
        return self.rig.reader.read(
            lambda conn: (
                conn.execute("SELECT count(*) FROM document WHERE id >= ? AND id < ?", like).fetchone()[0],
                conn.execute(f"SELECT count(*) FROM extraction WHERE {where}", like).fetchone()[0],
                conn.execute(
                    f"SELECT count(*) FROM (SELECT 1 FROM extraction WHERE {where} GROUP BY document_id HAVING count(*) > 1)",
                    like,
                ).fetchone()[0],
            )
        )

    def when(self, share: float) -> None:
        assert self.rig.until(lambda: self.stored()[0] >= share * self.documents, 300), self.stored()

    def end(self) -> str:
        out, _ = self.process.communicate(timeout=300)
        matches = json.loads(out)
        documents, records, doubled = self.stored()
        lost = self.documents - documents
        state = f"{matches.get('state')}, counted {matches['llm'] + matches['frequency']}"
        return f"{self.name}: {lost} lost, {doubled} doubled, {records} records of {self.documents} ({state})"


def workers(run: Run) -> None:
    """kill -9 of every one, twelve in all, one after the other."""
    for number in range(run.workers):
        run.when((number + 1) / (run.workers + 2))
        if run.process.poll() is None and (pids := run.pids):
            os.kill(pids[number % len(pids)], signal.SIGKILL)


def driver(run: Run) -> None:
    for share in (0.2, 0.5):
        run.when(share)
        run.process.kill()
        run.process.communicate()
        run.resume()


def engine(run: Run) -> None:
    for share in (0.25, 0.6):
        run.when(share)
        process = run.rig.running()
        process.kill()
        process.wait()
        run.rig.engine()


class RayRun(Run):
    """On a Ray cluster of this machine, whose head is killed."""

    @property
    def on(self) -> list[str]:
        return ["--on", f"ray://127.0.0.1:{RAY_PORT}", "--workers", str(self.workers)]


class Head:
    """A Ray head of its own process group."""

    def __init__(self, folder: Path, cpus: int) -> None:
        self.log = folder / f"head-{time.monotonic_ns()}.log"
        command = [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", "--port", str(RAY_PORT),
            "--num-cpus", str(cpus), "--include-dashboard", "false", "--object-store-memory", "80000000",
            "--temp-dir", f"/tmp/ray-bench-{os.getpid()}"]  # fmt: skip
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, start_new_session=True
            )
        until = time.monotonic() + 180
        while "Ray runtime started" not in self.log.read_text(errors="replace"):
            alive = self.process.poll() is None and time.monotonic() < until
            assert alive, self.log.read_text(errors="replace")
            time.sleep(0.3)

    def kill(self) -> None:
        """kill -9 of the head and of everything that it started: as a machine that is lost."""
        for pid in [self.process.pid, *descendants(self.process.pid)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


def descendants(pid: int) -> list[int]:
    try:
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return [one for child in children for one in (child, *descendants(child))]


def head(rig: EngineRig, documents: int, workers: int) -> str:
    """The head is killed half way; the load continues on the next one."""
    os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32), RAY_USAGE_STATS_ENABLED="0")
    first = Head(rig.root, workers)
    run = RayRun(rig, "head", documents, workers)
    try:
        run.when(0.4)
    finally:
        first.kill()
    killed = time.monotonic()
    try:
        run.process.communicate(timeout=150)
        how = f"the command ended {time.monotonic() - killed:.0f} s later"
    except subprocess.TimeoutExpired:
        run.process.kill()
        run.process.communicate()
        how = "the command had not ended 150 s later and was killed"
    at = run.stored()[0]
    second = Head(rig.root, workers)
    try:
        run.resume()
        return f"{run.end()}; {how}, with {at} stored"
    finally:
        second.kill()


def nothing(run: Run) -> None:
    """The same load without a kill, to compare."""


def batches(rig: EngineRig, documents: int) -> str:
    """Each batch sent up to three times, in another order, by two workers; every document once."""
    job = int(rig.client.command("job_begin", sources="bench", root="/", method="frequency").data["job"])
    parts = [{"pieces": [{"path": "/bench"}]} for _ in range(-(-documents // 500))]
    assert rig.client.command("job_parts", job=job, first=0, parts=parts).ok
    assert rig.client.command("job_run", job=job).ok
    whole: list[tuple[int, list[ExtractedItem]]] = []
    for number in range(0, documents, BATCH_DOCUMENTS):
        whole.append((number, [item(n) for n in range(number, min(number + BATCH_DOCUMENTS, documents))]))
    draw = random.Random(7)
    sends = [(name, batch) for batch in whole for name in ("a", "b", "a")]
    draw.shuffle(sends)
    line = EngineConnection(str(rig.folder.path))
    for name, (number, items) in sends:
        body = msgspec.json.encode(WorkerBatch(name, job, number, items))
        line.post("/v1/worker/batch", body, 60.0)
    stored, records, doubled = Counts(rig).of("batch")
    return f"batches, each 3 times, shuffled: {documents - stored} lost, {doubled} doubled, {records} records of {documents}"


class Counts(Run):
    def __init__(self, rig: EngineRig) -> None:
        self.rig = rig

    def of(self, name: str) -> tuple[int, int, int]:
        self.name = name
        return self.stored()


def item(n: int) -> ExtractedItem:
    text = TEXT.format(n)
    name = f"batch/{n}"
    record = Extraction(0.0, name, "control", "frequency", 0, 1)
    document = DocumentWrite(
        name, "", text, digest(text), 0.0, "control", "frequency", ("broker",), (), None, (), 0, 1
    )  # fmt: skip
    return ExtractedItem(n // 500, key(name, digest(text)), 0.0, record, document)


TRIALS: dict[str, Callable[[Run], None]] = {"nothing": nothing, "workers": workers, "driver": driver, "engine": engine}


def results(rig: EngineRig, documents: int, count: int, only: str) -> Iterator[str]:
    for name, trial in TRIALS.items():
        if only in ("", name):
            began = time.monotonic()
            run = Run(rig, name, documents, count)
            trial(run)
            yield f"{run.end()}, {time.monotonic() - began:.0f} s"
    if only == "head":
        yield head(rig, documents, min(count, 4))
    if only in ("", "batches"):
        yield batches(rig, documents)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--documents", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=12)
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, EngineRig(Path(folder) / "bench", speed=None) as rig:
        rig.engine()
        for line in results(rig, given.documents, given.workers, given.only):
            print(f"{line}, load average {os.getloadavg()[0]:.1f}", flush=True)


if __name__ == "__main__":
    main()
