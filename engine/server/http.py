"""The engine's HTTP API: documents and metrics on TCP, the same and the control routes on the unix socket.

Control is only on the socket in the store's folder: anyone who can open the store may act, and the kernel identifies
them. `guard` decides who may use TCP, `connections` how much.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from engine.client.client import Reply
from engine.client.identity import named_actor, peer
from engine.plan.durations import parse_when
from engine.rollout.state import Actor
from engine.server import commands
from engine.server.answers import answer, of_reply, refuse
from engine.server.connections import ConnectionBudget
from engine.server.document_api import DocumentApi
from engine.server.guard import Guard
from engine.server.kept_answers import KeptAnswers
from engine.server.wire import Health
from engine.server.workers import Workers
from engine.service import measured
from engine.service.engine import Engine
from engine.store import database, documents, log
from engine.store.reader import decision_view
from engine.store.stored_document import stored_document
from engine.text import clean_block, clean_line
from engine.view.iso_times import with_iso_times

if TYPE_CHECKING:
    from engine.server.page import StatusPage

DEEPEST = 32
LARGEST = 1 << 53  # larger integers are not counts, and neither SQLite nor JavaScript represents them exactly

DECISIONS_SHAPE = "Use from and to (ISO 8601, or milliseconds since 1970), limit, and kind (promote,rollback,...)."
MOST_DECISIONS = 1000
MOST_KINDS = 50
PAGE_HEADERS = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "x-accel-buffering": "no",  # nginx would collect the events
}


class InvalidRequest(ValueError):
    """Fields that no request can have. The message is a sentence."""


class Api(DocumentApi):
    """Every route of one listener. Without a `guard` (the unix socket), `POST /v1/control/{kind}` is added."""

    def __init__(self, engine: Engine, budget: ConnectionBudget, guard: Guard | None = None) -> None:
        super().__init__(engine, budget, guard, KeptAnswers(engine))
        self.engine = engine
        self.workers = Workers(engine)

    def routes(self) -> list[Route]:
        one = "/v1/documents/{id:path}"
        routes = [
            *super().routes(),
            self._route("/v1/feedback", POST=self._with_body(self._once(self.feedback))),
            self._route(one, GET=self.document, DELETE=self.delete_document),
            self._route("/v1/status", GET=self.status),
            self._route("/v1/decisions", GET=self.decisions),
            self._route("/metrics", GET=self.metrics),
            self._route("/", GET=self.page_document),
            self._route("/live", GET=self.page_stream),
            self._route("/healthz", GET=self.health),
            self._route("/openapi.json", GET=self.openapi),
            self._route("/v1/worker/{kind}", POST=self._with_body(self.worker)),
        ]
        if self.guard is None:
            routes.append(Route("/v1/control/{kind}", self._with_body(self.control), methods=["POST"]))
        return routes

    # -- documents -----------------------------------------------------------------------------------------------------

    async def document(self, request: Request) -> Response:
        if not self._knows(request):
            return self._needs_token("Documents are read", ", or use `rollout documents`")
        stored = documents.get(self.engine.conn, request.path_params["id"])
        if stored is None:
            return refuse(404, "no_document", "There is no document with this id.")
        text = stored.text if request.query_params.get("text") in ("1", "true", "yes") else msgspec.UNSET
        return answer(200, stored_document(stored, text))

    async def delete_document(self, request: Request) -> Response:
        if not self._knows(request):
            return self._needs_token("Documents are deleted", ", or use `rollout documents`")
        return await self._command(request, "delete_document", {"document": request.path_params["id"]})

    def _needs_token(self, what: str, instead: str = "") -> Response:
        """401 where a token would open it, 403 where the engine has none."""
        has_token = self.guard is not None and bool(self.guard.token)
        how = "send" if has_token else "set [http] token_env's variable in the engine's environment and send"
        sentence = f"{what} only with the token: {how} `Authorization: Bearer ...`{instead}."
        return refuse(401 if has_token else 403, "token", sentence)

    async def worker(self, request: Request, body: bytes) -> Response:
        if self._knows(request):
            return await self.workers.answer(request, body)
        return self._needs_token("Workers are admitted")

    # -- the rest ------------------------------------------------------------------------------------------------------

    async def feedback(self, request: Request, body: bytes) -> Response:
        fields = read_fields(body)
        if isinstance(fields, Response):
            return fields
        if fields.get("kind") == "complaint" and not self._knows(request):
            return refuse(
                403,
                "token",
                "Complaints can roll the rollout back, so this address accepts them only with the token: set "
                "[http] token_env's variable in the engine's environment and send `Authorization: Bearer ...`, or "
                "use `rollout feedback complaint`.",
            )
        if not fields.get("id") and (key := self.idempotency_name(request)):
            # the answers that are kept end with the engine: as its id, the key counts once across restarts too
            fields = {**fields, "id": hashlib.sha256(key.encode() + body).hexdigest()[:24]}
        return await self._command(request, "feedback", fields)

    async def status(self, request: Request) -> Response:
        view = self.engine.view
        if view is None:
            return refuse(503, "starting", "starting", retry_after_s=1.0)
        epoch = request.query_params.get("times") == "epoch"  # a console parses it into the original struct
        return answer(200, view if epoch else with_iso_times(view))

    async def decisions(self, request: Request) -> Response:
        """The log between two moments, as /v1/status shows its last rows."""
        given = request.query_params
        now = self.engine.clock.now()
        try:
            since, until = moment_of(given.get("from", "0"), now), moment_of(given.get("to", "now"), now)
            limit = int(given.get("limit", "100"))
            if not 1 <= limit <= MOST_DECISIONS:
                raise ValueError(f"limit is 1 to {MOST_DECISIONS}")
        except ValueError as error:
            return refuse(422, "fields", f"Invalid request: {clean_line(str(error))}. {DECISIONS_SHAPE}")
        kinds = tuple(kind for kind in given.get("kind", "").split(",") if kind)[:MOST_KINDS]
        rows = log.during(self.engine.conn, since, until, limit, kinds)
        return answer(200, with_iso_times({"decisions": [decision_view(row) for row in rows]}))

    async def health(self, _: Request) -> Response:
        ok, sentence = self.engine.healthy()
        plan = self.engine.plan
        body = Health(ok, sentence, plan.service, plan.environment, msgspec.UNSET if ok else "unhealthy")
        return answer(200 if ok else 503, body, None if ok else {"retry-after": "5"})

    async def metrics(self, request: Request) -> Response:
        body, kind = measured.rendered(self.engine, request.headers.get("accept", "*/*"))
        return Response(body, media_type=kind)

    async def broken(self, request: Request, error: Exception) -> Response:
        """A damaged store is not the engine's fault."""
        damage = database.damaged(self.engine.folder, error) if isinstance(error, sqlite3.Error) else ""
        if not damage:
            return await super().broken(request, error)
        self.engine.event(damage)
        return refuse(503, "store", damage)

    # -- the page ------------------------------------------------------------------------------------------------------

    @cached_property
    def page(self) -> StatusPage:
        from engine.server.page import StatusPage  # 60 ms to import, needed only when someone looks

        return StatusPage(self.engine)

    async def page_document(self, request: Request) -> Response:
        view = self.engine.view
        if (closed := self._page_closed()) is not None:
            return closed
        if view is None:
            return refuse(503, "starting", "starting", retry_after_s=1.0)
        return Response(
            self.page.document(view),
            media_type="text/html",
            headers={**PAGE_HEADERS, "content-security-policy": self.page.policy},
        )

    async def page_stream(self, request: Request) -> Response:
        if (closed := self._page_closed()) is not None:
            return closed
        if self.page.full:
            return refuse(503, "busy", self.page.full, retry_after_s=30.0)
        return StreamingResponse(self.page.stream(), media_type="text/event-stream", headers=PAGE_HEADERS)

    def _page_closed(self) -> Response | None:
        """Why the page is not shown at this address."""
        page = self.engine.plan.http.page
        if page == "off":
            return refuse(404, "route", 'There is no page here: it is switched off ([http] page = "off").')
        if page == "loopback" and self.guard is not None and self.guard.public:
            why = 'The page is for this machine only: set [http] page = "token" or "open" to show it elsewhere.'
            return refuse(403, "page", why)
        return None

    async def openapi(self, _: Request) -> Response:
        from engine.server.openapi import described

        return answer(200, described(self.engine.plan.service, self.engine.plan.environment))

    async def control(self, request: Request, body: bytes) -> Response:
        fields = read_fields(body)
        if isinstance(fields, Response):
            return fields
        return await self._command(request, request.path_params["kind"], fields)

    async def _command(self, request: Request, kind: str, fields: dict[str, Any]) -> Response:
        return of_reply(await commands.carry_out(self.engine, kind, fields, actor_of(request)))


