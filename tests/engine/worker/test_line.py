"""A worker's connection: an answer belongs to its own request, and every failure is an OSError."""

from __future__ import annotations

import contextlib
import http.client
import socket
from collections.abc import Iterator

import pytest

from engine.worker.line import EngineConnection


def answer(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


class Engine:
    """Its end of each connection that the worker opens. `answers`: what it has sent when one opens."""

    def __init__(self, answers: list[bytes]) -> None:
        self.answers = iter(answers)
        self.ends: list[socket.socket] = []

    def connection(self) -> http.client.HTTPConnection:
        engine = self

        class Pair(http.client.HTTPConnection):
            def connect(self) -> None:
                self.sock, end = socket.socketpair()
                end.sendall(next(engine.answers))
                engine.ends.append(end)

        return Pair("localhost")


@pytest.fixture
def line(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[EngineConnection, Engine]]:
    """A connection on which one request was answered and which the engine then closed; the next one opens another."""
    engine = Engine([answer(b"first"), *request.param])
    line = EngineConnection("/nowhere")
    monkeypatch.setattr(line, "_connection", engine.connection)
    assert line.post("/v1/worker/lease", b"{}", 5.0) == b"first"
    engine.ends[0].close()
    yield line, engine
    line.close()
    for end in engine.ends:
        end.close()


@pytest.mark.parametrize("line", [[answer(b"second")]], indirect=True)
def test_a_closed_connection_is_replaced(line: tuple[EngineConnection, Engine]) -> None:
    assert line[0].post("/v1/worker/lease", b"{}", 5.0) == b"second"


@pytest.mark.parametrize("line", [[b"", answer(b"third")]], indirect=True)
def test_a_late_answer_is_never_read_as_the_answer_to_the_next_request(line: tuple[EngineConnection, Engine]) -> None:
    """It would extend a lease from a moment at which the engine granted nothing."""
    connection, engine = line
    with pytest.raises(TimeoutError):
        connection.post("/v1/worker/lease", b"{}", 0.01)
    with contextlib.suppress(BrokenPipeError):  # the connection is closed
        engine.ends[1].sendall(answer(b"late"))
    assert connection.post("/v1/worker/lease", b"{}", 5.0) == b"third"


@pytest.mark.parametrize("line", [[b"no HTTP\r\n\r\n"]], indirect=True)
def test_an_answer_that_is_not_http_is_an_oserror_on_a_replaced_connection_too(
    line: tuple[EngineConnection, Engine],
) -> None:
    """The renewals' thread ends with any other exception, and the worker never gets a lease again."""
    with pytest.raises(OSError, match="not HTTP"):
        line[0].post("/v1/worker/lease", b"{}", 5.0)
