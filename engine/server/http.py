"""The engine's HTTP API: documents and metrics on TCP, the same and the control routes on the unix socket.

Only the socket in the store's folder carries control: whoever can open the store may act, and the kernel says who it is. What TCP
is open to is `guard`'s affair, how much of it `connections`'.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from engine.client.client import Reply
from engine.client.identity import peer
from engine.rollout.control import Actor
from engine.routing.pipeline import Busy, Refused
from engine.server import commands
from engine.server.connections import BODY_S, SMALL_BODY, Room
from engine.server.guard import Guard
from engine.service.engine import Engine
from engine.text import clean_block, clean_line
from engine.view.outward import outward

BODY_LIMIT = 41_000_000  # 10 million characters of four bytes, and their envelope
DEEPEST = 32
LARGEST = 1 << 53  # integers beyond this are no counts, and neither SQLite nor JavaScript keeps them

CLOSE = {"connection": "close"}
TOO_LARGE = "The request is larger than 41 MB. Split the document."

Handler = Callable[[Request], Awaitable[Response]]

_encoder = msgspec.json.Encoder()


class ExtractRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    text: str
    title: str = ""
    method: str = "auto"
    bulk: bool = False  # nobody waits for it: others go first, and it may be answered with 429


class Unfit(ValueError):
    """Fields that no request can have: a sentence."""


def application(engine: Engine, room: Room, guard: Guard | None = None) -> Starlette:
    """The routes of engine/README.md. With a `guard`, TCP's, what it denies is denied; without one, on the unix socket, also
    `POST /v1/control/{kind}`."""

    def guarded(handler: Handler) -> Handler:
        async def guard_first(request: Request) -> Response:
            denial = guard.denies(request.method, request.url.path, request.headers) if guard is not None else None
            if denial is None:
                return await handler(request)
            return refuse(denial.status, denial.code, denial.sentence, None if _is_small(request) else CLOSE)

        return guard_first

    def with_body(handler: Callable[[Request, bytes], Awaitable[Response]]) -> Handler:
        async def read_first(request: Request) -> Response:
            body = Body(room)
            try:
                late = await body.read(request)
                return await handler(request, body.whole()) if late is None else late
            finally:
                body.free()

        return read_first

    async def extract(request: Request, body: bytes) -> Response:
        try:
            asked = msgspec.json.decode(body, type=ExtractRequest)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            return refuse(
                400, "json", f'Not understood: {clean_line(str(error))}. Send {{"id": "...", "text": "..."}}.'
            )
        if asked.method not in ("auto", "llm", "frequency"):
            return refuse(400, "method", f"Unknown method {clean_line(asked.method, 40)!r}: auto, llm or frequency.")
        try:
            return answer(200, await engine.extract(asked.id, asked.text, asked.title, asked.method, asked.bulk))  # type: ignore[arg-type]
        except Busy as busy:
            again = {"retry-after": f"{busy.after_s:.0f}"}
            return refuse(429, "busy", str(busy), again, retry_after_s=busy.after_s)
        except Refused as refused:
            return refuse(409, "refused", str(refused))
        except OSError as error:
            return refuse(503, "store", f"Not stored: {error}.", {"retry-after": "5"})

    async def feedback(request: Request, body: bytes) -> Response:
        fields = read_fields(body)
        if isinstance(fields, Response):
            return fields
        if fields.get("kind") == "complaint" and guard is not None and not guard.knows(request.headers):
            return refuse(
                403,
                "token",
                "Complaints can roll the rollout back, so this address takes them only with the token: set [http] token_env's variable "
                "in the engine's environment and send `Authorization: Bearer ...`, or use `rollout feedback complaint`.",
            )
        return await command(request, "feedback", fields)

    async def status(request: Request) -> Response:
        if engine.view is None:
            return refuse(503, "starting", "starting")
        epoch = request.query_params.get("times") == "epoch"  # a console reads it as the struct that it is
        return answer(200, engine.view if epoch else outward(engine.view))

    async def health(_: Request) -> Response:
        ok, sentence = engine.healthy()
        return answer(200 if ok else 503, {"ok": ok, "sentence": sentence})

    async def metrics(request: Request) -> Response:
        accept = request.headers.get("accept", "*/*")
        body, kind = engine.metrics(accept)
        return Response(body, media_type=kind)

    async def control_route(request: Request, body: bytes) -> Response:
        fields = read_fields(body)
        return fields if isinstance(fields, Response) else await command(request, request.path_params["kind"], fields)

    async def command(request: Request, kind: str, fields: dict[str, Any]) -> Response:
        reply = await commands.carry_out(engine, kind, fields, actor_of(request))
        return answer(200 if reply.ok else reply.data.get("status", 409), reply)

    routes = [
        Route("/v1/extract", guarded(with_body(extract)), methods=["POST"]),
        Route("/v1/feedback", guarded(with_body(feedback)), methods=["POST"]),
        Route("/v1/status", guarded(status)),
        Route("/metrics", guarded(metrics)),
        Route("/healthz", guarded(health)),
    ]
    if guard is None:
        routes.append(Route("/v1/control/{kind}", with_body(control_route), methods=["POST"]))

    async def broken(_: Request, error: Exception) -> Response:
        engine.trouble(error)
        return answer(
            500, Reply(False, "The engine failed at this request; the reason is in engine.log in the store folder.")
        )

    async def left(_: Request, __: Exception) -> Response:
        return Response(status_code=400)  # to nobody: the client went before it had said what it wants

    async def unknown(_: Request, error: Exception) -> Response:
        status, headers = (error.status_code, error.headers) if isinstance(error, HTTPException) else (404, None)
        return refuse(status, "route", "There is nothing here for this method and path.", dict(headers or {}))

    handlers: Any = {Exception: broken, ClientDisconnect: left, HTTPException: unknown}
    return Starlette(routes=routes, exception_handlers=handlers)


def answer(status: int, body: Any) -> Response:
    return Response(_encoder.encode(body), status, media_type="application/json")


def refuse(status: int, code: str, sentence: str, headers: dict[str, str] | None = None, **more: float) -> Response:
    """An error that a program (`code`) and a person (`error`) can read."""
    body = {"ok": False, "error": sentence, "sentence": sentence, "code": code, **more}
    return Response(_encoder.encode(body), status, headers, media_type="application/json")


def _declared(request: Request) -> int:
    """Bytes that the body is going to have; 0 where it comes in chunks or there is none."""
    return int(request.headers.get("content-length", "0")[:15])


def _is_small(request: Request) -> bool:
    """Whether the rest of the request can be read and thrown away; the connection of a large one is closed."""
    return _declared(request) <= SMALL_BODY and "transfer-encoding" not in request.headers


class Body:
    """The body of one request, as it comes; what is more than a little counts in the listener's room until `free`."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._body = bytearray()
        self._held = 0

    async def read(self, request: Request) -> Response | None:
        """None when it is whole, else what to answer."""
        if _declared(request) > BODY_LIMIT:
            return refuse(413, "size", TOO_LARGE, CLOSE)
        try:
            async with asyncio.timeout(BODY_S):
                async for chunk in request.stream():
                    self._body += chunk
                    if len(self._body) > BODY_LIMIT:
                        return refuse(413, "size", TOO_LARGE, CLOSE)
                    more = len(self._body) - SMALL_BODY - self._held
                    if more > 0 and not self._room.take(more):
                        why = "Too many large documents are on their way at once. Try again in a moment."
                        return refuse(503, "busy", why, {"retry-after": "5", **CLOSE})
                    self._held += max(0, more)
        except TimeoutError:
            return refuse(408, "slow", f"The body was not whole within {BODY_S:g} s.", CLOSE)
        return None

    def whole(self) -> bytes:
        found = bytes(self._body)
        self._body = bytearray()  # not twice in memory while the document waits for its keywords
        return found

    def free(self) -> None:
        self._room.give(self._held)
        self._held = 0


