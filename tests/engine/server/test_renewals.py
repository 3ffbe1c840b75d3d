"""Renewals and watches answered before the HTTP parser: the same as the route's answer, and never more than the route would admit."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.cluster.identity import version
from engine.server.guard import Guard
from engine.server.renewals import Renewals
from tests.engine.service.rig import EngineRig

BODY = b'{"worker":"one"}'
GRANT = b'{"version":[1,1]}'


def request(body: bytes = BODY, more: bytes = b"", line: bytes = b"POST /v1/worker/lease HTTP/1.1") -> bytes:
    return b"%b\r\nHost: localhost\r\nContent-Type: application/json\r\n%bContent-Length: %d\r\n\r\n%b" % (
        line,
        more,
        len(body),
        body,
    )


WATCH = b"POST /v1/worker/watch HTTP/1.1"
LINES = pytest.mark.parametrize("line", [b"POST /v1/worker/lease HTTP/1.1", WATCH], ids=["a renewal", "a watch"])


def renewals(guard: Guard | None = None, granted: bytes | None = GRANT) -> tuple[Renewals, list[bytes]]:
    asked: list[bytes] = []

    def renewed(body: bytes) -> bytes | None:
        asked.append(body)
        return granted

    def watched(body: bytes, send: Callable[[bytes], None]) -> Callable[[], None] | None:
        asked.append(body)
        if granted is None:
            return None
        send(granted)
        return lambda: None

    return Renewals(renewed, watched, guard), asked


def answered(way: Renewals, whole: bytes) -> bytes | None:
    sent: list[bytes] = []
    taken = way.answer(whole, sent.append) is not None
    assert taken == bool(sent)
    return sent[0] if sent else None


@LINES
def test_a_request_is_answered_under_its_name(line: bytes) -> None:
    way, asked = renewals()
    whole = request(more=b"X-Request-Id: mine-1\r\n", line=line)
    assert way.length(whole) == len(whole)
    answer = answered(way, whole)
    assert asked == [BODY]
    assert answer is not None
    head, _, body = answer.partition(b"\r\n\r\n")
    assert body == GRANT
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nx-request-id: mine-1" in head
    assert b"\r\ncontent-length: %d" % len(GRANT) in head


def test_a_renewal_in_two_pieces_is_waited_for() -> None:
    way, _ = renewals()
    whole = request()
    assert way.length(whole[: -len(BODY)]) == len(whole)


@pytest.mark.parametrize(
    "data",
    [
        request(line=b"POST /v1/worker/batch HTTP/1.1"),
        request(line=b"POST /v1/worker/lease HTTP/1.0"),
        request() + b"GET / HTTP/1.1\r\n",
        request(body=b"x" * 20_000),
        request().replace(b"\r\n\r\n" + BODY, b"\r\n"),
        request().replace(b"Content-Length: 16", b"Content-Length: +16"),
        request().replace(b"Content-Length: 16\r\n", b""),
    ],
    ids=["another route", "HTTP/1.0", "a second request", "large", "half a head", "a sign", "no length"],
)
def test_anything_but_one_plain_renewal_is_left_to_the_parser(data: bytes) -> None:
    assert renewals()[0].length(data) is None


@pytest.mark.parametrize(
    "field",
    [
        b"Transfer-Encoding: chunked\r\n",
        b"Connection: close\r\n",
        b"Expect: 100-continue\r\n",
        b"Content-Length: 2\r\n",
        b"Bad Name: x\r\n",
        b" folded: x\r\n",
        b"X-Odd: \x00\r\n",
    ],
)
def test_a_request_with_any_other_framing_is_left_to_the_parser(field: bytes) -> None:
    way, asked = renewals()
    assert answered(way, request(more=field)) is None
    assert not asked


@LINES
def test_on_tcp_only_the_token_admits_a_worker_and_no_web_page(line: bytes) -> None:
    way, asked = renewals(Guard("127.0.0.1", "secret"))
    assert answered(way, request(line=line)) is None
    assert answered(way, request(more=b"Authorization: Bearer wrong\r\n", line=line)) is None
    assert answered(way, request(more=b"Authorization: Bearer secret\r\nOrigin: http://other\r\n", line=line)) is None
    assert not asked
    assert answered(way, request(more=b"Authorization: Bearer secret\r\n", line=line)) is not None
    assert answered(renewals(Guard("127.0.0.1"))[0], request(line=line)) is None


@LINES
def test_what_cannot_be_granted_is_left_to_the_route(line: bytes) -> None:
    assert answered(renewals(granted=None)[0], request(line=line)) is None


def test_a_watch_that_waits_is_answered_once_and_forgotten_when_its_worker_leaves(tmp_path: Path) -> None:
    with EngineRig(tmp_path / "store", speed=None) as rig:
        rig.engine()
        rig.climb(2)
        seen = exchanged(rig, "lease", worker="w", host="h", pid=1, identity=identity(rig))["version"]
        left, kept = (begun(rig, "watch", worker=name, seen=seen) for name in ("left", "kept"))
        left.close()
        more = begun(rig, "watch", worker="more", seen=seen)
        exchanged(rig, "lease", worker="w", host="h", pid=1, identity=identity(rig))  # by now the watch is taken
        more.sendall(b"POST / HTTP/1.1\r\n\r\n")
        assert more.recv(1) == b"", "nothing is sent before the answer"
        kept.setblocking(False)
        with pytest.raises(BlockingIOError):
            kept.recv(1)
        kept.setblocking(True)
        assert rig.client.rollback("a test").ok
        grant = taken(kept)
        assert (grant["terms"]["percent_bp"], grant["version"] > seen) == (0, True)
        kept.sendall(asked("watch", worker="kept", seen=seen))
        assert taken(kept)["version"] >= grant["version"], (
            "at once on the same connection: it is newer than what was seen"
        )
        with pytest.raises(AssertionError, match=r"^HTTP/1\.1 422"):
            exchanged(rig, "watch", worker="", seen=seen)


def identity(rig: EngineRig) -> dict[str, str]:
    return {"version": version(), "plan": rig.plan.digest}


def asked(kind: str, **fields: object) -> bytes:
    return request(json.dumps(fields).encode(), line=f"POST /v1/worker/{kind} HTTP/1.1".encode())


def begun(rig: EngineRig, kind: str, **fields: object) -> socket.socket:
    line = rig.folder.connect(10.0)
    line.sendall(asked(kind, **fields))
    return line


def taken(line: socket.socket) -> dict[str, Any]:
    with http.client.HTTPResponse(line, method="POST") as response:
        response.begin()
        body = response.read()
    assert response.status == 200, f"HTTP/1.1 {response.status} {body!r}"
    return dict(json.loads(body))


def exchanged(rig: EngineRig, kind: str, **fields: object) -> dict[str, Any]:
    with begun(rig, kind, **fields) as line:
        return taken(line)
