"""What a gateway serves: documents, and its health for load balancers."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engine.gateway.service import Gateway
from engine.server.answers import answer
from engine.server.connections import ConnectionBudget
from engine.server.document_api import DocumentApi
from engine.server.guard import Guard
from engine.server.wire import Health


class GatewayApi(DocumentApi):
    def __init__(self, gateway: Gateway, budget: ConnectionBudget, guard: Guard) -> None:
        super().__init__(gateway, budget, guard)
        self._gateway = gateway

    def routes(self) -> list[Route]:
        return [*super().routes(), self._route("/healthz", GET=self.health), self._route("/readyz", GET=self.readiness)]

    async def health(self, _: Request) -> Response:
        """Liveness: the process answers. Restarting it does not bring an engine back."""
        return self._health(True, self._gateway.readiness().sentence)

    async def readiness(self, _: Request) -> Response:
        now = self._gateway.readiness()
        return self._health(now.ready, now.sentence)

    def _health(self, ok: bool, sentence: str) -> Response:
        plan = self._gateway.plan
        body = Health(ok, sentence, plan.service, plan.environment, msgspec.UNSET if ok else "no_engine")
        return answer(200 if ok else 503, body, None if ok else {"retry-after": "1"})
