"""How an answer leaves a connection."""

from __future__ import annotations

import asyncio
import socket
from functools import partial
from typing import Any

import h11
import pytest
import uvicorn

from engine.server.connections import Connection, ConnectionBudget, _Parser
from engine.server.turns import Turns


def asked() -> _Parser:
    parser = _Parser(h11.SERVER)
    parser.receive_data(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n")
    assert type(parser.next_event()) is h11.Request
    return parser


def test_a_whole_answer_is_one_write() -> None:
    parser = asked()
    written = [
        parser.send(h11.Response(status_code=200, headers=[("content-length", "2")])),
        parser.send(h11.Data(data=b"ok")),
        parser.send(h11.EndOfMessage()),
    ]
    assert written == [b"", b"HTTP/1.1 200 \r\ncontent-length: 2\r\n\r\nok", b""]


def test_an_answer_without_a_body_is_written_at_its_end() -> None:
    parser = asked()
    assert parser.send(h11.Response(status_code=204, headers=[("content-length", "0")])) == b""
    assert parser.send(h11.EndOfMessage()) == b"HTTP/1.1 204 \r\ncontent-length: 0\r\n\r\n"


def test_the_head_of_a_stream_goes_out_at_once() -> None:
    output = asked().send(h11.Response(status_code=200, headers=[]))
    assert output is not None
    assert output.startswith(b"HTTP/1.1 200")


@pytest.mark.anyio
async def test_a_request_that_came_with_its_connection_waits_for_no_turn_of_the_loop() -> None:
    """As a rollback does: the loop's turn may be a document of each client."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    config = uvicorn.Config(app, http="h11", log_config=None, lifespan="off")
    config.load()
    near, far = socket.socketpair()
    far.sendall(b"POST /v1/control/rollback HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n")

    def made() -> Connection:
        return Connection(
            config=config, server_state=uvicorn.server.ServerState(), app_state={}, budget=ConnectionBudget(4, 1000)
        )

    _, connection = await asyncio.get_running_loop().connect_accepted_socket(made, near)
    with far:
        assert connection.phase != "request", "it has been read"
        connection.transport.close()


@pytest.mark.anyio
async def test_requests_are_begun_one_a_turn_of_the_loop_in_the_order_in_which_they_came() -> None:
    turns, begun = Turns(), list[int]()
    assert [turns.take(partial(begun.append, number)) for number in range(3)] == [True, False, False]
    seen = []
    for _ in range(4):
        seen.append(tuple(begun))
        await asyncio.sleep(0)
    assert seen == [(0,), (0, 1), (0, 1, 2), (0, 1, 2)]
    assert turns.take(partial(begun.append, 3))


@pytest.mark.anyio
async def test_a_client_that_left_while_it_waited_for_its_turn_has_nothing_begun() -> None:
    asked: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        asked.append(scope["path"])

    config = uvicorn.Config(app, http="h11", log_config=None, lifespan="off")
    config.load()
    near, far = socket.socketpair()
    turns = Turns()
    more = {"config": config, "server_state": uvicorn.server.ServerState(), "app_state": {}}
    made = partial(Connection, budget=ConnectionBudget(4, 1000), turns=turns, **more)
    with far:
        turns.take(lambda: None)
        _, connection = await asyncio.get_running_loop().connect_accepted_socket(made, near)
        turns.take(lambda: None)
        connection.data_received(b"GET /gone HTTP/1.1\r\nhost: a\r\n\r\n")
        connection.transport.abort()
        for _ in range(10):
            await asyncio.sleep(0)
    assert asked == []
