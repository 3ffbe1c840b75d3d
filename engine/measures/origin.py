"""Which request a measurement came from. Set where a request arrives, read where a figure is made of it."""

from __future__ import annotations

from contextvars import ContextVar

from msgspec import Struct


class Origin(Struct, frozen=True):
    """`request_id` is the X-Request-Id of the answer, `trace_id` that of OpenTelemetry in hex; "" where there is
    none."""

    request_id: str = ""
    trace_id: str = ""


NONE = Origin()
ORIGIN: ContextVar[Origin] = ContextVar("origin", default=NONE)
