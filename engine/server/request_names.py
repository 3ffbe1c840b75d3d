"""`X-Request-Id`: the caller's own name for a request, or a generated one, on every answer."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable
from functools import cache
from itertools import count

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engine import tracing
from engine.measures.origin import ORIGIN, Origin

TRACED = "/v1/extract"
CONTEXT = (b"traceparent", b"tracestate")
_made = count()
_FIT = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")


class NamedRequests:
    """Puts the header on the answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        name = request_name(scope["headers"]).encode()
        if not scope["path"].startswith(TRACED):
            ORIGIN.set(Origin(name.decode()))
            await self._app(scope, receive, _named(send, name))
            return
        caller = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"] if key in CONTEXT}
        with tracing.request(f"{scope['method']} {scope['path']}", caller) as span:
            ORIGIN.set(Origin(name.decode(), span.trace_id))
            span.note(request_id=name.decode())
            await self._app(scope, receive, _named(send, name))


def request_name(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The caller's own name for a request with these headers, else a new one."""
    given = next((value for name, value in headers if name == b"x-request-id"), b"")
    return fit_name(given).decode() or new_name()


@cache
def _of_process() -> str:
    return uuid.uuid4().hex[:20]


def new_name() -> str:
    """A name that no other request has. Random for each process, not for each request: asking the kernel for random
    bytes lets another thread run, for which a request that is about to be answered would wait."""
    return f"{_of_process()}{next(_made):012x}"


def fit_name(given: bytes) -> bytes:
    """The caller's own name for a request, b"" if it is none."""
    return given if _FIT.fullmatch(given) else b""


def _named(send: Send, name: bytes) -> Send:
    async def named(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), (b"x-request-id", name)]}
        await send(message)

    return named
