"""Fixed faults that can be put back one at a time: the simulation must find each (`--fault NAME`)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager
from typing import Any
from unittest import mock

from msgspec.structs import replace

from engine.extraction.llm.permit import RequestGuard
from engine.rollout import control
from engine.routing.pipeline import Pipeline
from engine.routing.reading import AskedDocument, ReadDocument
from engine.routing.switch import Switch
from engine.service import raising, rollback
from engine.store.files import Files
from engine.text import clean_line


@contextlib.contextmanager
def many_to_one_ids() -> Iterator[None]:
    """Document ids are cleaned instead of refused: two ids become one, and one document overwrites the other."""
    original = Pipeline.extract

    async def cleaned(self: Pipeline, asked: AskedDocument, read: ReadDocument | None = None) -> Any:
        return await original(self, replace(asked, id=clean_line(asked.id, 512)), read)

    with (
        mock.patch.object(Pipeline, "extract", cleaned),
        mock.patch("engine.routing.admission.unfit_id", return_value=""),
    ):
        yield


@contextlib.contextmanager
def used_request_ids() -> Iterator[None]:
    """A rollback whose request id was used before is answered with what it was used for, and not carried out."""
    with mock.patch.object(rollback, "own_id", lambda engine, ask, to_stage: ask):
        yield


@contextlib.contextmanager
def swapped_store() -> Iterator[None]:
    """An engine does not notice that the database under it was replaced."""
    with (
        mock.patch.object(Files, "check"),
        mock.patch.object(Files, "check_content"),
        mock.patch.object(Files, "differs", return_value=""),
    ):
        yield


@contextlib.contextmanager
def stale_undo() -> Iterator[None]:
    """An undo takes back whatever rollback is the latest, also one that its person has never seen."""
    original = control.undo_rollback

    def unseen(plan: Any, state: Any, ask: Any, epoch: int, by: str) -> Any:
        return original(plan, state, ask, state.epoch, by)

    with mock.patch.object(control, "undo_rollback", unseen):
        yield


@contextlib.contextmanager
def stale_promotion() -> Iterator[None]:
    """A promotion is carried out whatever its person saw: two people who promote at once climb two stages."""
    original = control.promote

    def unseen(plan: Any, state: Any, wanted: Any, *more: Any, **named: Any) -> Any:
        return original(plan, state, replace(wanted, epoch=state.epoch), *more, **named)

    with mock.patch.object(control, "promote", unseen):
        yield


@contextlib.contextmanager
def raise_beats_rm() -> Iterator[None]:
    """A promotion puts the armed file back that a person removed while it was under way."""
    original = raising._raised

    async def arming(engine: Any, ask: Any, decide: Any) -> Any:
        engine.switch.armed = None
        return await original(engine, ask, decide)

    with mock.patch.object(raising, "_raised", arming):
        yield


@contextlib.contextmanager
def preload_after_rollback() -> Iterator[None]:
    """Only documents ask for permission: a model is loaded for a promotion that was rolled back meanwhile."""

    async def unasked(self: RequestGuard, request: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        return await request()

    with mock.patch.object(RequestGuard, "send", unasked):
        yield


@contextlib.contextmanager
def lease_without_end() -> Iterator[None]:
    """Routers continue although the triggers were not evaluated for longer than the lease."""
    with mock.patch.object(Switch, "lease_valid", True):
        yield


@contextlib.contextmanager
def calls_outlast_rollback() -> Iterator[None]:
    """A rollback lets the calls in flight end in their own time."""
    with mock.patch.object(Pipeline, "cancel_calls", return_value=0), mock.patch.object(RequestGuard, "cut"):
        yield


FAULTS: dict[str, Callable[[], AbstractContextManager[object]]] = {
    made.__name__: made
    for made in (
        many_to_one_ids,
        used_request_ids,
        swapped_store,
        stale_undo,
        stale_promotion,
        raise_beats_rm,
        preload_after_rollback,
        lease_without_end,
        calls_outlast_rollback,
    )
}


@contextlib.contextmanager
def reintroduced(name: str) -> Iterator[None]:
    """With the fault of this name; "" for none."""
    with FAULTS[name]() if name else contextlib.nullcontext():
        yield