def application(engine: Engine, budget: ConnectionBudget, guard: Guard | None = None) -> ASGIApp:
    """The HTTP application of one listener; see `Api`."""
    return Api(engine, budget, guard).application()


def moment_of(text: str, now: float) -> float:
    """Epoch seconds of a time in milliseconds since 1970, as Grafana sends it, or of one that `parse_when` reads."""
    return int(text) / 1000 if text.isascii() and text.isdigit() and len(text) <= 15 else parse_when(text, now)


def read_fields(body: bytes) -> dict[str, Any] | Response:
    """A JSON object with clean texts and with numbers every part of the engine can store; or the answer to send."""
    try:
        fields = plain(json.loads(body or b"{}"))
    except InvalidRequest as error:
        return _invalid(f"Invalid request: {error}. Nothing has changed.")
    except (ValueError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else error
        return _invalid(f"Invalid JSON: {why}. Send a JSON object.")
    return fields if isinstance(fields, dict) else _invalid("Invalid request: send a JSON object.")


def _invalid(sentence: str) -> Response:
    return of_reply(Reply(False, sentence, {"code": "json", "status": 400}))


def plain(value: Any, depth: int = 0) -> Any:
    """The value without anything that controls a terminal or breaks an encoder: control characters and lone surrogates
    become marks. Unfit for NaN, numbers beyond 2^53, and excessive nesting."""
    if depth > DEEPEST:
        raise InvalidRequest(f"it is nested more than {DEEPEST} deep")
    if isinstance(value, str):
        return value if value.isprintable() else clean_block(value, len(value))
    if isinstance(value, dict):
        return {plain(key, depth + 1): plain(one, depth + 1) for key, one in value.items()}
    if isinstance(value, list):
        return [plain(one, depth + 1) for one in value]
    if isinstance(value, int | float) and not -LARGEST <= value <= LARGEST:  # NaN compares with nothing
        raise InvalidRequest("a number is larger than 2^53 or is NaN")
    return value


def actor_of(request: Request) -> Actor:
    """The kernel supplies the uid; the rest is the client's claim, cleaned and only for display."""
    host = request.client.host if request.client else ""
    if not host.startswith("uid:"):
        return Actor(clean_line(f"http {host}", 64), kind="http")
    uid = int(host[4:])
    try:
        name, ssh, terminal, *more = (
            clean_line(str(part), 100) for part in json.loads(request.headers.get("x-rollout-actor", ""))
        )
    except (ValueError, TypeError, RecursionError):
        name, ssh, terminal, more = "", "", "", []
    actor = peer(uid, request.client.port if request.client else 0, name, ssh, terminal)
    return named_actor(actor, more[0]) if more else actor
