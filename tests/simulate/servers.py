"""LLM servers as actors behind httpx: they answer, fail, hang and lie on command, and remember every request."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from random import Random

import httpx
from msgspec import Struct

MODEL = "llama3.2:3b"
GENERATING = frozenset({"/api/chat", "/api/generate", "/v1/chat/completions"})
MARK = re.compile(r"reference (d[0-9]+)")


class Request(Struct, frozen=True):
    """A request as the server got it. `document` is "" when it carries none (a preload)."""

    number: int
    path: str
    document: str

    @property
    def generates(self) -> bool:
        return self.path in GENERATING


class Servers:
    """`mood`: healthy | errors | down | hang | slow | empty | invalid. `seen` is called at each request, before its
    answer; `answered` when one that generates was not cut."""

    def __init__(self, random: Random, seen: Callable[[Request], None], answered: Callable[[Request], None]) -> None:
        self._random = random
        self._seen = seen
        self._answered = answered
        self.mood = "healthy"
        self.requests = 0

    async def answer(self, request: httpx.Request) -> httpx.Response:
        body = request.content if hasattr(request, "_content") else await request.aread()
        path = request.url.path
        mark = MARK.search(body.decode("utf-8", "replace")) if path in GENERATING else None
        if self.mood == "down":
            raise httpx.ConnectError("All connection attempts failed")
        self.requests += 1
        noted = Request(self.requests, path, mark[1] if mark else "")
        self._seen(noted)
        await asyncio.sleep(self._random.uniform(0.002, 0.02))
        if path not in GENERATING:
            return _reply(_about(path))
        reply = await self._generate(body)
        self._answered(noted)
        return reply

    async def _generate(self, body: bytes) -> httpx.Response:
        if self.mood == "hang":
            await asyncio.sleep(3600.0)
        await asyncio.sleep(self._random.uniform(0.2, 0.6) * (12.0 if self.mood == "slow" else 1.0))
        if self.mood == "errors" and self._random.random() < 0.8:
            return _reply({"error": "llama runner process has terminated: exit status 2"}, 500)
        asked = json.loads(body)
        if not asked.get("messages"):
            return _reply(_message("", "load"))
        bad = {"empty": "", "invalid": "{"}
        text = bad[self.mood] if self.mood in bad else _keywords(asked["messages"][-1]["content"])
        return _reply(_message(text, "stop"))


class Transport(httpx.AsyncBaseTransport):
    """In place of the client's connections; made by the LLM client itself, with its clock."""

    servers: Servers

    def __init__(self, now: Callable[[], float]) -> None:
        pass

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self.servers.answer(request)

    def shut(self) -> None:
        """Nothing: the calls are cancelled in the same step, and no other thread writes here."""


class _Body(httpx.AsyncByteStream):
    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body


def _reply(body: object, status: int = 200) -> httpx.Response:
    return httpx.Response(status, headers={"content-type": "application/json"}, stream=_Body(json.dumps(body).encode()))


def _message(text: str, reason: str) -> object:
    message = {"role": "assistant", "content": text}
    counts = {"prompt_eval_count": 200, "eval_count": 60, "load_duration": 1000, "total_duration": 4 * 10**8}
    return {"model": MODEL, "message": message, "done": True, "done_reason": reason, **counts}


def _keywords(prompt: str) -> str:
    """The phrases that the simulated documents are made of, as the model's answer."""
    phrases = re.findall(r"the ([a-z]+ [a-z]+) keeps", prompt)
    return json.dumps({"descriptive": phrases[:6], "technical": phrases[6:12]})


def _about(path: str) -> object:
    entry = {"name": MODEL, "model": MODEL, "size": 1, "digest": "a" * 64, "details": {"family": "llama"}}
    return {
        "/api/version": {"version": "0.33.0"},
        "/api/tags": {"models": [entry]},
        "/api/ps": {"models": [{**entry, "context_length": 8192}]},
        "/api/show": {"capabilities": ["completion"], "model_info": {"llama.context_length": 131_072}, "details": {}},
    }.get(path, {})
