"""A rollback ends well whatever is at the other end of the engine's socket."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.client import client as client_module
from engine.client.client import EngineClient
from engine.client.exchange import request, response
from engine.store.folder import Folder


@pytest.mark.parametrize("answer", [b"[]", b'"ok"', b"7", b"null", b"<html>", b"\xff"])
def test_an_answer_that_is_not_a_json_object_counts_as_none(
    answer: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "exchange", lambda *_: (200, answer))
    folder = Folder(tmp_path / "store")
    folder.prepare()
    folder.armed.touch()
    client = EngineClient(folder)
    result = client.rollback("an odd answer")
    assert result.ok
    assert not folder.is_armed()
    assert any("the engine did not answer" in way for way in result.ways)
    assert client.command("hold").data == {"code": "no_engine"}


def test_an_answer_is_read_up_to_its_length() -> None:
    assert response(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}more") == (200, b"{}")
    assert response(b"HTTP/1.0 409 Conflict\r\nserver: x\r\n\r\n{}") == (409, b"{}")
    assert response(b"HTTP/1.1 204 No Content\r\n\r\n") == (204, b"")


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}"]
)
def test_an_answer_that_ends_early_is_a_lost_connection(answer: bytes) -> None:
    with pytest.raises(ConnectionError):
        response(answer)


@pytest.mark.parametrize(
    "answer",
    [
        b"220 mail.example\r\n", b"HTTP/1.1 OK\r\n\r\n", b"\x16\x03\x01", b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    ],
)  # fmt: skip
def test_an_answer_that_is_not_plain_http_is_refused(answer: bytes) -> None:
    with pytest.raises(ValueError, match="answer"):
        response(answer)


def test_no_line_of_a_request_can_start_another() -> None:
    with pytest.raises(ValueError, match="control character"):
        request("GET", "/v1/status", None, {"X-Rollout-Actor": "a\r\nX-Other: b"})
    assert request("POST", "/x", b"{}", {}).endswith(b"Content-Length: 2\r\n\r\n{}")
