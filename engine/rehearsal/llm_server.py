"""A simulated LLM service: a real HTTP server on loopback that speaks Ollama's API and OpenAI's, in a process of its own.

It answers with real keywords of the document in the prompt, at a realistic latency in real time, on a bounded number of slots; beyond the
queue it answers 503 as Ollama does. Faults (`faults`) are switched while it runs, on a second port: a service that is down cannot
be told to come back.

    python -m engine.rehearsal.llm_server --port 0 --seed 7      prints {"port": ..., "control": ..., "pid": ...}
    curl -s localhost:CONTROL/faults -d '{"error_rate": 0.2}'    GET tells them; GET /counters tells what was served

It ends on SIGTERM, when its standard input (a pipe) closes, and when its parent dies.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import stat
import sys
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from engine.rehearsal import model
from engine.rehearsal.capacity import Full, Service
from engine.rehearsal.faults import Faults, changed
from engine.rehearsal.listener import Listener
from engine.rehearsal.wire import CHAT, GENERATE, OPENAI, Asked, Form, Usage, error, parse

VERSION = "0.33.0"
DIGEST = "a80c4f17acd55265feec403c7aef86be0c25983ab279d83f3bcd3abbcb5b8b72"
SIZE = 2_019_393_189
TRAINED_CONTEXT = 131_072
BUSY = "server busy, please try again.  maximum pending requests exceeded"
CRASHED = "llama runner process has terminated: exit status 2"
PROMPT_PART = 0.25  # of the time is spent on reading the prompt
PIECES = 16  # of a streamed answer; a real server sends one per token
DRIP_S = 0.1  # between two bytes
PARENT_POLL_S = 0.5

T = TypeVar("T")


class Gone(Exception):
    """The client left."""


class Answering:
    """One of the paths that ask the model, as an ASGI application: a client that leaves ends the work for it."""

    def __init__(self, service: Service, form: Form) -> None:
        self._service = service
        self._form = form

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            asked = parse(await request.body(), self._form)
        except ValueError as wrong:
            await _send(send, 400, error(self._form, str(wrong), 400))
            return
        try:
            await _unless_gone(receive, self._answer(asked, send))
        except Gone:
            self._service.counters.gone += 1

    async def _answer(self, asked: Asked, send: Send) -> None:
        service, form = self._service, self._form
        if not service.knows(asked.model):
            await self._refuse(send, 404, f"model '{asked.model[:100]}' not found")
            return
        if not asked.prompt:
            took = await service.load(asked.context, asked.keep_s)
            reason = "load" if asked.keep_s > 0 else "unload"
            await _send(send, 200, form.whole("", Usage(asked.model, reason=reason, load_s=took)))
            return
        service.counters.calls += 1
        faults = service.faults
        reading = service.read(asked.prompt)
        if service.feels_busy():
            await self._turn_away(send)
            return
        tokens = model.tokens(asked.texts)
        room = min(asked.context, TRAINED_CONTEXT)
        if tokens > room:
            if not asked.truncate:
                await self._refuse(send, 400, "input length exceeds the context length")
                return
            tokens = room // 2  # what the real one does: drops the head, without a word
        try:
            async with service.slot():
                await self._work(asked, reading, tokens, faults, send)
        except Full:
            await self._turn_away(send)

    async def _work(self, asked: Asked, reading: model.Reading, tokens: int, faults: Faults, send: Send) -> None:
        """What happens in a slot."""
        service = self._service
        if reading.meets("hang", faults.hang):
            await asyncio.Event().wait()
        load_s = await service.load(asked.context, asked.keep_s)
        seconds = service.seconds(tokens, faults.slow)
        if reading.meets("error_rate", faults.error_rate):
            await asyncio.sleep(seconds * PROMPT_PART)
            await self._refuse(send, 500, CRASHED)
            return
        text = self._text(asked, reading, faults)
        usage = Usage(
            asked.model, tokens, max(1, len(text) // 4), load_s, seconds * PROMPT_PART, seconds * (1 - PROMPT_PART)
        )
        if usage.answer_tokens > asked.most_tokens:
            text = text[: asked.most_tokens * 4]
            usage = msgspec.structs.replace(usage, answer_tokens=asked.most_tokens, reason="length")
        await asyncio.sleep(usage.prompt_s)
        if asked.stream:
            await self._stream(send, text, usage)
        else:
            await asyncio.sleep(usage.answer_s)
            await _send(send, 200, self._form.whole(text, usage), drip=reading.meets("drip", faults.drip))
        service.counters.served += 1

    @staticmethod
    def _text(asked: Asked, reading: model.Reading, faults: Faults) -> str:
        if reading.meets("empty_rate", faults.empty_rate):
            return ""
        text = model.answer(reading, asked.schema, faults.hallucinate)
        # cut within the first keyword: a client that saves what is whole finds nothing
        return text[: text.find("[") + 4] if reading.meets("invalid_rate", faults.invalid_rate) else text

    async def _stream(self, send: Send, text: str, usage: Usage) -> None:
        form = self._form
        await send(_start(200, form.stream_type))
        step = max(1, -(-len(text) // PIECES))
        pieces = [text[i : i + step] for i in range(0, len(text), step)]
        for piece in pieces:
            await asyncio.sleep(usage.answer_s / len(pieces))
            await send({"type": "http.response.body", "body": form.part(piece, usage), "more_body": True})
        await send({"type": "http.response.body", "body": form.end(usage)})

    async def _turn_away(self, send: Send) -> None:
        self._service.counters.turned_away += 1
        await _send(send, 503, error(self._form, BUSY, 503))

    async def _refuse(self, send: Send, status: int, sentence: str) -> None:
        self._service.counters.failed += 1
        await _send(send, status, error(self._form, sentence, status))


async def _unless_gone(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`; Gone, with `work` cancelled, when the client leaves first."""
    task = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(receive())  # after the body, the only message to come is the disconnect
    try:
        await asyncio.wait((task, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise Gone
        return task.result()
    finally:
        task.cancel()
        leaving.cancel()


def _start(status: int, kind: str, length: int | None = None) -> dict[str, Any]:
    headers = [(b"content-type", kind.encode())]
    if length is not None:
        headers.append((b"content-length", b"%d" % length))
    return {"type": "http.response.start", "status": status, "headers": headers}


async def _send(send: Send, status: int, body: bytes, drip: bool = False) -> None:
    await send(_start(status, "application/json; charset=utf-8", len(body)))
    if drip:
        for i in range(len(body) - 1):
            await send({"type": "http.response.body", "body": body[i : i + 1], "more_body": True})
            await asyncio.sleep(DRIP_S)
        body = body[-1:]
    await send({"type": "http.response.body", "body": body})


def application(service: Service) -> Starlette:
    """The service's API."""
    details = {
        "format": "gguf",
        "family": "llama",
        "families": ["llama"],
        "parameter_size": "3.2B",
        "quantization_level": "Q4_K_M",
    }
    entry = {"name": service.name, "model": service.name, "size": SIZE, "digest": DIGEST, "details": details}

    async def root(_: Request) -> Response:
        return PlainTextResponse("Ollama is running")

    async def version(_: Request) -> Response:
        return _json({"version": VERSION})

    async def tags(_: Request) -> Response:
        return _json({"models": [] if service.faults.not_found else [entry]})

    async def ps(_: Request) -> Response:
        running = {**entry, "context_length": service.loaded, "size_vram": SIZE}
        return _json({"models": [running] if service.loaded and not service.faults.not_found else []})

    async def show(request: Request) -> Response:
        asked = parse(await request.body(), GENERATE).model
        if not service.knows(asked):
            return _json({"error": f"model '{asked[:100]}' not found"}, 404)
        info = {"general.architecture": "llama", "llama.context_length": TRAINED_CONTEXT}
        return _json({"capabilities": ["completion", "tools"], "model_info": info, "details": details})

    async def models(_: Request) -> Response:
        known = [] if service.faults.not_found else [{"id": service.name, "object": "model", "owned_by": "library"}]
        return _json({"object": "list", "data": known})

    async def wrong(_: Request, why: Exception) -> Response:
        return _json({"error": str(why)}, 400)

    return Starlette(
        routes=[
            Route("/api/chat", Answering(service, CHAT), methods=["POST"]),
            Route("/api/generate", Answering(service, GENERATE), methods=["POST"]),
            Route("/v1/chat/completions", Answering(service, OPENAI), methods=["POST"]),
            Route("/v1/models", models),
            Route("/api/version", version),
            Route("/api/tags", tags),
            Route("/api/show", show, methods=["POST"]),
            Route("/api/ps", ps),
            Route("/", root),
        ],
        exception_handlers={ValueError: wrong},
    )


def control(service: Service, listener: Listener) -> Starlette:
    """GET and POST /faults, GET /counters: on a port of their own."""

    async def faults(request: Request) -> Response:
        if request.method == "POST":
            try:
                service.faults = changed(service.faults, msgspec.json.decode(await request.body()))
            except (ValueError, msgspec.MsgspecError) as wrong:
                return _json({"error": str(wrong)}, 400)
            if service.faults.down:
                listener.shut()
            else:
                await listener.open()
        return _json(service.faults)

    async def counters(_: Request) -> Response:
        facts = msgspec.to_builtins(service.counters)
        return _json({**facts, "cpu_ms": round(time.process_time() * 1000, 1)})

    return Starlette(routes=[Route("/faults", faults, methods=["GET", "POST"]), Route("/counters", counters)])


def _json(body: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, media_type="application/json")


async def run(service: Service, port: int, control_port: int) -> None:
    """Serve until told to end."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, ended.set)
    listener = Listener(application(service), port)
    switch = Listener(control(service, listener), control_port)
    await listener.open()
    await switch.open()
    watching = asyncio.create_task(_watch(ended, os.getppid()))
    print(msgspec.json.encode({"port": listener.port, "control": switch.port, "pid": os.getpid()}).decode(), flush=True)
    await ended.wait()
    watching.cancel()
    listener.shut()
    switch.shut()


async def _watch(ended: asyncio.Event, parent: int) -> None:
    """End with the parent: its end of the pipe on standard input closes, or, without a pipe, another process inherits this one."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(OSError):
        kind = os.fstat(0).st_mode
        if stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind):
            loop.add_reader(0, lambda: None if os.read(0, 4096) else ended.set())
    while os.getppid() == parent:  # noqa: ASYNC110, no event tells of it
        await asyncio.sleep(PARENT_POLL_S)
    ended.set()


def main() -> int:
    parser = argparse.ArgumentParser(prog="llm_server", description="A simulated LLM service on loopback.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--control-port", type=int, default=0)
    parser.add_argument("--seed", type=int, default=7, help="what fails and what is invented: the same on all servers")
    parser.add_argument("--number", type=int, default=1, help="of this server; makes its latencies its own")
    parser.add_argument("--slots", type=int, default=32)
    parser.add_argument("--queue", type=int, default=64)
    parser.add_argument("--latency-ms", type=float, default=900.0)
    parser.add_argument("--load-ms", type=float, default=1500.0)
    parser.add_argument("--model", default="llama3.2:3b")
    given = parser.parse_args()
    try:
        service = Service(
            given.seed, given.number, given.slots, given.queue, given.latency_ms, given.load_ms, given.model
        )
        asyncio.run(run(service, given.port, given.control_port))
    except OSError as problem:
        why = f"127.0.0.1:{given.port} cannot be listened on: {problem.strerror}"
        print(msgspec.json.encode({"error": why}).decode(), flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
