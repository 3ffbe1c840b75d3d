"""A full search for unused objects passes over what was loaded at the start, and is rare where documents are read."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from engine import garbage


@pytest.fixture(autouse=True)
def usual() -> Iterator[None]:
    threshold = gc.get_threshold()
    yield
    gc.set_threshold(*threshold)


def test_what_is_loaded_is_not_searched_again() -> None:
    loaded: list[object] = []
    garbage.keep_loaded()
    later: list[object] = []
    searched = set(map(id, gc.get_objects()))
    assert id(loaded) not in searched
    assert id(later) in searched


def test_a_reader_searches_seldom() -> None:
    gc.set_threshold(700)
    garbage.collect_seldom()
    assert gc.get_threshold()[0] == garbage.NEW_OBJECTS
    assert gc.isenabled()  # a cycle is collected, if late
