"""`X-Request-Id`: the caller's own name for a request, or one that is made here, on every answer."""

from __future__ import annotations

import re
import uuid

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engine.measures.origin import ORIGIN, Origin

_FIT = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")


class NamedRequests:
    """Puts the header on the answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
        name = given if _FIT.fullmatch(given) else uuid.uuid4().hex.encode()

        ORIGIN.set(Origin(name.decode()))

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), (b"x-request-id", name)]}
            await send(message)

        await self._app(scope, receive, named)
