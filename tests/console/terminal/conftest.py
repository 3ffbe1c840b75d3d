"""One engine for the tests of a file."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.console.terminal.place import Place


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    made = Place(tmp_path_factory.mktemp("place"))
    yield made
    made.engine.send_signal(signal.SIGCONT)
    made.engine.terminate()
    made.engine.wait(15)
