"""The answers that `Replays` finds again after a restart: those of the engine's store."""

from __future__ import annotations

import hashlib

import msgspec
from starlette.responses import Response

from engine.decoding import decode
from engine.service.engine import Engine
from engine.store import replays
from engine.store.replays import KeptAnswer


class _Answer(msgspec.Struct):
    id: str


class KeptAnswers:
    """Of stored documents. Written with the store's next batch: a crash within 50 ms after an answer loses its key."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def get(self, key: str) -> tuple[bytes, Response] | None:
        """The digest of the request's body, and the answer it got."""
        kept = replays.get(self._engine.conn, _name(key), self._engine.clock.now())
        return None if kept is None else (kept.digest, Response(kept.body, kept.status, media_type="application/json"))

    def put(self, key: str, digest: bytes, made: Response) -> None:
        if made.status_code != 200:
            return
        document = decode(made.body, _Answer).id
        answer = KeptAnswer(digest, document, made.status_code, bytes(made.body))
        name, now = _name(key), self._engine.clock.now()
        self._engine.writer.later(lambda conn: replays.keep(conn, name, answer, now))


def _name(key: str) -> bytes:
    return hashlib.blake2b(key.encode(), digest_size=16).digest()
