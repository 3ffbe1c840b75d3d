"""Whether an engine runs, without asking it anything."""

from __future__ import annotations

from pathlib import Path

from engine.client import engine_process
from engine.store import sockets
from engine.store.folder import Folder


def test_an_engine_listens_even_if_it_does_not_answer(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    assert not engine_process.listens(folder)
    with sockets.bind(folder.socket, 0o600) as engine:
        assert not engine_process.listens(folder)
        engine.listen()  # and nothing accepts: a stopped process
        assert engine_process.listens(folder)
    assert not engine_process.listens(folder), "the name stays behind when a process is killed"
