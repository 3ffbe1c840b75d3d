"""Spans along a document's path, if a tracer is in use; otherwise nothing, at the cost of a function call.

engine/server/otlp.py supplies the tracer. A span carries arms, methods, counts and kinds of error: never a document's
id, its text or its keywords.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Protocol

Value = str | int | float | bool


class Span(Protocol):
    """`trace_id` is in hex, "" without a tracer."""

    trace_id: str

    def note(self, **attributes: Value) -> None:
        """Add facts that are known only at its end."""

    def fail(self, kind: str) -> None:
        """Mark the operation as failed."""


Start = Callable[[str, Mapping[str, Value], Mapping[str, str] | None], AbstractContextManager[Span]]


class _Nothing:
    trace_id = ""

    def note(self, **attributes: Value) -> None:
        pass

    def fail(self, kind: str) -> None:
        pass

    def __enter__(self) -> Span:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        pass


_NOTHING = _Nothing()
_start: Start | None = None


def use(start: Start | None) -> None:
    """From now on, spans start with `start`: (name, attributes, headers of the caller's trace or None)."""
    global _start
    _start = start


def in_use() -> bool:
    return _start is not None


def span(name: str, **attributes: Value) -> AbstractContextManager[Span]:
    return _NOTHING if _start is None else _start(name, attributes, None)


def request(name: str, headers: Mapping[str, str]) -> AbstractContextManager[Span]:
    """The span of a request, within the caller's trace if its `traceparent` names one."""
    return _NOTHING if _start is None else _start(name, {}, headers)
