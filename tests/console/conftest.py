"""A test of the console neither reads nor changes what its user chose: theme, when they last looked, their name."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import pytest

from console.widgets import plot


@pytest.fixture(autouse=True)
def own_choices(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("config")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
    return folder


@pytest.fixture(autouse=True, scope="session")
def curves_drawn_once() -> None:
    """A console keeps the curves of one screen; these tests show the same ones in every state and size."""
    plot._curve = lru_cache(8192)(plot._curve.__wrapped__)
