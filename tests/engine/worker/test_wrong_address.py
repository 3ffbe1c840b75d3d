"""A worker with a wrong address for its engine gives up soon, with a reason that names what is wrong."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from console.upload.ray_workers import run
from engine.plan.load import default_plan_text
from engine.worker.line import EngineConnection, no_answer
from tests.machine import crowd, free_port

PEM = Path(__file__).parents[1] / "extraction" / "self_signed.pem"


@pytest.fixture
def port() -> Iterator[int]:
    """Of a server with a certificate that no authority known here has issued."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PEM)
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROLLOUT_TOKEN", "0123456789abcdef0123456789abcdef")
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)


def test_a_certificate_that_is_not_trusted_ends_a_worker_at_once(port: int) -> None:
    began = time.monotonic()
    why = run(f"https://127.0.0.1:{port}", 1, default_plan_text())
    assert time.monotonic() - began < 10 * crowd()
    assert "certificate is not accepted: " in why
    assert "SSL_CERT_FILE" in why


def test_a_certificate_that_is_not_trusted_is_named_in_words(port: int) -> None:
    """Whatever asks the engine: a gateway's clients read it."""
    with pytest.raises(OSError) as failed:  # noqa: PT011
        EngineConnection(f"https://127.0.0.1:{port}", "0123456789abcdef0123456789abcdef").post(
            "/v1/worker/lease", b"", 10
        )
    assert no_answer(failed.value) == "the engine's certificate is not accepted: self-signed certificate"


def test_where_no_engine_ever_answers_a_worker_does_not_wait_as_for_one_that_restarts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("engine.worker.core.START_S", 0.3)
    assert run(f"https://127.0.0.1:{free_port()}", 1, default_plan_text()) == (
        "The engine does not answer (Connection refused)."
    )
