"""What a pipeline needs of others: a store for its documents, permission for its calls, and what they share."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Protocol

from msgspec import Struct

from engine.clock import Clock
from engine.extraction.llm import LlmPool
from engine.measures.record import Extraction
from engine.plan.model import Plan
from engine.rollout.state import State
from engine.routing.switch import Permit
from engine.store.documents import DocumentWrite


class Overtaken(Exception):
    """What a store answers if the percentage fell in the meantime: it has stored frequency keywords. The message is
    a phrase."""


class Unconfirmed(OSError):
    """The store got the document and has not confirmed it: it may be stored, now or later. The message is a phrase."""


def all_of(several: Sequence[Future[None]]) -> Future[None]:
    """A future that is done when all of these are, with the first failure. They must all end in one thread."""
    whole: Future[None] = Future()
    left = len(several)

    def ended(one: Future[None]) -> None:
        nonlocal left
        left -= 1
        if whole.done():
            return
        if one.cancelled() or (error := one.exception()) is None:
            if not left:
                whole.set_result(None)
        else:
            whole.set_exception(error)

    for one in several:
        one.add_done_callback(ended)
    return whole


def settle(future: Future[None], error: Exception | None = None) -> None:
    """End the future of a document, unless its client has left in the meantime."""
    if not future.set_running_or_notify_cancel():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)


class Store(Protocol):
    """Where a pipeline's documents go: the store's writer, or a worker's batches."""

    @property
    def refusing(self) -> str: ...
    @property
    def problem(self) -> str: ...
    def append(self, record: Extraction, document: DocumentWrite | None = None) -> Future[None]: ...
    def append_all(self, items: Sequence[tuple[Extraction, DocumentWrite | None]]) -> Future[None]: ...
    def later(self, job: Callable[[sqlite3.Connection], Any]) -> None: ...


class PermitSource(Protocol):
    """What a pipeline obeys: the store's switch, or a worker's lease."""

    def read(self) -> Permit: ...
    def may_call(self, bucket: int | None = None, epoch: int | None = None) -> bool: ...


class Ports(Struct, frozen=True):
    """`state` returns the control state; `observe` receives each record for the triggers' evidence, `trouble` each
    internal error. `plan`: at the start, see `Pipeline.use`. `kept_within_s`: then a document's client hears that it
    may not be stored; the store may commit it later."""

    plan: Plan
    clock: Clock
    store: Store
    switch: PermitSource
    conn: sqlite3.Connection
    pool: LlmPool
    state: Callable[[], State]
    observe: Callable[[Extraction], None]
    trouble: Callable[[BaseException], None]
    kept_within_s: float
