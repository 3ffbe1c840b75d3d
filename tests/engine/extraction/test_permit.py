"""Nothing fits between the permission of a request and the request."""

from __future__ import annotations

import asyncio

import pytest

from engine.extraction.llm.failure import NotPermitted
from engine.extraction.llm.permit import RequestGuard

pytestmark = pytest.mark.anyio


async def test_a_permission_that_ends_while_the_request_is_about_to_start_stops_it() -> None:
    allowed, sent = True, []
    guard = RequestGuard(lambda: allowed)

    async def request() -> str:
        sent.append("request")
        return "answer"

    sending = asyncio.ensure_future(guard.send(request))
    while not guard.open:  # noqa: ASYNC110
        await asyncio.sleep(0)
    allowed = False
    with pytest.raises(NotPermitted):
        await sending
    assert (sent, guard.sent, guard.open) == ([], 0, 0)
    allowed = True
    assert await guard.send(request) == "answer"
    assert (sent, guard.sent) == (["request"], 1)
