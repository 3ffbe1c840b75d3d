"""Gateways as real processes: what they answer is stored, they obey immediately, and they report a missing engine."""

from __future__ import annotations

import http.client
import json
import os
import re
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.engine.service.rig import COMMAND, TEXT, EngineRig
from tests.engine.worker.llm import Llm
from tests.machine import crowd, free_port

TOKEN = "token-of-the-test"


class Gateway:
    def __init__(self, rig: EngineRig, engine: str, *words: str, plan: str = "") -> None:
        self.port = free_port()
        self._where = ("--listen", f"127.0.0.1:{self.port}")
        self.process = subprocess.Popen(
            [*COMMAND, "--plan", plan or str(rig.plan_path), "worker", "--engine", engine, *words, *self._where],
            stderr=subprocess.PIPE,
            text=True,
        )
        self._log = b""

    def log(self) -> str:
        """What it has logged so far."""
        assert self.process.stderr is not None
        descriptor = self.process.stderr.fileno()
        while select.select([descriptor], [], [], 0)[0] and (more := os.read(descriptor, 1 << 16)):
            self._log += more
        return self._log.decode()

    def ask(self, method: str, path: str, body: Any = None, token: str = TOKEN) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            lines = [json.loads(line) for line in response.read().splitlines()]
        finally:
            connection.close()
        return response.status, lines if path.endswith(":batch") and response.status == 200 else lines[0]

    def extract(self, name: str, **more: Any) -> tuple[int, Any]:
        return self.ask("POST", "/v1/extract", {"id": name, "text": f"{TEXT} Ticket {name}.", **more})

    def ready(self) -> bool:
        try:
            return self.ask("GET", "/readyz", token="")[0] == 200
        except OSError:
            return False

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


@pytest.fixture(scope="module")
def llm() -> Iterator[Llm]:
    with Llm() as made:
        yield made


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory, llm: Llm) -> Iterator[EngineRig]:
    port = free_port()
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("ROLLOUT_TOKEN", TOKEN)
        settings = {"http.port": port, "environment": "test", "llm.url": llm.url}
        with EngineRig(tmp_path_factory.mktemp("gateways"), speed=None, settings=settings) as made:
            made.engine()
            made.climb(4)
            yield made


@pytest.fixture(scope="module")
def gateways(rig: EngineRig) -> Iterator[tuple[Gateway, Gateway]]:
    """One that refuses without its engine, by TCP, and one that does not, by the store's socket."""
    both = (
        Gateway(rig, f"http://127.0.0.1:{rig.plan.http.port}"),
        Gateway(rig, str(rig.folder.path), "--without-engine", "frequency"),
    )
    try:
        for gateway in both:
            assert rig.until(
                lambda of=gateway: of.ready() and "Attached" in of.ask("GET", "/readyz")[1]["sentence"], 30
            )
        yield both
    finally:
        for gateway in both:
            gateway.end()


def method_of(rig: EngineRig, name: str) -> str:
    rows = rig.reader.read(lambda conn: conn.execute("SELECT method FROM document WHERE id = ?", (name,)).fetchall())
    return str(rows[0][0]) if rows else ""


def test_what_a_gateway_answers_is_stored_and_is_evidence(rig: EngineRig, gateways: tuple[Gateway, Gateway]) -> None:
    by_llm = 0
    for gateway, start in zip(gateways, (0, 20), strict=True):
        for number in range(start, start + 10):
            status, answer = gateway.extract(f"one-{number}")
            assert status == 200
            assert method_of(rig, f"one-{number}") == answer["method"], "stored before it is answered"
            assert "stored" not in answer
            by_llm += answer["method"] == "llm"
        documents = [{"id": f"many-{number}", "text": f"{TEXT} {number}"} for number in range(start, start + 10)]
        status, lines = gateway.ask("POST", "/v1/extract:batch", {"documents": [*documents, {"id": "", "text": "x"}]})
        assert status == 200
        assert sorted(line["status"] for line in lines) == [*[200] * 10, 422]
        by_llm += sum(line["ok"] and line["method"] == "llm" for line in lines)
    assert by_llm > 4
    assert rig.until(lambda: rig.view.error_rate.n == by_llm), "each is evidence, once"
    assert rig.until(lambda: len(rig.view.workers) == 2)


def test_a_gateway_gives_no_one_more_than_documents(rig: EngineRig, gateways: tuple[Gateway, Gateway]) -> None:
    gateway = gateways[0]
    assert gateway.extract("refused", method="shadow")[0] == 422
    assert gateway.ask("POST", "/v1/extract", {"id": "x", "text": "y"}, token="wrong")[0] == 401
    assert gateway.ask("POST", "/v1/control/rollback", {})[0] == 404
    assert gateway.ask("POST", "/v1/worker/lease", {})[0] == 404
    assert gateway.ask("GET", "/healthz", token="")[0] == 200


def test_garbage_does_not_fill_a_gateways_log(rig: EngineRig) -> None:
    gateway = Gateway(rig, str(rig.folder.path))
    try:
        assert rig.until(lambda: gateway.ready(), 30)
        for number in range(100):
            with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as client:
                client.sendall(f"garbage {number}\r\n\r\n".encode())
                assert client.recv(100).startswith(b"HTTP/1.1 400")
        gateway.process.terminate()
        written = gateway.process.communicate(timeout=30)[1]
        assert 1 <= written.count("Invalid HTTP request") <= 10
    finally:
        gateway.end()


