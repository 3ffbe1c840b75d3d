"""A rollback ends well whatever is at the other end of the engine's socket."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.client.client import EngineClient
from engine.client.connection import UnixConnection
from engine.store.folder import Folder


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    folder = Folder(tmp_path / "store")
    folder.prepare()
    return folder


@pytest.mark.parametrize("answer", [b"[]", b'"ok"', b"7", b"null", b"<html>", b"\xff"])
def test_an_answer_that_is_not_a_json_object_counts_as_none(
    answer: bytes, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(UnixConnection, "exchange", lambda *_: (200, answer))
    folder.armed.touch()
    client = EngineClient(folder)
    result = client.rollback("an odd answer")
    assert result.ok
    assert not folder.is_armed()
    assert any("the engine did not answer" in way for way in result.ways)
    assert client.command("hold").data == {"code": "no_engine"}


@contextlib.contextmanager
def answering(folder: Folder, answer: bytes) -> Iterator[UnixConnection]:
    """A connection to a server on the engine's socket that reads one request, sends `answer` and closes."""
    with folder.listen() as server:

        def serve() -> None:
            line, _ = server.accept()
            with line, contextlib.suppress(BrokenPipeError):  # a refused request is never sent
                line.recv(1 << 16)
                line.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            with contextlib.closing(UnixConnection(folder, 60.0)) as connection:
                yield connection
        finally:
            thread.join()


@pytest.mark.parametrize(
    ("answer", "status", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}more", 200, b"{}"),
        (b"HTTP/1.0 409 Conflict\r\nserver: x\r\n\r\n{}", 409, b"{}"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 200, b"{}"),
    ],
)  # fmt: skip
def test_an_answer_is_read_to_its_end(answer: bytes, status: int, body: bytes, folder: Folder) -> None:
    with answering(folder, answer) as connection:
        assert connection.exchange("GET", "/v1/status", None, {}) == (status, body)


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}"]
)
def test_an_answer_that_ends_early_is_a_lost_connection(answer: bytes, folder: Folder) -> None:
    with answering(folder, answer) as connection, pytest.raises(ConnectionError):
        connection.exchange("GET", "/v1/status", None, {})


@pytest.mark.parametrize(
    "answer", [b"+OK ready\r\n", b"220 mail.example\r\n\r\n", b"\x16\x03\x01\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"]
)  # fmt: skip
def test_an_answer_that_is_not_http_is_refused(answer: bytes, folder: Folder) -> None:
    with answering(folder, answer) as connection, pytest.raises(ValueError, match="not HTTP"):
        connection.exchange("GET", "/v1/status", None, {})


def test_no_line_of_a_request_can_start_another(folder: Folder) -> None:
    with answering(folder, b"") as connection, pytest.raises(ValueError, match="not HTTP"):
        connection.exchange("GET", "/v1/status", None, {"X-Rollout-Actor": "a\r\nX-Other: b"})
