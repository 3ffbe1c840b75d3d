"""Carries out a job with worker processes of this machine, or workers on a Ray cluster. They end with this process,
however it ends; the job stays."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct, to_builtins
from msgspec.structs import asdict, replace

from console.upload import parquet
from console.upload.crews import Crew, crews
from console.upload.parts import parts
from engine.client.client import EngineClient
from engine.store import jobs
from engine.store.jobs import Job, JobPart, JobRequest, JobTally
from engine.store.reader import Reader
from engine.text import counted

MOST_WORKERS = 64
PARTS_AT_ONCE = 100
LOOK_S = 0.3
PAUSE_LOOKS = 20  # a pause is so many times as long as the look: of a job of 200,000 parts that takes 0.14 s
RESTARTS = 3  # of each worker that dies; another worker takes its part
END_S = 5.0
MOST_RAY_WORKERS = 1000
_LOCAL = re.compile(r"local:(\d{1,3})")
_RAY = re.compile(r"ray://([A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\]):(\d{1,5})")


class JobTrouble(Exception):
    """The message is a sentence."""


class JobResult(Struct, frozen=True):
    """`why`: what kept the job from its end; "" when it is done. `before`: documents of it stored before this run."""

    job: Job
    tally: JobTally
    troubles: dict[str, list[str]]
    why: str = ""
    before: int = 0


class Place(Struct, frozen=True):
    """Where workers run: `ray` is a cluster's address, "" for processes of this machine."""

    workers: int
    ray: str = ""


def place_of(on: str, workers: int | None) -> Place:
    """What --on and --workers mean. JobTrouble for anything else."""
    if match := _RAY.fullmatch(on):
        if workers is None or not 1 <= workers <= MOST_RAY_WORKERS:
            raise JobTrouble(f"--on ray://HEAD:6379 needs --workers N, at most {MOST_RAY_WORKERS:,}.")
        return Place(workers, f"{match[1]}:{match[2]}")
    match = _LOCAL.fullmatch(on)
    if match is None or not 1 <= int(match[1]) <= MOST_WORKERS:
        raise JobTrouble(
            f"--on takes local:N, N worker processes of this machine, at most {MOST_WORKERS}: --on local:4; or a Ray "
            "cluster: --on ray://HEAD:6379 --workers 16."
        )
    if workers is not None:
        raise JobTrouble(f"--workers is for a Ray cluster; {on} names the number of its workers.")
    return Place(int(match[1]))


class CrewMember(Protocol):
    """A worker, wherever it runs; `why` gives the reason it gave up, if it did."""

    why: str

    def keep_alive(self) -> bool: ...
    def pause(self) -> None: ...
    def go_on(self) -> None: ...
    def end(self) -> None: ...
    def wait(self) -> None: ...


class Machines(Protocol):
    """Where workers are started. `engine`: the address at which those of other machines reach the engine."""

    def start(self, store: Path, job: int, plan_path: Path, engine: str) -> Sequence[CrewMember]: ...
    def close(self) -> None: ...


def reached(place: Place) -> Machines:
    """The machines of a place, before a job is begun. JobTrouble if workers cannot run there."""
    if not place.ray:
        return _ThisMachine(place.workers)
    from console.upload.ray_workers import NoCluster, RayCluster

    try:
        return RayCluster(place.ray, place.workers)
    except NoCluster as error:
        raise JobTrouble(str(error)) from None


def begin(client: EngineClient, files: Iterable[str], asked: JobRequest) -> int:
    """Enter a job and its parts into the store; nothing is read yet. JobTrouble."""
    job = int(_ask(client, "job_begin", **asdict(asked))["job"])
    some: list[JobPart] = []
    first = 0
    for part in parts(files):
        some.append(part)
        if len(some) == PARTS_AT_ONCE:
            _ask(client, "job_parts", job=job, first=first, parts=to_builtins(some))
            first, some = first + len(some), []
    if some:
        _ask(client, "job_parts", job=job, first=first, parts=to_builtins(some))
    return job


def carry_out(
    client: EngineClient,
    reader: Reader,
    job: int,
    machines: Machines,
    plan_path: Path,
    engine: str,
    watch: Callable[[JobTally, str], None],
) -> JobResult:
    """Run the job to its end, its stop, or until no worker is left. JobTrouble when it cannot start. `watch` gets what
    is done, and why the documents wait for a person ("" if they do not)."""
    before = reader.read(lambda conn: jobs.tally(conn, job)).documents
    _ask(client, "job_run", job=job)
    result = _watched(reader, job, machines.start(reader.folder.path, job, plan_path, engine), watch)
    return replace(result, before=before)


@contextlib.contextmanager
def _pausing(crew: Sequence[CrewMember]) -> Iterator[None]:
    """Ctrl+Z stops the command's process group, and workers are in groups of their own."""

    def pause(*_: object) -> None:
        for member in crew:
            member.pause()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)  # the kernel ignores it where no shell could continue the command
        os.kill(os.getpid(), signal.SIGTSTP)  # returns once `fg` or `bg` continues it
        signal.signal(signal.SIGTSTP, pause)
        for member in crew:
            member.go_on()

    before = signal.signal(signal.SIGTSTP, pause)
    try:
        yield
    finally:
        signal.signal(signal.SIGTSTP, before)


