"""Loads by worker processes, end to end on real processes: every document once, whichever process is killed."""

from __future__ import annotations

import asyncio
import contextlib
import glob
import importlib.util
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.store.jobs import Job, JobPart, PartDocument
from engine.worker.core import Worker, WorkerFailed, explained
from engine.worker.line import EngineConnection
from tests.engine.service.rig import COMMAND, EngineRig
from tests.engine.worker.job_rig import TEXT, at_half, begun, state, stored
from tests.engine.worker.llm import Llm
from tests.machine import crowd

DOCUMENTS = 600  # enough that a load still runs when a test ends one of its processes
FEW = 200  # where a load runs to its end
HAS_PYARROW = importlib.util.find_spec("pyarrow") is not None


@pytest.fixture(scope="module")
def llm() -> Iterator[Llm]:
    with Llm() as made:
        yield made


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory, llm: Llm) -> Iterator[EngineRig]:
    with at_half(tmp_path_factory.mktemp("jobs"), llm.url) as made:
        yield made


def _read(path: Path) -> str:
    """What the kernel says there of a process or a thread; "" of one that has ended."""
    try:
        return path.read_text()
    except OSError:
        return ""


class Load:
    """`rollout load --on local:2` in the background. `job`: a shell's, which can pause and continue it; else it leads a
    session, as `ssh -t HOST rollout load` does."""

    def __init__(self, rig: EngineRig, *words: str, job: bool = False) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, *rig._where, "load", "--json", "--on", "local:2", *words],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=not job, process_group=0 if job else None,
        )  # fmt: skip

    def end(self, timeout: float = 60.0) -> dict[str, Any]:
        out, error = self.process.communicate(timeout=timeout * crowd())
        assert out, error
        return dict(json.loads(out))

    @property
    def workers(self) -> list[int]:
        pid = self.process.pid
        children = [int(child) for child in _read(Path(f"/proc/{pid}/task/{pid}/children")).split()]
        return [child for child in children if "console.upload.worker" in _read(Path(f"/proc/{child}/cmdline"))]


def active(rig: EngineRig) -> set[int]:
    """The process ids of workers that hold a lease."""
    return {worker.pid for worker in rig.view.workers if worker.state == "active"}


