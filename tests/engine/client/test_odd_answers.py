"""A rollback ends well whatever is at the other end of the engine's socket."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.client.client import EngineClient
from engine.client.connection import UnixConnection
from engine.store.folder import Folder


@pytest.mark.parametrize("answer", [b"[]", b'"ok"', b"7", b"null", b"<html>", b"\xff"])
def test_an_answer_that_is_no_json_object_is_no_answer(
    answer: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(UnixConnection, "exchange", lambda *_: (200, answer))
    folder = Folder(tmp_path / "store")
    folder.prepare()
    folder.armed.touch()
    client = EngineClient(folder)
    result = client.rollback("an odd answer")
    assert result.ok
    assert not folder.is_armed()
    assert any("the engine did not answer" in way for way in result.ways)
    assert client.command("hold").data == {"code": "no_engine"}
