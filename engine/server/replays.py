"""`Idempotency-Key`: an answer is kept for a while and returned for a repeat of the same request, instead of doing it
twice.

Kept in memory, and with `Kept` beyond this process. Without it a repeat after a restart is carried out again: documents
are stored and feedback is counted by id, so that costs twice the work, and an old text may replace a newer one.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Protocol

from msgspec import Struct
from starlette.responses import Response

from engine.server.answers import refuse

KEY_LIMIT = 255
KEPT_S = 24 * 3600.0
KEPT_BYTES = 16 << 20
KEPT = 20_000


class Kept(Protocol):
    """Stores answers so that they outlive this process."""

    def get(self, key: str) -> tuple[bytes, Response] | None:
        """The digest of the request's body, and the answer it got."""

    def put(self, key: str, digest: bytes, made: Response) -> None: ...


class _Kept(Struct):
    at: float
    digest: bytes
    answer: asyncio.Future[Response | None]
    size: int = 0


class Replays:
    """The replayed answers of one listener; not for several event loops."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._bytes = 0

    async def once(
        self, key: str, body: bytes, do: Callable[[], Awaitable[Response]], beyond: Kept | None = None
    ) -> Response:
        """The answer already given for this key, or that of `do`. Answers that invite a retry (429, 500 and above) are
        not kept."""
        self._forget()
        digest = hashlib.blake2b(body, digest_size=16).digest()
        known = self._kept.get(key)
        if known is None and beyond is not None and (earlier := beyond.get(key)) is not None:
            known = self._remember(key, *earlier)
        if known is not None and known.digest != digest:
            return refuse(
                422, "idempotency_key", "This Idempotency-Key was already used with a different body. Use a new one."
            )
        if known is not None:
            made = await asyncio.shield(known.answer)
            return _again(made) if made is not None else await do()
        mine = self._kept[key] = _Kept(self._clock(), digest, asyncio.get_running_loop().create_future())
        try:
            made = await do()
        except BaseException:
            self._drop(key, mine)
            raise
        if made.status_code == 429 or made.status_code >= 500:
            self._drop(key, mine)
            return made
        self._answered(mine, made)
        if beyond is not None:
            beyond.put(key, digest, made)
        return made

    def _remember(self, key: str, digest: bytes, made: Response) -> _Kept:
        """An answer that was given before this process started."""
        known = self._kept[key] = _Kept(self._clock(), digest, asyncio.get_running_loop().create_future())
        self._answered(known, made)
        return known

    def _answered(self, kept: _Kept, made: Response) -> None:
        kept.size = len(made.body)
        self._bytes += kept.size
        kept.answer.set_result(made)

    def _drop(self, key: str, mine: _Kept) -> None:
        if self._kept.get(key) is mine:
            del self._kept[key]
        mine.answer.set_result(None)  # a request that waited for it carries it out

    def _forget(self) -> None:
        now = self._clock()
        while self._kept:
            key, oldest = next(iter(self._kept.items()))
            full = len(self._kept) >= KEPT or self._bytes > KEPT_BYTES
            if not oldest.answer.done() or not (full or now - oldest.at > KEPT_S):
                return
            del self._kept[key]
            self._bytes -= oldest.size


def _again(made: Response) -> Response:
    headers = {"idempotency-replayed": "true"}
    return Response(made.body, made.status_code, headers, media_type="application/json")
