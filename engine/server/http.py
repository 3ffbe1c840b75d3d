"""The engine's HTTP API: documents and metrics on TCP, the same and the control routes on the unix socket.

Only the socket in the store's folder carries control: whoever can open the store may act, and the kernel says who it is.
"""

from __future__ import annotations

import hmac
import json
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from engine.client.client import Reply
from engine.client.identity import peer
from engine.rollout.control import Actor
from engine.routing.pipeline import Refused
from engine.server import commands
from engine.service.engine import Engine
from engine.text import clean_line

BODY_LIMIT = 41_000_000  # 10 million characters of four bytes, and their envelope

_encoder = msgspec.json.Encoder()


class ExtractRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    text: str
    title: str = ""
    method: str = "auto"


class PeerProtocol(H11Protocol):
    """Puts the peer's uid and pid, as the kernel knows them, where the client's address would be."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family == socket.AF_UNIX:
            pid, uid, _gid = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
            self.client = (f"uid:{uid}", pid)


def application(engine: Engine, control: bool, token: str = "") -> Starlette:
    """The routes of DESIGN section 7; with `control` also `POST /v1/control/{kind}`. `token` guards everything but /healthz."""

    def guarded(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def guard(request: Request) -> Response:
            given = request.headers.get("authorization", "").encode()  # as bytes: a text must be ASCII to be compared
            if token and not hmac.compare_digest(given, f"Bearer {token}".encode()):
                return answer(401, {"error": "This address needs the token: send `Authorization: Bearer ...`."})
            return await handler(request)

        return guard

    async def extract(request: Request) -> Response:
        body = await read_body(request)
        if isinstance(body, Response):
            return body
        try:
            asked = msgspec.json.decode(body, type=ExtractRequest)
        except msgspec.MsgspecError as error:
            return answer(400, {"error": f'Not understood: {error}. Send {{"id": "...", "text": "..."}}.'})
        if asked.method not in ("auto", "llm", "frequency"):
            return answer(400, {"error": f"Unknown method {clean_line(asked.method, 40)!r}: auto, llm or frequency."})
        try:
            return answer(200, await engine.extract(asked.id, asked.text, asked.title, asked.method))  # type: ignore[arg-type]
        except Refused as refused:
            return answer(409, {"error": str(refused)})
        except OSError as error:
            return answer(503, {"error": f"Not stored: {error}."})

    async def feedback(request: Request) -> Response:
        body = await read_body(request)
        if isinstance(body, Response):
            return body
        return await command(request, "feedback", body)

    async def status(_: Request) -> Response:
        starting = {"error": "starting"}
        return answer(503, starting) if engine.view is None else answer(200, engine.view)

    async def health(_: Request) -> Response:
        ok, sentence = engine.healthy()
        return answer(200 if ok else 503, {"ok": ok, "sentence": sentence})

    async def metrics(request: Request) -> Response:
        accept = request.headers.get("accept", "*/*")
        body, kind = engine.metrics(accept)
        return Response(body, media_type=kind)

    async def control_route(request: Request) -> Response:
        body = await read_body(request)
        if isinstance(body, Response):
            return body
        return await command(request, request.path_params["kind"], body)

    async def command(request: Request, kind: str, body: bytes) -> Response:
        try:
            fields = json.loads(body or b"{}")
        except (ValueError, RecursionError) as error:
            return answer(400, Reply(False, f"Not understood: {error}. Send a JSON object."))
        if not isinstance(fields, dict):
            return answer(400, Reply(False, "Not understood: send a JSON object."))
        reply = await commands.carry_out(engine, kind, fields, actor_of(request))
        return answer(200 if reply.ok else reply.data.get("status", 409), reply)

    routes = [
        Route("/v1/extract", guarded(extract), methods=["POST"]),
        Route("/v1/feedback", guarded(feedback), methods=["POST"]),
        Route("/v1/status", guarded(status)),
        Route("/metrics", guarded(metrics)),
        Route("/healthz", health),
    ]
    if control:
        routes.append(Route("/v1/control/{kind}", control_route, methods=["POST"]))

    async def broken(_: Request, error: Exception) -> Response:
        engine.trouble(error)
        return answer(
            500, Reply(False, "The engine failed at this request; the reason is in engine.log in the store folder.")
        )

    async def left(_: Request, __: Exception) -> Response:
        return Response(status_code=400)  # to nobody: the client went before it had said what it wants

    return Starlette(routes=routes, exception_handlers={Exception: broken, ClientDisconnect: left})


def answer(status: int, body: Any) -> Response:
    return Response(_encoder.encode(body), status, media_type="application/json")


async def read_body(request: Request) -> bytes | Response:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_LIMIT:
            return answer(413, {"error": "The request is larger than 41 MB. Split the document."})
    return bytes(body)


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
    except ValueError:
        name, ssh, terminal = "", "", ""
    return peer(uid, request.client.port if request.client else 0, name, ssh, terminal)
