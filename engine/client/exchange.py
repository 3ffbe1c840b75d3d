"""One HTTP exchange over an engine's socket, on a connection of its own: what a command line needs.

`http.client` imports ssl and email, a seventh of the time of `rollout status` and `rollout rollback`. Documents go over
kept-alive connections, see `connection`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from engine.store.folder import Folder

READ = 1 << 16


def exchange(
    folder: Folder, timeout_s: float, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
) -> tuple[int, bytes]:
    """Status and body. OSError where no whole answer comes, ValueError where it is not HTTP."""
    with contextlib.closing(folder.connect(timeout_s)) as sock:
        with contextlib.suppress(BrokenPipeError):  # an engine that refuses a body answers before it has read it
            sock.sendall(request(method, path, body, headers))
        parts = []
        while part := sock.recv(READ):
            parts.append(part)
    return response(b"".join(parts))


def request(method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> bytes:
    """An HTTP/1.0 request, whose answer ends with the connection."""
    fields = {"Host": "localhost", "Connection": "close", **headers}
    if body is not None:
        fields["Content-Length"] = str(len(body))
    lines = [f"{method} {path} HTTP/1.0", *(f"{name}: {value}" for name, value in fields.items())]
    if any(not line.isprintable() for line in lines):
        raise ValueError("the request has a control character")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")


def response(answer: bytes) -> tuple[int, bytes]:
    """Status and body of a whole answer. ConnectionError if it is cut short, ValueError if it is not HTTP."""
    if not answer:
        raise ConnectionResetError("the connection was closed without an answer")
    head, end, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    version, _, rest = first.partition(b" ")
    if not version.startswith(b"HTTP/1.") or not rest[:3].isdigit():
        raise ValueError("the answer is not HTTP")
    if not end:
        raise ConnectionAbortedError("the answer ended early")
    fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
    if b"transfer-encoding" in fields:
        raise ValueError("the answer is in chunks")
    length = fields.get(b"content-length")
    if length is not None:
        if not length.isdigit():
            raise ValueError("the answer's length is not a number")
        if len(body) < int(length):
            raise ConnectionAbortedError("the answer ended early")
        body = body[: int(length)]
    return int(rest[:3]), body
