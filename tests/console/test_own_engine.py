"""An engine that is starting holds the store before it answers: a command waits for it, and never advises to start one."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import Any

import pytest

from console.verbs import own_engine
from engine.client.client import unanswered
from engine.store.folder import Folder


class Starting:
    """Answers after some tries."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)

    def request(self, *_: Any, **__: Any) -> tuple[int, dict[str, Any]]:
        if self.errors:
            raise self.errors.pop(0)
        return 200, {}


def test_a_command_waits_for_an_engine_that_is_starting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_engine, "RETRY_S", 0.0)
    starting: Any = Starting(FileNotFoundError(), ConnectionRefusedError(), FileNotFoundError())
    assert own_engine._unreachable(starting) is None
    hanging: Any = Starting(TimeoutError("late"), FileNotFoundError())
    assert isinstance(own_engine._unreachable(hanging), TimeoutError)
    monkeypatch.setattr(own_engine, "PATIENCE_S", 0.0)
    assert isinstance(own_engine._unreachable(Starting(FileNotFoundError())), FileNotFoundError)  # type: ignore[arg-type]


def test_an_engine_that_holds_the_store_is_not_to_be_started_again(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    missing = FileNotFoundError(2, "No such file or directory")
    folder.lock.touch()
    assert "Start one" in unanswered(folder, missing)
    with folder.lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert "does not answer" in unanswered(folder, missing)
        assert "Start one" not in unanswered(folder, missing)
