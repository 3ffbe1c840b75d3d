"""The routes of workers outside the engine: `POST /v1/worker/{kind}`, on the socket, and on TCP with the token.

A worker gets a lease and nothing that decides: control is on another route, and on TCP there is none.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from engine.cluster.identity import mismatch
from engine.cluster.lease import LeasePoll, LeaseRenewal
from engine.cluster.leases import TooManyWorkers
from engine.decoding import UNREADABLE, decode, json_decoder
from engine.server.answers import answer, refuse
from engine.service.engine import Engine
from engine.service.gateways import GatewayDesk
from engine.service.jobs import NoJob
from engine.store.jobs import PartEnded
from engine.store.log import Fenced
from engine.text import clean_line, reason_of
from engine.worker.messages import BatchReceipt, DocumentBatch, DocumentReceipt, PartRequest, WorkerBatch

Handler = Callable[[bytes], Awaitable[Response]]


class Workers:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._gateways = GatewayDesk(engine)
        self._kinds: Mapping[str, Handler] = {
            "lease": self._lease,
            "watch": self._watch,
            "part": self._part,
            "batch": self._batch,
            "documents": self._documents,
            "part-ended": self._part_ended,
        }

    async def answer(self, request: Request, body: bytes) -> Response:
        kind = request.path_params["kind"]
        handler = self._kinds.get(kind)
        if handler is None:
            return refuse(404, "route", f"Workers have no request {clean_line(kind, 40)!r}.")
        try:
            return await handler(body)
        except msgspec.ValidationError as error:
            return refuse(422, "fields", f"Not usable: {clean_line(str(error))}.")
        except UNREADABLE as error:
            return refuse(400, "json", f"Invalid JSON: {clean_line(str(error))}.")
        except NoJob as error:
            return refuse(409, error.code, str(error))

    async def _lease(self, body: bytes) -> Response:
        engine, report = self._engine, _renewals.decode(body)
        if not report.leaving and (why := mismatch(report.identity, engine.identity())) is not None:
            return refuse(409, why.code, why.sentence)
        try:
            return answer(200, await engine.leases.renew(report, engine.plan.salt))
        except TooManyWorkers as error:
            return refuse(429, "busy", str(error), retry_after_s=5.0)
        except OSError as error:
            why_not = f"No lease is granted while the store's folder cannot be written: {reason_of(error)}."
            return refuse(503, "store", why_not, retry_after_s=5.0)

    async def _watch(self, body: bytes) -> Response:
        watch = _watches.decode(body)
        return answer(200, await self._engine.leases.watch(watch.worker, watch.seen, self._engine.plan.salt))

    async def _part(self, body: bytes) -> Response:
        return answer(200, self._engine.jobs.next_part(decode(body, PartRequest)))

    async def _batch(self, body: bytes) -> Response:
        return await self._stored(self._engine.jobs.take(_batches.decode(body)))

    async def _documents(self, body: bytes) -> Response:
        return await self._stored(self._gateways.take(_documents.decode(body)))

    async def _part_ended(self, body: bytes) -> Response:
        return await self._stored(self._engine.jobs.end_part(decode(body, PartEnded)))

    async def _stored(self, work: Coroutine[Any, Any, BatchReceipt | DocumentReceipt | None]) -> Response:
        try:
            return answer(200, await work or {"ok": True})
        except (OSError, sqlite3.Error, Fenced) as error:
            return refuse(503, "store", f"Not stored: {error}.", retry_after_s=1.0)


def renewed(engine: Engine, body: bytes) -> bytes | None:
    """The answer to a renewal that is granted without waiting; None for any other, which is the route's."""
    try:
        report = _renewals.decode(body)
    except UNREADABLE:
        return None
    if mismatch(report.identity, engine.identity()) is not None:
        return None
    grant = engine.leases.renew_again(report, engine.plan.salt)
    return None if grant is None else _encoder.encode(grant)


def watched(engine: Engine, body: bytes, send: Callable[[bytes], None]) -> Callable[[], None] | None:
    """Send the answer to a watch, now or later; return what ends the waiting. None for what the route refuses."""
    try:
        watch = _watches.decode(body)
    except UNREADABLE:
        return None
    return engine.leases.attend(watch.worker, watch.seen, engine.plan.salt, lambda grant: send(_encoder.encode(grant)))


_encoder = msgspec.json.Encoder()
_renewals = json_decoder(LeaseRenewal)
_watches = json_decoder(LeasePoll)
_batches = json_decoder(WorkerBatch)
_documents = json_decoder(DocumentBatch)
