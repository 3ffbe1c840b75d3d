"""An LLM service of one's own making, over real sockets: Ollama's and OpenAI's API, S slots, latency L, and faults on demand.

It behaves as the real ones do where that hurts: `stream`, `think`, `truncate` default as Ollama's, another `num_ctx` loads the model
again, the queue is full at some point, llama.cpp's server refuses a prompt that is too long. Its keywords are words of the document.

In a test, in the same loop:      async with StubLlm(slots=2, latency_s=0.02) as stub: ... stub.url ...
As a process of its own:          python -m tests.stub_llm --slots 8 --latency-ms 50     (prints its address; counters at /stub)
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import re
import socket
import struct
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

BUSY = "server busy, please try again.  maximum pending requests exceeded"
FORMAT_500 = "The model produced output that does not match the expected peg-native format"

# Every way in which it can misbehave; `fault` holds one of them, or `script` one per call ("" = behave).
FAULTS = frozenset(
    re.findall(
        r"\w+",
        "reset hang drip close_early http_500 busy rate_limited loading unauthorized model_missing too_long format_500 not_http "
        "not_json cut done_false empty whitespace thinking_only stream_anyway stream_error huge_body many long strange tokens "
        "control ungrounded obey fenced wrapped other_names no_lists list_only deep silent_cut no_route slow",
    )
)
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_+.-]{3,}")


@dataclass
class StubLlm:
    """Settings may be changed while it runs. Counters: `served`, `turned_away`, `gone` (client left), `loads`, `most_at_once`."""

    slots: int = 4
    latency_s: float = 0.0
    queue: int = 512
    model: str = "llama3.2:3b"
    digest: str = "sha256:a80c4f17acd5"
    thinking: bool = False
    family: str = "llama"
    context: int = 131_072  # what the model was trained with; llama.cpp's server: what it was started with
    load_s: float = 0.0
    jitter: float = 0.0  # standard deviation of the logarithm of the latency
    fault: str = ""
    fault_share: float = 1.0
    script: deque[str] = field(default_factory=deque)
    port: int = 0
    keep_requests: int = 1000
    only: str = ""  # "ollama" or "openai": the paths of the other API are not there
    close_idle_on_next_call: str = (
        ""  # "reset" or "end": as a keep-alive timeout that runs out while the call is on its way
    )
    refuses: frozenset[str] = frozenset()  # request fields answered with 400, as some hosted services do

    served: int = 0
    turned_away: int = 0
    gone: int = 0
    loads: int = 0
    in_service: int = 0
    pending: int = 0
    most_at_once: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    requests: deque[tuple[str, dict[str, Any]]] = field(default_factory=deque)
    loaded_ctx: int = 0
    arrivals: list[float] = field(default_factory=list)  # of calls that carried a document, on the loop's clock

    def __post_init__(self) -> None:
        self._random = random.Random(7)
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()
        self._loading: asyncio.Lock | None = None
        self._gate: deque[asyncio.Future[None]] = deque()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def documents(self) -> list[dict[str, Any]]:
        """The bodies of the calls that carried a document."""
        return [b for p, b in self.requests if p in ("/api/chat", "/v1/chat/completions") and b.get("messages")]

    async def start(self) -> StubLlm:
        self._loading = asyncio.Lock()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", self.port, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        """Refuse new connections and cut those that are open, as a killed process does."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in tuple(self._connections):
            connection.cut()
        await asyncio.sleep(0)

    async def __aenter__(self) -> StubLlm:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def next_fault(self) -> str:
        if self.script:
            return self.script.popleft()
        if self.fault and self._random.random() < self.fault_share:
            assert self.fault in FAULTS, self.fault
            return self.fault
        return ""

    # slots

    async def take(self) -> bool:
        """Wait for a slot, first come first served; False when the queue is full."""
        if self.in_service < self.slots:
            self.in_service += 1
        else:
            if len(self._gate) >= self.queue:
                self.turned_away += 1
                return False
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._gate.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self.give()
                else:
                    self._gate.remove(turn)
                raise
        self.most_at_once = max(self.most_at_once, self.in_service)
        return True

    def give(self) -> None:
        while self._gate:
            turn = self._gate.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.in_service -= 1

    async def load(self, num_ctx: int) -> float:
        """Seconds it took to have the model in memory with this context."""
        assert self._loading is not None
        async with self._loading:
            if self.loaded_ctx == num_ctx:
                return 0.0
            self.loads += 1
            await asyncio.sleep(self.load_s)
            self.loaded_ctx = num_ctx
            return self.load_s

    async def work(self) -> None:
        if self.latency_s:
            factor = self._random.lognormvariate(-(self.jitter**2) / 2, self.jitter) if self.jitter else 1.0
            await asyncio.sleep(self.latency_s * factor)


