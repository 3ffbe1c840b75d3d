"""A flood on TCP never blocks a rollback: idle connections, bodies that never end, rubbish, with few descriptors and a real
engine; what a rollback takes on the unix socket meanwhile, what memory and the log grow by."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import uvicorn

from engine.server import listeners, log_folding
from engine.server.connections import HEADERS_S, ConnectionBudget
from engine.server.spawning import wait_until_up
from tests import warm
from tests.engine.service.rig import QUIET, EngineRig
from tests.machine import crowd

FEW_FILES = 1024  # what many systems allow a process
IDLE = 1500
SERVED_WITHIN_S = 0.2  # what a console waits for; usually some ms, on a crowded machine more


@pytest.fixture(scope="module")
def many_files() -> Iterator[None]:
    """This process holds the client's ends."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2 * IDLE:
        pytest.skip("this process may not open so many connections")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2 * IDLE), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, many_files: None) -> Iterator[EngineRig]:
    with EngineRig(tmp_path_factory.mktemp("flood"), QUIET) as made:
        with warm.executed():  # so that there is time for the next line
            process = made.engine(wait=False)
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (FEW_FILES, FEW_FILES))  # before it counts its files
        assert wait_until_up(made.folder, process, 30.0 * crowd()) == ""
        assert made.until(lambda: made.reader.engine_record().pid == process.pid)
        yield made


@pytest.fixture
def rig(engine: EngineRig) -> EngineRig:
    engine.climb(3)
    return engine


class Flood:
    def __init__(self, rig: EngineRig) -> None:
        result = urlsplit(rig.view.engine.address)
        self._address = (result.hostname or "", result.port or 0)
        self.open: list[socket.socket] = []

    def connect(self, count: int, sentence: bytes = b"", patience_s: float = 3.0) -> None:
        for _ in range(count):
            client = socket.socket()
            client.settimeout(patience_s)
            with contextlib.suppress(OSError):
                client.connect(self._address)
                if sentence:
                    client.sendall(sentence)
            self.open.append(client)

    def close(self) -> None:
        for client in self.open:
            client.close()
        self.open.clear()


@pytest.fixture
def flood(rig: EngineRig) -> Iterator[Flood]:
    made = Flood(rig)
    yield made
    made.close()


def rolls_back(rig: EngineRig) -> float:
    """By the engine, over the unix socket, recorded; how long the best of three answers took."""
    took = []
    for _ in range(3):
        began = time.monotonic()
        status, answer = rig.client.request("POST", "/v1/control/rollback", {"reason": "under a flood"}, 10.0)
        took.append(time.monotonic() - began)
        assert status == 200, answer
    assert rig.until(lambda: rig.percent_bp == 0, 5)
    print(f"answered in {', '.join(f'{one * 1000:.0f}' for one in took)} ms")
    return min(took)


def usual() -> float:
    """The bound on this machine now: it is for one that is not crowded."""
    return SERVED_WITHIN_S * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def memory_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no such process")


def test_a_rollback_is_quick_under_fifteen_hundred_idle_connections(rig: EngineRig, flood: Flood) -> None:
    flood.connect(IDLE)
    assert rolls_back(rig) < usual()
    assert rig.client.request("GET", "/healthz")[0] == 200
    assert len(os.listdir(f"/proc/{rig.pid}/fd")) < FEW_FILES - 100  # spare ones for the store and the socket
    late = Flood(rig)
    late.connect(1, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 30.0)  # whoever asks something gets a place
    assert late.open[0].recv(100).startswith(b"HTTP/1.1 200")
    late.close()
    assert "Too many open files" not in rig.folder.engine_log.read_text()


def test_a_rollback_is_quick_under_bodies_that_never_end(rig: EngineRig, flood: Flood) -> None:
    before = memory_mb(rig.pid)
    head = b"POST /v1/extract HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 40000000\r\n\r\n"
    flood.connect(20, head + b" " * 39_000_000)
    assert rolls_back(rig) < usual()
    assert memory_mb(rig.pid) - before < 400
    assert rig.extract("a small one")["method"] == "frequency"


def test_connections_whose_headers_never_end_are_closed(rig: EngineRig, flood: Flood) -> None:
    flood.connect(5, b"GET /healthz HTTP/1.1\r\nX-Slow: ")
    began = time.monotonic()
    answered = 0
    for client in flood.open:
        client.settimeout(1)
        while time.monotonic() - began < HEADERS_S + 5:
            with contextlib.suppress(TimeoutError, OSError):
                client.sendall(b"a")
                answered += client.recv(20).startswith(b"HTTP/1.1 408")
                break
    assert answered == 5


