"""What a pipeline needs of others: a store for its documents, and permission for its calls."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol

from engine.measures.record import Extraction
from engine.routing.switch import Permit
from engine.store.documents import DocumentWrite


class Overtaken(Exception):
    """A store's answer: the percentage fell meanwhile, and frequency keywords are stored. The message is a phrase."""


class Store(Protocol):
    """Where a pipeline's documents go: the store's writer, or a worker's batches."""

    @property
    def refusing(self) -> str: ...
    @property
    def problem(self) -> str: ...
    def append(self, record: Extraction, document: DocumentWrite | None = None) -> Future[None]: ...
    def later(self, job: Callable[[sqlite3.Connection], Any]) -> None: ...


class Obeyed(Protocol):
    """What a pipeline obeys: the store's switch, or a worker's lease."""

    def read(self) -> Permit: ...
    def may_call(self, bucket: int | None = None, epoch: int | None = None) -> bool: ...