def _watched(reader: Reader, job: int, crew: Sequence[CrewMember], watch: Callable[[JobTally, str], None]) -> JobResult:
    with _pausing(crew):
        return _until_it_ends(reader, job, crew, watch)


def _until_it_ends(
    reader: Reader, job: int, crew: Sequence[CrewMember], watch: Callable[[JobTally, str], None]
) -> JobResult:
    try:
        while True:
            began = time.monotonic()
            known, tally, at_work = reader.read(
                lambda conn: (jobs.find(conn, job), jobs.tally(conn, job), crews(conn).get(job, Crew()))
            )
            assert known is not None
            took = time.monotonic() - began
            watch(tally, at_work.waits)
            if known.state in ("done", "stopped"):
                why = "" if known.state == "done" else f"Job {job} was stopped."
                break
            alive = [member for member in crew if member.keep_alive()]
            if not alive:
                why = next((member.why for member in crew if member.why), "") or "Every worker has ended."
                known, tally = reader.read(lambda conn: (jobs.find(conn, job), jobs.tally(conn, job)))
                assert known is not None
                if known.state == "done":
                    why = ""
                break
            time.sleep(max(LOOK_S, PAUSE_LOOKS * took))
    finally:
        for member in crew:
            member.end()
        for member in crew:
            member.wait()
    return JobResult(known, tally, reader.read(lambda conn: jobs.troubles(conn, job)), why)


def sentence(result: JobResult, took: float) -> str:
    t = result.tally
    new = t.documents - result.before
    per_s = new / max(took, 1e-9)
    here = f", {new:,} of them" if result.before else ""
    return (
        f"Job {result.job.id}: {counted(t.documents, 'document')}{here} in {took:.1f} s ({per_s:.0f}/s): "
        f"{t.llm:,} by LLM, {t.frequency:,} by frequency ({t.fallback:,} as fallback), "
        f"{f'{t.empty:,} empty, ' if t.empty else ''}{t.failed:,} failed; "
        f"{t.done:,} of {counted(t.parts, 'part')} done."
        f"{f' Keywords: {parquet.files_of(result.job)}' if result.job.output else ''}"
    )


def data(result: JobResult) -> dict[str, Any]:
    """The result for programs."""
    troubles = [f"{name}: {why}" for why, names in result.troubles.items() for name in names]
    files = {"files": parquet.files_of(result.job)} if result.job.output else {}
    return {"job": result.job.id, "state": result.job.state, **to_builtins(result.tally), "skipped": troubles, **files}


def _ask(client: EngineClient, kind: str, /, **fields: object) -> dict[str, Any]:
    reply = client.command(kind, timeout_s=60.0, **fields)
    if not reply.ok:
        raise JobTrouble(reply.sentence)
    return reply.data


class _ThisMachine:
    def __init__(self, workers: int) -> None:
        self._workers = workers

    def start(self, store: Path, job: int, plan_path: Path, engine: str) -> list[_Process]:
        return [_Process(store, job, plan_path) for _ in range(self._workers)]

    def close(self) -> None:
        """Its workers end with the command."""


def _killed(number: int, times: int) -> str:
    out_of_memory = " If this machine ran out of memory, `dmesg` says so: use fewer workers."
    why = out_of_memory if number == signal.SIGKILL else ""
    return f"A worker was killed {times} times, the last time by signal {number}.{why}"


class _Process:
    """One worker process, started again if it is killed."""

    def __init__(self, store: Path, job: int, plan_path: Path) -> None:
        self._command = [
            sys.executable, "-P", "-m", "console.upload.worker", str(store.absolute()), str(job), str(plan_path),
        ]  # fmt: skip
        self._starts = 0
        self.why = ""
        self._start()

    def _start(self) -> None:
        self._starts += 1
        # in a process group of its own: Ctrl+C is for the command, which ends its workers
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, process_group=0
        )

    def keep_alive(self) -> bool:
        """Whether it runs. One that was killed starts again; one that gave up, or has nothing left, does not."""
        code = self._process.poll()
        if code is None:
            return True
        if code < 0 and self._starts <= RESTARTS:
            self._start()
            return True
        self.why = self.why or (_killed(-code, self._starts) if code < 0 else self._last_line())
        return False

    def _last_line(self) -> str:
        """The reason that a worker which gave up printed; "" of one that has nothing left."""
        output = self._process.stdout.read() if self._process.stdout else ""
        return output.strip().rpartition("\n")[2] if self._process.returncode else ""

    def pause(self) -> None:
        self._process.send_signal(signal.SIGSTOP)  # its lease ends meanwhile

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        with contextlib.suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()

    def wait(self) -> None:
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