def read_fields(body: bytes) -> dict[str, Any] | Response:
    """A JSON object whose texts are clean and whose numbers every part of the engine can keep; or what to answer."""
    try:
        fields = plain(json.loads(body or b"{}"))
    except Unfit as error:
        return answer(400, Reply(False, f"Not understood: {error}. Nothing has changed.", {"code": "json"}))
    except (ValueError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else error
        return answer(400, Reply(False, f"Not understood: {why}. Send a JSON object.", {"code": "json"}))
    if not isinstance(fields, dict):
        return answer(400, Reply(False, "Not understood: send a JSON object.", {"code": "json"}))
    return fields


def plain(value: Any, depth: int = 0) -> Any:
    """The value with nothing in it that acts on a terminal or breaks an encoder: control characters and halves of surrogate pairs
    become marks. Unfit for numbers that are none (NaN) or beyond 2^53, and for nesting without end."""
    if depth > DEEPEST:
        raise Unfit(f"it is nested more than {DEEPEST} deep")
    if isinstance(value, str):
        return value if value.isprintable() else clean_block(value, len(value))
    if isinstance(value, dict):
        return {plain(key, depth + 1): plain(one, depth + 1) for key, one in value.items()}
    if isinstance(value, list):
        return [plain(one, depth + 1) for one in value]
    if isinstance(value, int | float) and not -LARGEST <= value <= LARGEST:  # NaN is in no order
        raise Unfit("a number is larger than 2^53, or is none")
    return value


def actor_of(request: Request) -> Actor:
    """The uid is the kernel's; the rest is what the client says, cleaned, and only for people to read."""
    host = request.client.host if request.client else ""
    if not host.startswith("uid:"):
        return Actor(clean_line(f"http {host}", 64), kind="http")
    uid = int(host[4:])
    try:
        name, ssh, terminal = (
            clean_line(str(part), 100) for part in json.loads(request.headers.get("x-rollout-actor", ""))
        )
    except (ValueError, TypeError, RecursionError):
        name, ssh, terminal = "", "", ""
    return peer(uid, request.client.port if request.client else 0, name, ssh, terminal)