def test_a_rollback_is_quick_under_rubbish_and_the_log_stays_short(rig: EngineRig, flood: Flood) -> None:
    """Three senders do not stop until the rollback is answered; by then each has sent two hundred times."""
    program = (
        "import os, select, socket, sys\nos.nice(10)\n"  # from elsewhere: not in the engine's way for a core
        "sent = 0\n"
        "while not select.select([sys.stdin], [], [], 0)[0]:\n"
        "    try:\n"
        "        with socket.create_connection((sys.argv[1], int(sys.argv[2])), 1) as s:\n"
        "            s.sendall(b'rubbish %d\\r\\n\\r\\n' % sent); s.recv(100)\n"
        "    except OSError: pass\n"
        "    sent += 1\n"
        "    if sent == 200: print(sent, flush=True)\n"
    )
    before = rig.folder.engine_log.stat().st_size
    command = [sys.executable, "-c", program, *map(str, flood._address)]
    senders = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(3)]
    try:
        assert [sender.stdout.readline() for sender in senders if sender.stdout] == [b"200\n"] * 3
        assert rolls_back(rig) < usual()
    finally:
        for sender in senders:
            sender.communicate(timeout=60)
    assert rig.folder.engine_log.stat().st_size - before < 50_000


PIPELINES = """
import asyncio, os, sys
os.nice(10)  # from elsewhere: not in the engine's way for a core
target, host, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
requests = f"GET {target} HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n".encode() * 50
answered = set()

async def client(number):
    while True:
        try:
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(requests)
            while await reader.read(65536):
                answered.add(number)
                if len(answered) == 100:
                    print("flooded", flush=True)
                    answered.add(-1)
        except OSError:
            await asyncio.sleep(0.05)

async def main():
    await asyncio.gather(*(client(number) for number in range(200)))

asyncio.run(main())
"""


@pytest.mark.parametrize("target", ["/metrics", "/v1/status", "/v1/decisions?limit=1000", "/"])
def test_a_rollback_is_quick_while_two_hundred_clients_pipeline_reads(rig: EngineRig, target: str) -> None:
    command = [sys.executable, "-c", PIPELINES, target, *map(str, Flood(rig)._address)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as clients:
        try:
            assert clients.stdout is not None
            assert clients.stdout.readline() == b"flooded\n"
            assert rolls_back(rig) < usual()
        finally:
            clients.kill()


# -- the parts ---------------------------------------------------------------------------------------------------------------


class Fake:
    def __init__(self, phase: str) -> None:
        self.phase = phase
        self.transport = self
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True


def test_with_all_places_taken_the_longest_waiting_connection_is_closed_and_never_a_served_one() -> None:
    budget = ConnectionBudget(3, 100)
    served, old, new = Fake("answer"), Fake("request"), Fake("request")
    for one in (served, old, new):
        assert budget.enter(one)  # type: ignore[arg-type]
    assert budget.enter(Fake("answer"))  # type: ignore[arg-type]
    assert (served.aborted, old.aborted, new.aborted) == (False, True, False)
    assert budget.enter(Fake("answer"))  # type: ignore[arg-type]
    assert new.aborted
    assert not budget.enter(Fake("request"))  # type: ignore[arg-type]
    assert budget.refused == 1


def test_a_request_that_does_not_end_is_cut_off_before_the_store_closes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its calls end first, then its connection: it reads nothing after that."""
    for name, value in {"DRAIN_CALLS_S": 0.01, "DRAIN_S": 30.02, "CUT_S": 30.0}.items():
        monkeypatch.setattr(listeners, name, value)
    seen: list[str] = []

    async def serve(budget: ConnectionBudget) -> None:
        connection = Fake("answer")
        budget.enter(connection)  # type: ignore[arg-type]
        while not connection.aborted:  # noqa: ASYNC110
            await asyncio.sleep(0)
        seen.append("connection cut")

    async def drained() -> None:
        budget, served = ConnectionBudget(3, 100), listeners.Listeners()
        task = asyncio.create_task(serve(budget))
        served.running[task] = listeners._Uvicorn(uvicorn.Config(str))
        await served.drain(lambda: seen.append("calls ended"), budget)
        assert task.done()

    asyncio.run(drained())
    assert seen == ["calls ended", "connection cut"]


def test_lines_that_repeat_are_counted_and_the_count_is_written() -> None:
    now, written = [0.0], []
    handler = logging.Handler()
    handler.emit = lambda record: written.append(record.getMessage())  # type: ignore[method-assign]
    handler.addFilter(log_folding.RepeatFilter(handler.emit, lambda: now[0]))
    journal = logging.Logger("t")
    journal.addHandler(handler)
    for n in range(10_000):
        journal.warning("request %d from 127.0.0.1:%d is rubbish", n, n)
    journal.warning("something else")
    assert len(written) == log_folding.ALIKE + 1
    now[0] = 61.0
    log_folding.flush([handler])
    assert written[-1].startswith("9,995 more lines like this in 60 s: request 9999")
    for n in range(5_000):
        journal.warning("%s", "".join(chr(97 + int(digit)) for digit in str(n)))
    assert len(written) < log_folding.ALIKE + 2 + log_folding.ALL + 1