def written(rig: EngineRig, name: str, documents: int = DOCUMENTS) -> Path:
    """Half of the documents as JSON lines, half as files; their ids begin with the name."""
    folder = rig.root / name
    folder.mkdir()
    rows = [json.dumps({"id": f"{name}/row-{n}", "text": TEXT.format(n)}) for n in range(documents // 2)]
    (folder / "rows.jsonl").write_text("\n".join(rows))
    for n in range(documents // 2):
        (folder / f"file-{n}.md").write_text(TEXT.format(n + 10_000))
    return folder


def failures(conn: sqlite3.Connection) -> list[tuple[str, int]]:
    return conn.execute("SELECT error, count(*) FROM extraction WHERE error IS NOT NULL GROUP BY error").fetchall()


def counted_keys(conn: sqlite3.Connection) -> int:
    """Documents of parts in progress."""
    return int(conn.execute("SELECT count(*) FROM job_key").fetchone()[0])


def latest(rig: EngineRig) -> dict[str, Any]:
    return dict(json.loads(rig.cli("jobs", "--json").stdout)["jobs"][0])


def test_a_load_stores_every_document_once_and_both_methods_take_part(rig: EngineRig, llm: Llm) -> None:
    folder = written(rig, "plain", FEW)
    load = Load(rig, "--root", str(rig.root), str(folder))
    outcome = load.end()
    assert outcome["ok"], outcome
    assert outcome["llm"] + outcome["frequency"] == FEW
    # half of them are on the LLM arm; a lease that runs out while a worker waits for the processor sends the next by frequency
    assert 0.3 * FEW / crowd() ** 2 < outcome["llm"] < 0.7 * FEW
    assert rig.reader.read(failures) == [], "a document whose lease ran out falls back too, and has no error"
    assert stored(rig, "plain") == (FEW, FEW)
    assert rig.until(lambda: rig.view.error_rate.n >= outcome["llm"]), "live work is evidence"
    assert llm.counters["most_at_once"] <= 3 * 8, "the workers share one window"
    assert llm.counters["turned_away"] == 0


def test_a_back_fill_protects_and_is_not_evidence(rig: EngineRig) -> None:
    folder = written(rig, "old", FEW)
    assert rig.until(lambda: rig.view.error_rate.n > 0)
    n, methods = rig.view.error_rate.n, dict(rig.view.methods)
    outcome = Load(rig, "--as", "backfill", "--root", str(rig.root), str(folder)).end()
    assert outcome["ok"], outcome
    assert stored(rig, "old") == (FEW, FEW)
    assert rig.until(lambda: rig.view.error_rate.n >= n + outcome["llm"]), "triggers count it, and so do the gauges"
    assert rig.view.methods["llm"] <= methods["llm"], "gates, the bake and the A/B test do not"
    flagged = rig.reader.read(lambda conn: conn.execute("SELECT count(*) FROM extraction WHERE backfill").fetchone())
    assert flagged == (FEW,)


def test_kill_nine_of_a_worker_and_of_the_engine_costs_no_document_and_doubles_none(rig: EngineRig) -> None:
    folder = written(rig, "killed")
    load = Load(rig, "--root", str(rig.root), str(folder))
    assert rig.until(lambda: stored(rig, "killed")[0] > 50)
    os.kill(load.workers[0], signal.SIGKILL)
    count = stored(rig, "killed")[0]
    assert rig.until(lambda: stored(rig, "killed")[0] > count + 50)
    engine = rig.running()
    engine.kill()
    engine.wait()
    rig.engine()
    outcome = load.end()
    assert outcome["state"] == "done", outcome
    assert stored(rig, "killed") == (DOCUMENTS, DOCUMENTS)


def test_workers_that_are_killed_again_and_again_end_the_load_which_says_so(rig: EngineRig) -> None:
    """As the kernel does where memory is short."""
    load = Load(rig, "--root", str(rig.root), str(written(rig, "again")))

    def ended() -> bool:
        for worker in load.workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
        return load.process.poll() is not None

    assert rig.until(ended)
    sentence = load.end()["sentence"]
    assert sentence.startswith(
        "A worker was killed 4 times, the last time by signal 9. If this machine ran out of memory"
    )
    assert f"--resume {latest(rig)['id']}" in sentence


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_job_that_is_stopped_while_its_workers_start_says_how_to_continue_it(
    rig: EngineRig, number: signal.Signals
) -> None:
    """Ctrl+C reaches every process of the terminal's group; a worker that was being imported printed a traceback."""
    folder = written(rig, f"stopped-{number.name}")
    load = Load(rig, "--root", str(rig.root), str(folder))
    assert rig.until(lambda: load.workers)
    os.killpg(load.process.pid, number)
    out, error = load.process.communicate(timeout=60.0 * crowd())
    assert load.process.returncode == -number
    assert "Traceback" not in error
    assert f"--resume {latest(rig)['id']}" in json.loads(out)["sentence"]
    assert rig.until(lambda: latest(rig)["workers"] == 0)


def test_a_killed_driver_takes_its_workers_with_it_and_the_job_resumes(rig: EngineRig) -> None:
    folder = written(rig, "driver")
    load = Load(rig, "--root", str(rig.root), str(folder))
    assert rig.until(lambda: stored(rig, "driver")[0] > 50)
    workers = load.workers
    load.process.kill()
    load.process.communicate()
    assert rig.until(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() for pid in workers))
    assert rig.until(lambda: latest(rig)["workers"] == 0)
    before = stored(rig, "driver")[0]
    assert before < DOCUMENTS
    job = latest(rig)
    assert job["state"] == "running"
    resumed = rig.cli("load", "--json", "--resume", str(job["id"]))  # as `rollout jobs` shows it
    outcome = json.loads(resumed.stdout)
    assert outcome["ok"], outcome
    here = re.search(r": (\d+) documents, (\d+) of them in (\S+) s \((\d+)/s\)", outcome["sentence"])
    assert here, outcome
    assert (int(here[1]), int(here[2])) == (DOCUMENTS, DOCUMENTS - before), "the rate is that of this run"
    assert int(here[4]) == pytest.approx(int(here[2]) / float(here[3]), rel=0.05, abs=1)
    assert stored(rig, "driver") == (DOCUMENTS, DOCUMENTS)
    again = rig.cli("load", "--json", "--resume", str(job["id"]))
    assert "nothing is left to resume" in json.loads(again.stdout)["sentence"]
    assert "continuing" not in again.stderr


def test_ctrl_z_pauses_the_workers_too_and_fg_continues_them(rig: EngineRig) -> None:
    def states() -> set[str]:
        return {_read(Path(f"/proc/{pid}/stat")).rpartition(") ")[2][:1] for pid in (load.process.pid, *load.workers)}

    folder = written(rig, "paused")
    load = Load(rig, "--root", str(rig.root), str(folder), job=True)
    assert rig.until(lambda: stored(rig, "paused")[0] > 20)
    os.killpg(load.process.pid, signal.SIGTSTP)  # as the terminal does
    assert rig.until(lambda: states() == {"T"})
    assert rig.until(lambda: active(rig).isdisjoint(load.workers)), "their leases end"
    before = stored(rig, "paused")[0]
    assert before < DOCUMENTS
    os.killpg(load.process.pid, signal.SIGCONT)
    assert load.end()["ok"]
    assert stored(rig, "paused") == (DOCUMENTS, DOCUMENTS)


def test_ctrl_z_does_nothing_where_no_shell_could_continue_the_load(rig: EngineRig) -> None:
    load = Load(rig, "--root", str(rig.root), str(written(rig, "led")))
    assert rig.until(lambda: stored(rig, "led")[0] > 20)
    os.killpg(load.process.pid, signal.SIGTSTP)
    assert load.end()["ok"]


def test_a_rollback_ends_every_worker_s_calls_and_the_rest_goes_by_frequency(rig: EngineRig, llm: Llm) -> None:
    rig.climb(4)
    documents = 4 * DOCUMENTS  # both workers still have some when the proof is there
    folder = written(rig, "fallen", documents)
    load = Load(rig, "--method", "auto", "--root", str(rig.root), str(folder))
    # the view also shows, for a moment, leases of the tests before this one
    assert rig.until(lambda: len(load.workers) == 2 and set(load.workers) <= active(rig))
    assert rig.until(lambda: stored(rig, "fallen")[0] > 20)
    made = rig.client.rollback("a test")
    proof = rig.proof(made.request_id, recorded=True)
    assert proof["effective_ms"] is not None, proof
    assert proof["workers"] >= 2
    calls = llm.counters["calls"]
    by_llm = rig.reader.read(
        lambda conn: conn.execute(
            "SELECT count(*) FROM document WHERE id LIKE 'fallen/%' AND method = 'llm'"
        ).fetchone()
    )
    outcome = load.end()
    assert outcome["ok"], outcome
    assert stored(rig, "fallen") == (documents, documents)
    assert llm.counters["calls"] == calls, "no call after the proof"
    assert outcome["llm"] == by_llm[0], "an answer that arrives after the fall is stored as frequency"


def test_documents_that_ask_for_the_llm_wait_while_it_may_not_be_called(rig: EngineRig) -> None:
    rig.climb(4)
    folder = written(rig, "barred")
    load = Load(rig, "--method", "llm", "--root", str(rig.root), str(folder))
    assert rig.until(lambda: stored(rig, "barred")[0] > 20)
    made = rig.client.rollback("a test")
    assert rig.proof(made.request_id, recorded=True)["effective_ms"] is not None
    time.sleep(2.0)  # long enough to refuse all of them
    job = latest(rig)
    assert (job["state"], job["failed"]) == ("running", 0)
    assert rig.until(lambda: "No LLM call may be made now" in latest(rig)["waits"], 20.0)
    assert "it waits: No LLM call may be made now: the LLM is switched off, as after every" in rig.cli("jobs").stdout
    assert "its documents wait until the LLM may be called" in rig.cli("status").stdout
    refused = rig.cli("load", "--json", "--method", "llm", "--on", "local:1", str(folder))
    assert "No LLM call may be made now" in json.loads(refused.stdout)["sentence"]
    assert (refused.returncode, latest(rig)["id"]) == (1, job["id"]), "no job begins that could only wait"
    rig.climb(4)
    out, error = load.process.communicate(timeout=60)
    outcome = json.loads(out)
    assert outcome["ok"], outcome
    # once for each reason: where the processor is busy the driver still sees the rollback under way
    waits = [line for line in error.splitlines() if f"job {job['id']} waits: No LLM call may be made now" in line]
    assert waits, error
    assert "switched off" in waits[-1]
    assert len(set(waits)) == len(waits), error
    assert stored(rig, "barred") == (DOCUMENTS, DOCUMENTS)


def test_a_worker_whose_documents_waited_too_long_for_the_llm_says_why_and_the_job_stays_open(
    rig: EngineRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.worker.core.KEPT_S", 0.5)

    def read(job: Job, part: JobPart) -> Iterator[PartDocument]:
        rig.client.rollback("a test")
        rig.until(lambda: not rig.folder.is_armed())
        yield from (PartDocument(f"late/{number}", TEXT.format(number)) for number in range(5))

    rig.climb(4)
    job = begun(rig, "late", 1, "llm")
    worker = Worker("late", rig.plan, job, lambda: EngineConnection(str(rig.folder.path)), read)
    with pytest.raises(WorkerFailed, match="No LLM call may be made now"), explained():
        asyncio.run(worker.run())
    assert state(rig, job) == "running"
    assert "No LLM call" in rig.client.command("job_run", job=job).sentence
    rig.climb(4)
    assert rig.client.command("job_run", job=job).ok


@pytest.mark.skipif(not HAS_PYARROW, reason="pip install 'rollout-console[parquet]'")
def test_a_back_fill_into_parquet_has_every_document_once_though_a_worker_and_the_command_are_killed(
    rig: EngineRig,
) -> None:
    from pyarrow import parquet

    rig.climb(4)
    folder, out = written(rig, "parquet"), rig.root / "keywords"
    load = Load(rig, "--output", str(out), "--root", str(rig.root), str(folder))
    assert rig.until(lambda: bool(load.workers) and rig.reader.read(counted_keys) > 50)
    os.kill(load.workers[0], signal.SIGKILL)
    assert rig.until(lambda: any(out.glob("*.parquet")), 60.0) or load.process.poll() is not None
    load.process.kill()
    load.process.communicate()
    outcome = Load(rig, "--resume", str(latest(rig)["id"])).end()
    assert outcome["ok"], outcome
    (out / "keywords-20260101T000000Z-job1-part0000000.parquet").write_bytes(b"of another job")
    assert outcome["files"] in outcome["sentence"]
    rows = [row for path in glob.glob(outcome["files"]) for row in parquet.read_table(path).to_pylist()]
    ids = [row["id"] for row in rows]
    assert sorted(ids) == sorted(set(ids))
    assert len(ids) == DOCUMENTS
    assert all(row["keywords"] and row["frequency"] for row in rows)
    by_llm = sum(row["method"] == "llm" for row in rows)
    assert (outcome["llm"], outcome["frequency"]) == (by_llm, DOCUMENTS - by_llm), "the job counts what the files hold"
    assert stored(rig, "parquet") == (0, 0), "nothing of it is in the store"
    assert not list(out.glob(".*")), "no unfinished file stays"
    job = latest(rig)
    assert (job["output"], job["kind"]) == (str(out), "backfill")
    twice = rig.cli("load", "--on", "local:1", "--output", str(out), "--output", "elsewhere", str(folder))
    assert (twice.returncode, "give --output once" in twice.stderr) == (2, True)
    refused = rig.cli("load", "--on", "local:1", "--as", "live", "--output", str(out), str(folder))
    assert refused.returncode == 2
    assert "served from the store" in refused.stderr


def test_a_fault_of_a_worker_is_a_sentence_and_its_traceback_a_file(tmp_path: Path) -> None:
    code = (
        "import asyncio, console.upload.worker as worker, sys\n"
        "async def fails(): raise ValueError('of a library')\n"
        "async def leaves(plan): asyncio.ensure_future(fails()); await asyncio.sleep(0.01); return 1 / 0\n"
        "worker.load_plan = lambda path: asyncio.run(leaves(path))\n"
        "sys.exit(worker.main('store', '1', 'rollout.toml'))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    out, error = process.stdout.read(), process.stderr.read()
    assert (process.wait(), error) == (1, "")
    assert "ZeroDivisionError" in out
    (kept,) = tmp_path.glob("*.traceback")
    assert str(kept) in out


def test_a_worker_computes_below_the_engine_and_keeps_its_lease_above(rig: EngineRig) -> None:
    folder = written(rig, "nice")
    load = Load(rig, "--method", "frequency", "--root", str(rig.root), str(folder))
    assert rig.until(lambda: stored(rig, "nice")[0] > 0)
    (engine,), (command,) = set(niceness(rig.pid).values()), set(niceness(load.process.pid).values())
    for pid in load.workers:
        threads = niceness(pid)
        assert threads[pid] > engine, "the loop, which extracts"
        assert list(threads.values()).count(command) >= 3, "a renewal, the watch, the end of the lease"
    assert load.end()["ok"]


def niceness(pid: int) -> dict[int, int]:
    """The nice value of each thread of a process."""
    stats = [_read(path) for path in Path(f"/proc/{pid}/task").glob("*/stat")]
    return {int(stat.split(" ", 1)[0]): int(stat.rpartition(")")[2].split()[16]) for stat in stats if stat}


def test_a_load_whose_plan_is_not_the_engine_s_begins_no_job(rig: EngineRig, tmp_path: Path) -> None:
    """Its workers would get no lease, and the job would stay behind."""
    folder = written(rig, "foreign", FEW)
    other = tmp_path / "other.toml"
    other.write_text(rig.plan_path.read_text() + "\n# changed since the engine read it\n")
    job = begun(rig, "foreign", 1)
    for words in (["--method", "frequency", str(folder)], ["--resume", str(job)]):
        refused = subprocess.run(
            [*COMMAND, "--store", str(rig.folder.path), "--plan", str(other), "load", "--json", "--on", "local:1", *words],
            capture_output=True, text=True,
        )  # fmt: skip
        assert refused.returncode == 1
        assert str(other) in json.loads(refused.stdout)["sentence"]
    assert rig.client.command("job_stop", job=job).ok
    assert latest(rig)["id"] == job


def test_a_stopped_job_ends_its_workers(rig: EngineRig) -> None:
    folder = written(rig, "halted")
    load = Load(rig, "--method", "frequency", "--root", str(rig.root), str(folder))
    assert rig.until(lambda: stored(rig, "halted")[0] > 0)
    number = rig.reader.read(lambda conn: conn.execute("SELECT max(id) FROM job").fetchone()[0])
    assert rig.client.command("job_stop", job=number).ok
    again = rig.cli("jobs", "stop", str(number))
    assert (again.returncode, "was already stopped" in again.stdout) == (0, True), "once more changes nothing"
    outcome = load.end(20.0)
    assert not outcome["ok"]
    assert "was stopped" in outcome["sentence"]
    assert rig.cli("jobs", "stop", "4711").returncode == 1