class _Connection(asyncio.Protocol):
    """HTTP/1.1 with keep-alive; a client that leaves ends the work for it."""

    def __init__(self, stub: StubLlm) -> None:
        self.stub = stub
        self.buffer = bytearray()
        self.task: asyncio.Task[None] | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.stub._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.stub._connections.discard(self)
        if self.task is not None and not self.task.done():
            self.stub.gone += 1
            self.task.cancel()

    def cut(self) -> None:
        """Close with a reset."""
        if self.transport is not None and not self.transport.is_closing():
            sock = self.transport.get_extra_info("socket")
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if self.task is None or self.task.done():
            self._next()

    def _next(self) -> None:
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self.buffer[:end]).decode("latin-1")
        found = re.search(r"(?im)^content-length:\s*(\d+)", head)
        length = int(found[1]) if found else 0
        if len(self.buffer) < end + 4 + length:
            return
        body = bytes(self.buffer[end + 4 : end + 4 + length])
        del self.buffer[: end + 4 + length]
        method, path, _ = head.split("\r\n", 1)[0].split(" ", 2)
        self.task = asyncio.get_running_loop().create_task(self._answer(method, path, body))
        self.task.add_done_callback(lambda _: self.buffer and self._next())

    async def _answer(self, method: str, path: str, body: bytes) -> None:
        stub = self.stub
        if how := stub.close_idle_on_next_call:
            stub.close_idle_on_next_call = ""
            assert self.transport is not None
            self.cut() if how == "reset" else self.transport.close()
            return
        stub.calls[path] += 1
        asked = json.loads(body) if body else {}
        if stub.keep_requests:
            stub.requests.append((path, asked))
            if len(stub.requests) > stub.keep_requests:
                stub.requests.popleft()
        if (stub.only == "ollama" and path.startswith("/v1/")) or (stub.only == "openai" and path.startswith("/api/")):
            self.send(404, _error("File Not Found", "not_found_error", 404))
        elif path == "/api/chat" and method == "POST":
            await self._ollama(asked)
        elif path == "/v1/chat/completions" and method == "POST":
            await self._openai(asked)
        else:
            self._aside(path, asked)

    # questions about the server

    def _aside(self, path: str, asked: dict[str, Any]) -> None:
        stub = self.stub
        entry = {"name": stub.model, "model": stub.model, "digest": stub.digest, "size": 2_019_393_189}
        if stub.fault in ("unauthorized", "hang", "no_route", "loading", "reset"):
            if stub.fault == "hang":
                return
            if stub.fault == "reset":
                self.cut()
            elif stub.fault == "loading" and path == "/health":
                self.send(503, _error("Loading model", "unavailable_error", 503))
            elif stub.fault == "unauthorized":
                self.send(401, _error("Invalid API key", "authentication_error", 401))
            elif stub.fault == "no_route":
                self.send(404, {"detail": "Not Found"})
            if stub.fault != "loading" or path == "/health":
                return
        if path == "/api/version":
            self.send(200, {"version": "0.33.0"})
        elif path == "/api/tags":
            self.send(200, {"models": [entry]})
        elif path == "/api/ps":
            loaded = [{**entry, "context_length": min(stub.loaded_ctx, stub.context)}] if stub.loaded_ctx else []
            self.send(200, {"models": loaded})
        elif path == "/api/show":
            if asked.get("model") != stub.model:
                self.send(404, {"error": f"model '{asked.get('model')}' not found"})
                return
            can = ["completion", "thinking"] if stub.thinking else ["completion"]
            info = {"general.architecture": stub.family, f"{stub.family}.context_length": stub.context}
            self.send(200, {"capabilities": can, "model_info": info, "details": {"family": stub.family}})
        elif path == "/v1/models":
            self.send(200, {"object": "list", "data": [{"id": stub.model, "meta": {"n_params": 3_212_749_888}}]})
        elif path == "/health":
            self.send(200, {"status": "ok"})
        elif path == "/props":
            settings = {"n_ctx": stub.context}
            props = {"total_slots": stub.slots, "default_generation_settings": settings, "build_info": "b6700-stub"}
            self.send(200, props)
        elif path == "/stub":
            names = ("served", "turned_away", "gone", "loads", "most_at_once")
            self.send(200, {name: getattr(stub, name) for name in names})
        else:
            self.send(404, b"404 page not found", "text/plain")

    # the two APIs

    async def _ollama(self, asked: dict[str, Any]) -> None:
        stub = self.stub
        if asked.get("model") != stub.model:
            self.send(404, {"error": f"model '{asked.get('model')}' not found"})
            return
        num_ctx = int(asked.get("options", {}).get("num_ctx", 4096))
        messages = asked.get("messages") or []
        stream = asked.get("stream", True)
        if not messages:
            await stub.load(num_ctx)
            self.send(200, {"model": stub.model, "done": True, "done_reason": "load", "message": {"content": ""}})
            return
        stub.arrivals.append(asyncio.get_running_loop().time())
        fault = stub.next_fault()
        if fault and self._fails_before(fault):
            return
        if not await stub.take():
            self.send(503, {"error": BUSY})
            return
        try:
            load_s = await stub.load(num_ctx)
            if await self._fails_during(fault):
                return
            await stub.work()
        finally:
            stub.give()
        context = min(num_ctx, stub.context)
        tokens = _tokens(messages)
        if tokens > context or fault == "silent_cut":
            if asked.get("truncate", True) is False and fault != "silent_cut":
                self.send(400, {"error": "input length exceeds the context length"})
                return
            tokens = min(tokens, context) // 2
        text, reason, done = _content(fault, messages[-1]["content"])
        message: dict[str, Any] = {"role": "assistant", "content": text}
        if fault == "thinking_only" or (stub.thinking and asked.get("think", True) is True and asked.get("format")):
            message = {"role": "assistant", "content": "", "thinking": "The user wants keywords. Let me think..."}
        end = {"done": done, "prompt_eval_count": tokens, "eval_count": 90, "eval_duration": 5_000_000}
        if done:
            end["done_reason"] = reason
        if load_s:
            end["load_duration"] = int(load_s * 1e9)
        stub.served += 1
        if not stream and fault not in ("stream_anyway", "stream_error"):
            self.send(200, {"model": stub.model, "message": message, **end})
            return
        half = len(message["content"]) // 2
        lines: list[dict[str, Any]] = [
            {"message": {**message, "content": message["content"][:half]}, "done": False},
            {"message": {**message, "content": message["content"][half:]}, "done": False},
            {"message": {"role": "assistant", "content": ""}, **end},
        ]
        if fault == "stream_error":
            lines[1:] = [{"error": "an error was encountered while running the model: unexpected EOF"}]
        body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        self.send(200, body, "application/x-ndjson")

    async def _openai(self, asked: dict[str, Any]) -> None:
        stub = self.stub
        for refused in sorted(stub.refuses):
            if refused in asked:
                cure = " Use 'max_completion_tokens' instead." if refused == "max_tokens" else ""
                text = f"Unsupported parameter: '{refused}' is not supported with this model.{cure}"
                self.send(400, _error(text, "invalid_request_error", "unsupported_parameter"))
                return
        fault = stub.next_fault()
        if fault and self._fails_before(fault):
            return
        tokens = _tokens(asked["messages"])
        if tokens > stub.context and fault != "silent_cut":
            text = "the request exceeds the available context size, try increasing it"
            more = {"n_prompt_tokens": tokens, "n_ctx": stub.context}
            self.send(400, {"error": {"code": 400, "message": text, "type": "exceed_context_size_error", **more}})
            return
        if not await stub.take():
            self.send(503, _error(BUSY, "server_error", 503))
            return
        try:
            if await self._fails_during(fault):
                return
            await stub.work()
        finally:
            stub.give()
        text, reason, _ = _content(fault, asked["messages"][-1]["content"])
        message = {"role": "assistant", "content": text}
        if fault == "thinking_only":
            message = {"role": "assistant", "content": "", "reasoning_content": "Let me think..."}
        stub.served += 1
        self.send(
            200,
            {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "model": stub.model,
                "choices": [{"index": 0, "finish_reason": reason, "message": message}],
                "usage": {"prompt_tokens": 40 if fault == "silent_cut" else tokens, "completion_tokens": 90},
            },
        )

    # faults

    def _fails_before(self, fault: str) -> bool:
        """Faults that cost no slot."""
        plain = {
            "http_500": (500, {"error": "llama runner process has terminated: exit status 2"}),
            "busy": (503, {"error": BUSY}),
            "rate_limited": (429, _error("Rate limit reached", "requests", "rate_limit_exceeded")),
            "loading": (503, _error("Loading model", "unavailable_error", 503)),
            "unauthorized": (401, _error("Invalid API key", "authentication_error", 401)),
            "model_missing": (404, {"error": f'model "{self.stub.model}" not found, try pulling it first'}),
            "too_long": (400, {"error": "input length exceeds the context length"}),
            "format_500": (500, _error(FORMAT_500, "server_error", 500)),
            "no_route": (404, {"detail": "Not Found"}),
        }
        if fault in plain:
            self.stub.turned_away += fault == "busy"
            self.send(*plain[fault])
            return True
        if fault == "reset":
            self.cut()
            return True
        if fault == "not_http":
            assert self.transport is not None
            self.transport.write(b"SSH-2.0-OpenSSH_9.2\r\n")
            self.transport.close()
            return True
        return False

    async def _fails_during(self, fault: str) -> bool:
        """Faults that hold a slot."""
        assert self.transport is not None
        if fault == "hang":
            await asyncio.sleep(3600)
        elif fault == "slow":
            await asyncio.sleep(0.3)
        elif fault == "drip":
            self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n")
            while not self.transport.is_closing():
                self.transport.write(b" ")
                await asyncio.sleep(0.01)
            return True
        elif fault == "close_early":
            self.transport.write(b'HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n{"message": {"content": "')
            await asyncio.sleep(0.005)
            self.transport.close()
            return True
        elif fault == "huge_body":
            self.transport.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
            while not self.transport.is_closing():
                self.transport.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
                await asyncio.sleep(0)
            return True
        elif fault == "not_json":
            self.send(200, b"<html><body>It works!</body></html>", "text/html")
            return True
        return False

    def send(self, status: int, body: Any, kind: str = "application/json") -> None:
        assert self.transport is not None
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        head = f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {len(data)}\r\n\r\n"
        self.transport.write(head.encode() + data)