def test_another_plan_gets_no_lease_and_ends_with_a_sentence(rig: EngineRig) -> None:
    other = rig.root / "other.toml"
    other.write_text(rig.plan_path.read_text() + "\n# edited\n")
    gateway = Gateway(rig, f"http://127.0.0.1:{rig.plan.http.port}", plan=str(other))
    try:
        _, error = gateway.process.communicate(timeout=60)
        assert gateway.process.returncode == 1
        assert "Copy the engine's file to the worker" in error
        assert "Traceback" not in error
    finally:
        gateway.end()


def test_a_rollback_is_obeyed_and_proven(rig: EngineRig, gateways: tuple[Gateway, Gateway], llm: Llm) -> None:
    rig.climb(4)
    answers: list[tuple[int, Any]] = []
    ending = threading.Event()

    def send(gateway: Gateway, name: str) -> None:
        number = 0
        while not ending.is_set():
            answers.append(gateway.extract(f"{name}-{number}"))
            number += 1

    threads = [threading.Thread(target=send, args=(gateway, f"t{at}")) for at, gateway in enumerate(gateways)]
    for thread in threads:
        thread.start()
    try:
        assert rig.until(lambda: sum(answer["method"] == "llm" for _, answer in list(answers)) > 3)
        made = rig.client.rollback("a test")
        proof = rig.proof(made.request_id, recorded=True)
        calls = llm.counters["calls"]
        count = len(answers)
        assert rig.until(lambda: len(answers) > count + 20), "documents are extracted as before"
    finally:
        ending.set()
        for thread in threads:
            thread.join()
    assert proof["effective_ms"] is not None, proof
    assert proof["workers"] >= 2
    assert llm.counters["calls"] == calls, "no call after the proof"
    assert {status for status, _ in answers} == {200}
    assert all(method_of(rig, answer["id"]) == answer["method"] for _, answer in answers)


def test_without_the_engine_a_gateway_explains_what_it_does_and_comes_back(
    rig: EngineRig, gateways: tuple[Gateway, Gateway]
) -> None:
    strict, alone = gateways
    engine = rig.running()
    engine.kill()
    engine.wait()
    assert rig.until(lambda: not strict.ready(), 30)
    status, answer = strict.extract("lost")
    assert status == 503
    assert answer["code"] == "store"
    assert "the engine does not answer (Connection refused)" in answer["sentence"]
    assert answer["retry_after_s"] > 0
    assert rig.until(lambda: alone.extract("kept")[1].get("stored") is False, 30)
    status, answer = alone.extract("kept")
    assert (status, answer["method"], answer["stored"]) == (200, "frequency", False)
    assert answer["keywords"]
    assert alone.ready()
    assert strict.ask("GET", "/healthz")[0] == 200
    lost = re.compile("no engine: .*documents are refused")
    assert rig.until(lambda: lost.search(strict.log()) is not None, 30), strict.log()
    rig.engine()
    for gateway, name in ((strict, "lost"), (alone, "kept")):
        assert rig.until(lambda of=gateway: "Attached" in of.ask("GET", "/readyz")[1]["sentence"], 30)
        assert gateway.extract(name)[0] == 200
        assert method_of(rig, name) == "frequency"
    assert rig.until(lambda: "attached to the engine again" in strict.log(), 30), strict.log()


def test_a_document_that_its_engine_has_and_does_not_confirm_is_never_called_not_stored(
    rig: EngineRig, gateways: tuple[Gateway, Gateway]
) -> None:
    strict, alone = gateways

    def sent_to_a_stopped_engine() -> bool:
        """Whether both were; a crowded machine may not send them within the lease."""
        assert all(rig.until(lambda of=gateway: of.ready(), 30) for gateway in gateways)
        engine = rig.running()
        answers: dict[str, tuple[int, Any]] = {}
        names = f"silent-{time.monotonic()}", f"silent-alone-{time.monotonic()}"
        threads = [
            threading.Thread(target=lambda of=of, name=name: answers.update({name: of.extract(name)}))
            for of, name in zip((strict, alone), names, strict=True)
        ]
        os.kill(engine.pid, signal.SIGSTOP)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        os.kill(engine.pid, signal.SIGCONT)
        (status, refused), (status_alone, unstored) = (answers[name] for name in names)
        assert (status, refused["code"], status_alone, unstored["stored"]) == (503, "store", 200, False)
        if not (refused["sentence"].startswith("It may not be stored: ") and unstored["note"].startswith("perhaps")):
            return False
        assert all(rig.until(lambda name=name: method_of(rig, name) != "", 30) for name in names), "it was stored"
        return True

    assert rig.until(sent_to_a_stopped_engine, 60)


def test_it_ends_on_sigterm_after_what_it_has_accepted(rig: EngineRig, gateways: tuple[Gateway, Gateway]) -> None:
    gateway, _ = gateways
    assert rig.until(gateway.ready, 30)
    answers: list[tuple[int, Any]] = []
    accepted = max(6, int(60 / crowd()))  # the time to finish them is fixed: more is cut on a crowded machine, rightly
    texts = [{"id": f"last-{number}", "text": f"{TEXT * 5} {number}"} for number in range(accepted)]

    def send() -> None:
        answers.append(gateway.ask("POST", "/v1/extract:batch", {"documents": texts}))

    thread = threading.Thread(target=send)
    thread.start()
    assert rig.until(lambda: method_of(rig, "last-0") != "")
    os.kill(gateway.process.pid, signal.SIGTERM)
    thread.join(30)
    assert gateway.process.wait(30) == 0
    ((status, lines),) = answers
    assert status == 200
    assert [line["status"] for line in lines] == [200] * len(texts)
    assert rig.until(lambda: len(rig.view.workers) == 1)
