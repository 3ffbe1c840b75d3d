"""Renewals and watches of workers' leases, answered before the HTTP parser and the routes. With 50 workers renewals are
170 requests a second, and the ordinary way costs a hundred times what a renewal is. A rollback answers every watch in
the instruction that puts it into force: the ordinary way takes a millisecond each, one after the other, while the
rollback is recorded.

Only the plain case is taken: a whole request as a worker sends it, which the ordinary route would grant. Everything
else, and every refusal, is the ordinary route's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache

from engine.server.guard import Guard
from engine.server.request_names import fit_name, new_name

LEASE, WATCH = "/v1/worker/lease", "/v1/worker/watch"
_STARTS = {f"POST {path} HTTP/1.1\r\n".encode(): path for path in (LEASE, WATCH)}
(_LENGTH,) = {len(start) for start in _STARTS}
HEADS = 256  # remembered
LARGEST = 16 * 1024  # of a whole request; a renewal has a few hundred bytes
_HEADER = re.compile(rb"([A-Za-z0-9-]+): ?([\x21-\x7e][\x20-\x7e]*)")
_SIZE = re.compile(rb"\r\ncontent-length: ?([0-9]{1,5})\r\n", re.I)
_ORDINARY = frozenset(["transfer-encoding", "connection", "expect", "upgrade", "content-encoding"])


@lru_cache(HEADS)
def headers_of(head: bytes) -> Mapping[str, str] | None:
    """The header fields of a request whose only framing is its content-length; None for any other. A worker sends the
    same head each time."""
    fields: dict[str, str] = {}
    for line in head.split(b"\r\n"):
        match = _HEADER.fullmatch(line)
        if match is None:
            return None
        name = match[1].decode().lower()
        if name in fields or name in _ORDINARY:
            return None
        fields[name] = match[2].decode().rstrip()
    return fields


Send = Callable[[bytes], None]
Leave = Callable[[], None]


class Renewals:
    """The renewals and watches of one listener. `renewed` returns the answer to a renewal's body, or None; `watched`
    sends the answer to a watch's body now or later, and returns what ends the waiting, or None. `guard` filters TCP."""

    def __init__(
        self,
        renewed: Callable[[bytes], bytes | None],
        watched: Callable[[bytes, Send], Leave | None],
        guard: Guard | None,
    ) -> None:
        self._renewed = renewed
        self._watched = watched
        self._guard = guard

    def length(self, data: bytes) -> int | None:
        """How long this request is in bytes; None if it is not for this way."""
        if data[:_LENGTH] not in _STARTS or len(data) > LARGEST:
            return None
        end = data.find(b"\r\n\r\n")
        size = _SIZE.search(data, 0, end + 2) if end > 0 else None
        whole = end + 4 + int(size[1]) if size is not None else 0
        return whole if len(data) <= whole <= LARGEST else None

    def answer(self, data: bytes, send: Send) -> Leave | None:
        """Send the answer to a whole request, now or later, and return what to call when nothing waits for it any
        more; None if the ordinary route has to give it."""
        path = _STARTS[data[:_LENGTH]]
        head, _, body = data[_LENGTH:].partition(b"\r\n\r\n")
        fields = headers_of(head)
        if fields is None or not self._admits(path, fields):
            return None
        name = fit_name(fields.get("x-request-id", "").encode()) or new_name().encode()
        if path == WATCH:
            return self._watched(body, lambda grant: send(_whole(grant, name)))
        grant = self._renewed(body)
        if grant is None:
            return None
        send(_whole(grant, name))
        return _nothing

    def _admits(self, path: str, fields: Mapping[str, str]) -> bool:
        guard = self._guard
        if guard is None:
            return True
        return guard.knows(fields) and guard.denies("POST", path, fields) is None


def _whole(grant: bytes, name: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\nx-request-id: %b\r\n\r\n%b" % (
        len(grant),
        name,
        grant,
    )


def _nothing() -> None:
    """Nothing waits."""
