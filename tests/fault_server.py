"""An LLM server that answers each document from a row of a table, byte for byte, by Ollama's API or OpenAI's, over real sockets.

async with FaultServer("openai") as server: ... server.say = content("- connection pool") ... server.calls
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

Api = Literal["ollama", "openai"]
MODEL = "llama3.2:3b"
ASK = {"ollama": "/api/chat", "openai": "/chat/completions"}


@dataclass(frozen=True)
class Response:
    """What goes over the wire. `drip_s`: silence before it; None as a status: the connection is cut instead; `raw`: these
    bytes alone, then the end of the connection."""

    body: bytes = b""
    status: int | None = 200
    headers: tuple[str, ...] = ()
    drip_s: float = 0.0
    raw: bytes | None = None


Say = Callable[[Api, dict[str, Any]], Response]


def reply(api: Api, content: Any, finish: Any = "stop", **message: Any) -> dict[str, Any]:
    """A whole answer as an object. `message`: more fields of the message."""
    output = {"role": "assistant", "content": content, **message}
    if api == "ollama":
        return {
            "model": MODEL,
            "message": output,
            "done": True,
            "done_reason": finish,
            "prompt_eval_count": 300,
            "eval_count": 60,
        }
    return {
        "choices": [{"index": 0, "message": output, "finish_reason": finish}],
        "usage": {"prompt_tokens": 300, "completion_tokens": 60},
    }


def content(text: Any, finish: Any = "stop", **message: Any) -> Say:
    return lambda api, asked: Response(json.dumps(reply(api, text, finish, **message)).encode())


def body(value: Any, status: int = 200, *headers: str) -> Say:
    """The same for both APIs: bytes, or an object."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return lambda api, asked: Response(raw, status, headers)


def refusal(status: int, sentence: str, **more: Any) -> Say:
    """An error in the API's own shape."""

    def say(api: Api, asked: dict[str, Any]) -> Response:
        error: Any = sentence if api == "ollama" else {"message": sentence, **more}
        return Response(json.dumps({"error": error}).encode(), status)

    return say


def raw(change: Callable[[bytes], bytes], text: Any = None, head: str = "HTTP/1.1 200 OK") -> Say:
    """The whole answer, byte for byte: `change` of the JSON body; `head` is sent before it, if it has a status line."""

    def say(api: Api, asked: dict[str, Any]) -> Response:
        lines = f"{head}\r\n\r\n".encode() if head else b""
        return Response(raw=lines + change(json.dumps(reply(api, text)).encode()))

    return say


def chunked(content: bytes, size: int = 37) -> bytes:
    """In HTTP's chunks, with an extension and a trailer."""
    parts = [content[at : at + size] for at in range(0, len(content), size)]
    return b"".join(b"%x;x=1\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\nx-end: 1\r\n\r\n"


@dataclass
class FaultServer:
    api: Api = "openai"
    say: Say = field(default_factory=lambda: content('{"descriptive": [], "technical": []}'))
    paths: dict[str, Response] = field(default_factory=dict)  # of questions about the server itself
    model: str = MODEL
    calls: list[dict[str, Any]] = field(default_factory=list)  # the bodies of calls that carried a document
    heads: list[str] = field(default_factory=list)
    asides: list[str] = field(default_factory=list)
    port: int = 0
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> FaultServer:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = re.search(r"content-length: (\d+)", head, re.IGNORECASE)
                asked = await reader.readexactly(int(length[1]) if length else 0)
                response = self._answer(head, json.loads(asked or b"{}"))
                await asyncio.sleep(response.drip_s)
                if response.status is None:
                    break
                if response.raw is not None:
                    writer.write(response.raw)
                    await writer.drain()
                    break
                lines = [f"HTTP/1.1 {response.status} X", f"content-length: {len(response.body)}", *response.headers]
                writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + response.body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    def _answer(self, head: str, asked: dict[str, Any]) -> Response:
        path = head.split()[1].partition("?")[0]
        if path.endswith(ASK[self.api]) and asked.get("messages"):
            self.calls.append(asked)
            self.heads.append(head)
            return self.say(self.api, asked)
        self.asides.append(head.split()[1])
        known = {
            "/api/version": {"version": "0.33.0"},
            "/api/show": {},
            "/api/ps": {"models": []},
            "/api/tags": {"models": [{"name": MODEL}]},
        }
        if path in self.paths:
            return self.paths[path]
        if self.api == "ollama" and path in known:
            return Response(json.dumps(known[path]).encode())
        if self.api == "ollama" and path == "/api/chat":  # an order to load
            return Response(json.dumps({"done": True, "done_reason": "load"}).encode())
        if path.endswith("/v1/models"):
            return Response(json.dumps({"data": [{"id": MODEL}]}).encode())
        return Response(b'{"error": "not found"}', 404)
