"""Faults that were mended, to be put back one at a time: the simulation must find each."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

FAULTS: dict[str, Callable[[], AbstractContextManager[object]]] = {}


@contextlib.contextmanager
def reintroduced(name: str) -> Iterator[None]:
    """With the fault of this name; "" for none."""
    with FAULTS[name]() if name else contextlib.nullcontext():
        yield
