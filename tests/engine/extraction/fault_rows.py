"""What rows of a model's answers share: the document, the ways to send keywords, and a document's way through an engine."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from tests.engine.extraction.gateway_rows import ALL, GOOD, Holds, Lacks
from tests.engine.routing.running_engine import Place
from tests.fault_server import Api, FaultServer, Response, Say, content, reply

APIS: tuple[Api, ...] = ("ollama", "openai")

DOCUMENT = """# Connection pooling in the gateway

The gateway keeps a connection pool per upstream server. Idle connections are closed after `keepalive_timeout` seconds, and at most
`max_connections` are open at a time; both are read from gateway.yaml. Requests that fail are retried with exponential backoff and jitter.
A circuit breaker stops traffic to an upstream that keeps failing. Latency and error rate are exported to Prometheus over HTTP/2 by tokio.
"""
WANTED = {keyword.casefold() for keyword in ALL}


def stream(api: Api, text: str, events: bool) -> bytes:
    half = len(text) // 2
    parts: list[Any] = []
    for piece in (text[:half], text[half:]):
        if api == "ollama":
            parts.append({"message": {"content": piece}, "done": False})
        else:
            parts.append({"choices": [{"delta": {"content": piece}, "finish_reason": None}]})
    parts.append(
        {"message": {"content": ""}, "done": True, "done_reason": "stop"}
        if api == "ollama"
        else {"choices": [{"delta": {}, "finish_reason": "stop"}]}
    )
    lead, end = ("data: ", "\n\n") if events else ("", "\n")
    return (
        "".join(f"{lead}{json.dumps(part)}{end}" for part in parts) + ("data: [DONE]\n\n" if events else "")
    ).encode()


def tool(api: Api, asked: dict[str, Any]) -> Response:
    arguments: Any = json.loads(GOOD) if api == "ollama" else GOOD
    calls = [{"type": "function", "function": {"name": "keywords", "arguments": arguments}}]
    return Response(json.dumps(reply(api, None, "tool_calls", tool_calls=calls)).encode())


def with_thought(where: str, text: str = GOOD) -> Say:
    return lambda api, asked: content("", **{"thinking" if api == "ollama" else where: text})(api, asked)


def bytes_of(change: Callable[[bytes], bytes], text: str = GOOD) -> Say:
    return lambda api, asked: Response(change(json.dumps(reply(api, text)).encode()))


def text_choice(api: Api, asked: dict[str, Any]) -> Response:
    whole = (
        {"response": GOOD, "done": True} if api == "ollama" else {"choices": [{"text": GOOD, "finish_reason": "stop"}]}
    )
    return Response(json.dumps(whole).encode())


async def played(place: Place, server: FaultServer, rows: Sequence[Holds | Lacks]) -> list[dict[str, Any]]:
    """What became of a document per row, each with a call of its own."""
    results: list[dict[str, Any]] = []
    for number, row in enumerate(rows):
        server.say = row.say
        server.calls.clear()
        for held in place.engine.pool._servers:
            held.breaker.succeeded()  # a quota takes a server out
        answer = await place.extract(f"row-{number}", DOCUMENT + f"\nNumber {number}.\n")
        results.append({"row": row, "answer": answer, "calls": len(server.calls)})
    await place.written()
    for number, one in enumerate(results):
        error, message = place.records("error, message", f"document_id = 'row-{number}'")[-1]
        one |= {"error": error, "message": message or "", "llm": place.stored(f"row-{number}").llm or ()}
    return results
