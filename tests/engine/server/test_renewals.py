"""Renewals answered before the HTTP parser: the same as the route's answer, and never more than the route would admit."""

from __future__ import annotations

import pytest

from engine.server.guard import Guard
from engine.server.renewals import Renewals

BODY = b'{"worker":"one"}'
GRANT = b'{"version":[1,1]}'


def request(body: bytes = BODY, more: bytes = b"", line: bytes = b"POST /v1/worker/lease HTTP/1.1") -> bytes:
    return b"%b\r\nHost: localhost\r\nContent-Type: application/json\r\n%bContent-Length: %d\r\n\r\n%b" % (
        line,
        more,
        len(body),
        body,
    )


def renewals(guard: Guard | None = None, granted: bytes | None = GRANT) -> tuple[Renewals, list[bytes]]:
    asked: list[bytes] = []

    def renewed(body: bytes) -> bytes | None:
        asked.append(body)
        return granted

    return Renewals(renewed, guard), asked


def test_a_renewal_is_answered_under_its_name() -> None:
    way, asked = renewals()
    whole = request(more=b"X-Request-Id: mine-1\r\n")
    assert way.length(whole) == len(whole)
    answer = way.answer(whole)
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
        request(line=b"POST /v1/worker/watch HTTP/1.1"),
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
    assert way.answer(request(more=field)) is None
    assert not asked


def test_on_tcp_only_the_token_admits_a_worker_and_no_web_page() -> None:
    way, asked = renewals(Guard("127.0.0.1", "secret"))
    assert way.answer(request()) is None
    assert way.answer(request(more=b"Authorization: Bearer wrong\r\n")) is None
    assert way.answer(request(more=b"Authorization: Bearer secret\r\nOrigin: http://other\r\n")) is None
    assert not asked
    assert way.answer(request(more=b"Authorization: Bearer secret\r\n")) is not None
    assert renewals(Guard("127.0.0.1"))[0].answer(request()) is None


def test_what_is_not_granted_at_once_is_left_to_the_route() -> None:
    assert renewals(granted=None)[0].answer(request()) is None
