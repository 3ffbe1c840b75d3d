"""A rollback while workers run outside the engine, on real processes: who calls until when, and what the proof claims."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from engine.cluster.lease_times import LEASE_S
from tests.engine.service.rig import EngineRig
from tests.machine import crowd, patience

TOKEN = "token-of-the-test"


class Caller:
    """A process that calls as often as its lease permits."""

    def __init__(self, rig: EngineRig, name: str, place: str = "", token: str = "", digest: str = "") -> None:
        self.path = rig.root / f"{name}.calls"
        self.name = name
        given = (place or str(rig.folder.path), token, name, digest or rig.plan.digest, str(self.path))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.engine.worker.caller", *given], stderr=subprocess.PIPE, text=True
        )

    @property
    def calls(self) -> list[float]:
        return [float(line) for line in self.path.read_text().splitlines()] if self.path.exists() else []

    @property
    def last(self) -> float:
        return max(self.calls, default=0.0)

    def busy(self) -> bool:
        return time.time() - self.last < 0.1

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineRig]:
    os.environ["ROLLOUT_TOKEN"] = TOKEN
    try:
        with EngineRig(tmp_path_factory.mktemp("workers"), speed=1.0) as made:
            made.engine()
            yield made
    finally:
        del os.environ["ROLLOUT_TOKEN"]


@pytest.fixture
def two(rig: EngineRig) -> Iterator[tuple[Caller, Caller]]:
    """One worker on the socket, one on TCP with the token, both calling."""
    rig.running()
    rig.climb(2)
    pair = (Caller(rig, f"a{time.time_ns()}"), Caller(rig, f"b{time.time_ns()}", rig.view.engine.address, TOKEN))
    try:
        assert rig.until(lambda: all(caller.busy() for caller in pair))
        yield pair
    finally:
        for caller in pair:
            caller.end()


def proof(rig: EngineRig, request_id: str) -> dict[str, Any]:
    return rig.proof(request_id, recorded=True)


def test_both_workers_stop_at_once_and_the_proof_counts_them(rig: EngineRig, two: tuple[Caller, Caller]) -> None:
    late: list[float] = []
    for _ in patience(60):
        if len(late) == 10:
            break
        rig.climb(2)
        assert rig.until(lambda: all(caller.busy() for caller in two))
        made = rig.client.rollback("a test")
        committed = time.time()
        result = proof(rig, made.request_id)
        time.sleep(0.1)
        if crowd() > 2 and (result["workers"] < 2 or result["silent"]):
            continue  # a worker that was not let run for a second has no lease
        late += [caller.last - committed for caller in two]
        assert result["workers"] == 2, result
        assert result["silent"] == []
        assert result["effective_ms"] < 500 * crowd()
        assert "acknowledged by 2 workers" in result["sentence"]
        assert result["last_call"] == pytest.approx(max(caller.last for caller in two), abs=0.2 * crowd())
        assert result["last_call"] > committed - 1, "a worker's call is a call"
    assert len(late) == 10
    assert statistics.median(late) < 0.05 * crowd(), late


def test_a_stopped_worker_is_named_until_its_lease_ends_and_makes_no_call_when_it_wakes(
    rig: EngineRig, two: tuple[Caller, Caller]
) -> None:
    stopped, other = two
    stopped.process.send_signal(signal.SIGSTOP)
    time.sleep(0.05)
    began = time.time()
    made = rig.client.rollback("a test")
    seen: list[str] = []

    def proven() -> bool:
        result = rig.client.command("proof", of=made.request_id).data["proof"]
        seen.append(result["sentence"])
        return result["effective_ms"] is not None

    assert rig.until(proven, 5.0)
    took = time.time() - began
    result = proof(rig, made.request_id)
    assert any(stopped.name in sentence and "its lease ends" in sentence for sentence in seen[:-1]), seen
    assert LEASE_S - 0.5 * crowd() < took < LEASE_S + 0.5 * crowd()
    assert result["workers"] == 1
    assert any(stopped.name in phrase for phrase in result["silent"])
    assert other.last < began + 0.2 * crowd()
    stopped.process.send_signal(signal.SIGCONT)
    time.sleep(0.7)
    assert stopped.last < began  # a line that the stop held up may be written now, of a call from before


def test_removing_the_armed_file_is_a_rollback_for_workers_too(rig: EngineRig, two: tuple[Caller, Caller]) -> None:
    rig.folder.armed.unlink()
    removed = time.time()
    time.sleep(0.5)
    assert all(caller.last < removed + 0.25 * crowd() for caller in two), [caller.last - removed for caller in two]
    assert rig.until(lambda: rig.percent_bp == 0, 10.0)


def test_a_killed_engine_takes_its_workers_with_it_and_the_next_waits_for_their_leases(
    rig: EngineRig, two: tuple[Caller, Caller]
) -> None:
    engine = rig.running()
    engine.kill()
    engine.wait()
    killed = time.time()
    assert rig.folder.has_workers()
    made = rig.client.rollback("a test")
    assert made.engine == "none"
    assert made.leases_end_s == pytest.approx(LEASE_S, abs=0.2)
    assert "Workers" in made.sentence
    time.sleep(LEASE_S + 0.3)
    assert all(caller.last < killed + LEASE_S + 0.05 * crowd() for caller in two)
    rig.engine()
    time.sleep(0.5)
    assert all(caller.last < killed + LEASE_S + 0.05 * crowd() for caller in two), "the next engine is at 0 %"


def test_a_worker_of_another_plan_does_not_start(rig: EngineRig) -> None:
    rig.running()
    caller = Caller(rig, "other", digest="0" * 64)
    try:
        _, error = caller.process.communicate(timeout=10)
    finally:
        caller.end()
    assert "is not the engine's" in error
    assert caller.calls == []


def test_a_worker_whose_token_is_not_the_engine_s_any_more_says_what_to_change(rig: EngineRig) -> None:
    rig.running()
    caller = Caller(rig, "stale", rig.view.engine.address, "the token of yesterday")
    try:
        _, error = caller.process.communicate(timeout=10)
    finally:
        caller.end()
    assert "does not accept this worker's token" in error
    assert "token_env" in error
    assert caller.calls == []


def test_tcp_without_the_token_gets_no_lease(rig: EngineRig) -> None:
    rig.running()
    body = json.dumps({"worker": "w", "host": "h", "pid": 1, "identity": {"version": "", "plan": ""}}).encode()
    request = urllib.request.Request(
        f"{rig.view.engine.address}/v1/worker/lease", body, {"Content-Type": "application/json"}
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    assert refused.value.code == 401


def test_the_mark_of_workers_goes_when_none_can_call(rig: EngineRig, two: tuple[Caller, Caller]) -> None:
    assert rig.folder.has_workers()
    assert rig.until(lambda: {w.name for w in rig.view.workers if w.state == "active"} == {c.name for c in two})
    assert all(f"worker {caller.name} on" in rig.cli("status").stdout for caller in two)
    for caller in two:
        caller.end()
    assert rig.until(lambda: not rig.folder.has_workers(), 6.0)
