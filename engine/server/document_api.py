"""`POST /v1/extract` and `:batch`, for the engine and for its gateways, with what every route has around it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from engine.decoding import UNREADABLE, json_decoder
from engine.routing.admission import Busy, Refused
from engine.routing.reading import AskedDocument
from engine.server.answers import CLOSE, answer, refuse
from engine.server.batch import Batch, Extractor, refusal_of
from engine.server.connections import BODY_S, SMALL_BODY, ConnectionBudget
from engine.server.guard import PAGE, Guard
from engine.server.replays import KEY_LIMIT, Kept, Replays
from engine.server.request_names import NamedRequests
from engine.server.wire import BatchRequest, ExtractRequest
from engine.text import clean_line

_requests = json_decoder(ExtractRequest)
_batches = json_decoder(BatchRequest)

PATH_SHOWN = 100  # characters
BODY_LIMIT = 41_000_000  # 10 million characters of four bytes, plus the JSON around them
TOO_LARGE = "The request is larger than 41 MB. Split the document."
SHAPE = 'Send {"id": "...", "text": "..."}.'
BATCH_SHAPE = 'Send {"documents": [{"id": "...", "text": "..."}, ...]}, at most 1,000.'

ASK_FOR_PASSWORD = 'Basic realm="rollout, the token is the password", charset="UTF-8"'

Handler = Callable[[Request], Awaitable[Response]]
WithBody = Callable[[Request, bytes], Awaitable[Response]]


class DocumentApi:
    """The routes of one listener. With a `guard` (TCP), it filters every request. With `kept`, an Idempotency-Key of a
    document holds beyond this process."""

    def __init__(
        self, extractor: Extractor, budget: ConnectionBudget, guard: Guard | None = None, kept: Kept | None = None
    ) -> None:
        self.extractor = extractor
        self.budget = budget
        self.guard = guard
        self.replays = Replays()
        self.kept = kept

    def routes(self) -> list[Route]:
        return [
            self._route("/v1/extract", POST=self._with_body(self._once(self.extract, self.kept))),
            self._route("/v1/extract:batch", POST=self._with_body(self.batch)),
        ]

    def application(self) -> ASGIApp:
        handlers: Any = {Exception: self.broken, ClientDisconnect: _left, HTTPException: _unknown}
        served = Starlette(routes=self.routes(), exception_handlers=handlers)
        served.router.redirect_slashes = False  # it would lead to whatever address the Host header names
        return NamedRequests(served)

    # -- around every route --------------------------------------------------------------------------------------------

    def _route(self, path: str, **handlers: Handler) -> Route:
        """`handlers` by method. HEAD is what GET answers, without its body."""

        async def guard_first(request: Request) -> Response:
            path = request.scope["path"]  # as routed: starlette before 1.0 makes `request.url` of the Host header too
            denial = self.guard.denies(request.method, path, request.headers) if self.guard is not None else None
            if denial is None:
                return await handlers.get(request.method, handlers.get("GET", _nothing))(request)
            headers = {} if _is_small(request) else dict(CLOSE)
            if denial.status == 401:
                headers["www-authenticate"] = ASK_FOR_PASSWORD if path in PAGE else 'Bearer realm="rollout"'
            return refuse(denial.status, denial.code, denial.sentence, headers)

        return Route(path, guard_first, methods=list(handlers))

    def _with_body(self, handler: WithBody) -> Handler:
        async def read_first(request: Request) -> Response:
            if (coded := _coded(request)) is not None:
                return coded
            body = Body(self.budget)
            try:
                late = await body.read(request)
                return await handler(request, body.whole()) if late is None else late
            finally:
                body.free()

        return read_first

    def _once(self, handler: WithBody, kept: Kept | None = None) -> WithBody:
        """`Idempotency-Key`: the same request sent again gets the same answer and is not carried out twice."""

        async def known_first(request: Request, body: bytes) -> Response:
            key = request.headers.get("idempotency-key")
            if key is None:
                return await handler(request, body)
            if not key or len(key) > KEY_LIMIT or not key.isprintable():
                return refuse(400, "idempotency_key", f"An Idempotency-Key is 1 to {KEY_LIMIT} printable characters.")
            return await self.replays.once(self.idempotency_name(request), body, lambda: handler(request, body), kept)

        return known_first

    def idempotency_name(self, request: Request) -> str:
        """The request's Idempotency-Key with what it is unique for: the caller and the path; "" without a key."""
        key = request.headers.get("idempotency-key", "")
        whose = request.client.host if request.client else ""
        return key and f"{whose} {self._knows(request)} {request.scope['path']} {key}"

    def _knows(self, request: Request) -> bool:
        """Whether the caller may open the store's socket or has the token."""
        return self.guard is None or self.guard.knows(request.headers)

    # -- documents -----------------------------------------------------------------------------------------------------

    async def extract(self, request: Request, body: bytes) -> Response:
        try:
            asked = _requests.decode(body)
        except msgspec.ValidationError as error:
            code = "method" if str(error).endswith("`$.method`") else "fields"
            return refuse(422, code, f"Not usable: {clean_line(str(error))}. {SHAPE}")
        except UNREADABLE as error:
            return refuse(400, "json", f"Invalid JSON: {clean_line(str(error))}. {SHAPE}")
        try:
            document = AskedDocument(asked.id, asked.text, asked.title, asked.method, asked.bulk)
            made = await self.extractor.extract(document)
        except (Busy, Refused, OSError) as error:
            why = refusal_of(error)
            return refuse(why.status, why.code, why.sentence, retry_after_s=why.retry_after_s)
        return answer(200, made)

    async def batch(self, request: Request, body: bytes) -> Response:
        try:
            asked = _batches.decode(body)
        except msgspec.ValidationError as error:
            return refuse(422, "fields", f"Not usable: {clean_line(str(error))}. {BATCH_SHAPE}")
        except UNREADABLE as error:
            return refuse(400, "json", f"Invalid JSON: {clean_line(str(error))}. {BATCH_SHAPE}")
        return StreamingResponse(Batch(self.extractor, asked.documents).lines(), media_type="application/x-ndjson")

    async def broken(self, _: Request, error: Exception) -> Response:
        self.extractor.trouble(error)
        sentence = self.extractor.failed.format("request")
        return refuse(500, "internal", sentence)