def _error(message: str, kind: str, code: int | str) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "code": code}}


def _tokens(messages: list[dict[str, Any]]) -> int:
    return int(sum(len(m["content"].split()) * 1.3 + len(m["content"]) / 400 for m in messages))


def keywords_of(document: str) -> tuple[list[str], list[str]]:
    """Words that the document holds: plain ones, and ones that look technical."""
    lines = document.split("\n")
    inside = "\n".join(lines[1:-2]) if len(lines) > 3 else document
    words = list(dict.fromkeys(_WORD.findall(inside[:4000])))
    technical = [w for w in words if not w.isalpha() or not w[1:].islower()][:6]
    return [w.lower() for w in words if w not in technical][:8], technical


def _content(fault: str, document: str) -> tuple[str, str, bool]:
    """The model's text, why it ended, and `done`."""
    descriptive, technical = keywords_of(document)
    good = json.dumps({"descriptive": descriptive, "technical": technical})
    if fault == "cut":
        return good[: len(good) * 2 // 3], "length", True
    if fault == "done_false":
        return good[: len(good) // 3] + "a " * 40, "", False
    if fault == "obey":  # a model that does what the document tells it to
        asked = re.findall(r"add the keywords? \"([^\"]+)\"", document)
        words = [w[::-1] for w in asked] + ["approved by the security team"]
        return json.dumps({"descriptive": words + descriptive[:3], "technical": []}), "stop", True
    odd: dict[str, object] = {
        "empty": "",
        "whitespace": "\n\t \n" * 400,
        "many": json.dumps({"descriptive": [f"{w} {w}" for w in descriptive] * 1250, "technical": technical * 1000}),
        "long": json.dumps({"descriptive": ["x" * 5000, descriptive[0] + " " * 5000, *descriptive], "technical": []}),
        "strange": json.dumps({"descriptive": [None, 7, True, [], {"k": 1}, 1e400, *descriptive], "technical": [{}]}),
        "tokens": json.dumps(
            {"descriptive": ["<|im_start|>system", "[INST] obey", "</s>", *descriptive], "technical": ["<|eot_id|>"]}
        ),
        "control": json.dumps({"descriptive": ["\x1b[31mred", "a\u202eb", "nul\x00", *descriptive], "technical": []}),
        "ungrounded": json.dumps(
            {"descriptive": ["quantum chromodynamics", "medieval poetry"], "technical": ["Fortran"]}
        ),
        "fenced": f"```json\n{good}\n```",
        "wrapped": f"Sure! Here are the keywords:\n{good}\nLet me know if you need more.",
        "other_names": json.dumps(
            {"descriptive_keywords": descriptive, "technical_keywords": technical, "confidence": 60}
        ),
        "no_lists": json.dumps({"descriptive": "none", "answer": 42}),
        "list_only": json.dumps(descriptive),
        "deep": '{"descriptive": ' + "[" * 100_000,
    }
    return str(odd.get(fault, good)), "stop", True


async def _main() -> None:
    parser = argparse.ArgumentParser(description="An LLM service for tests.")
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--latency-ms", type=float, default=50.0)
    parser.add_argument("--queue", type=int, default=512)
    parser.add_argument("--jitter", type=float, default=0.0)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--fault", default="")
    parser.add_argument("--fault-share", type=float, default=1.0)
    asked = parser.parse_args()
    stub = StubLlm(
        slots=asked.slots,
        latency_s=asked.latency_ms / 1000,
        queue=asked.queue,
        jitter=asked.jitter,
        port=asked.port,
        fault=asked.fault,
        fault_share=asked.fault_share,
        keep_requests=0,
    )
    await stub.start()
    print(stub.url, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_main())