async def _nothing(_: Request) -> Response:
    raise HTTPException(405)


async def _left(_: Request, __: Exception) -> Response:
    return Response(status_code=400)  # never sent: the client left before its request was complete


async def _unknown(request: Request, error: Exception) -> Response:
    status, headers = (error.status_code, error.headers) if isinstance(error, HTTPException) else (404, None)
    allowed = ", ".join(sorted((headers or {}).get("Allow", "").split(", ")))
    path = clean_line(request.scope["path"], PATH_SHOWN)
    if status == 405:
        return refuse(405, "route", f"{request.method} is not possible at {path}. Use {allowed}.", {"allow": allowed})
    sentence = f"There is no route {path}. The engine's /openapi.json lists them."
    return refuse(status, "route", sentence, dict(headers or {}))


def _coded(request: Request) -> Response | None:
    """Refuse a compressed body as such: its bytes would only look like broken JSON."""
    coding = request.headers.get("content-encoding", "").strip().lower()
    if coding in ("", "identity"):
        return None
    sentence = f"The body is encoded as {clean_line(coding, 40)}. Send it as it is, without Content-Encoding."
    return refuse(415, "content_encoding", sentence, {} if _is_small(request) else CLOSE)


def _declared(request: Request) -> int:
    """The announced size of the body in bytes; 0 if it is chunked or there is none."""
    return int(request.headers.get("content-length", "0")[:15])


def _is_small(request: Request) -> bool:
    """Whether the rest of the request can be read and discarded; the connection of a large one is closed."""
    return _declared(request) <= SMALL_BODY and "transfer-encoding" not in request.headers


class Body:
    """The body of one request as it arrives. A large one counts in the listener's budget until `free`."""

    def __init__(self, budget: ConnectionBudget) -> None:
        self._budget = budget
        self._body = bytearray()
        self._held = 0

    async def read(self, request: Request) -> Response | None:
        """Read the body; None when it is complete, else the answer to send."""
        if _declared(request) > BODY_LIMIT:
            return refuse(413, "size", TOO_LARGE, CLOSE)
        try:
            async with asyncio.timeout(BODY_S):
                async for chunk in request.stream():
                    self._body += chunk
                    if len(self._body) > BODY_LIMIT:
                        return refuse(413, "size", TOO_LARGE, CLOSE)
                    more = len(self._body) - SMALL_BODY - self._held
                    if more > 0 and not self._budget.take(more):
                        why = "Too many large documents are being sent. Try again in a moment."
                        return refuse(503, "busy", why, CLOSE, retry_after_s=5.0)
                    self._held += max(0, more)
        except TimeoutError:
            return refuse(408, "slow", f"The body was not complete within {BODY_S:g} s.", CLOSE)
        return None

    def whole(self) -> bytes:
        whole = bytes(self._body)
        self._body = bytearray()  # not twice in memory while the document waits for its keywords
        return whole

    def free(self) -> None:
        self._budget.give(self._held)
        self._held = 0
