"""The rehearsal's LLM service in a test's own loop, misbehaving on command in every way that real ones do.

    async with StubLlm(slots=2, latency_s=0.02) as stub: ... stub.url ... stub.fault = "drip"

Its keywords are words of the document, its latency is always the same. As a process of its own, for benchmarks:

    python -m tests.stub_llm --slots 8 --latency-ms 50     prints its address; counters at /counters
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
from collections import deque
from contextvars import ContextVar
from typing import Any

import msgspec
from msgspec.structs import replace

from engine.rehearsal.api import BUSY, CRASHED, SimulatedApi
from engine.rehearsal.capacity import DIGEST, Counters, Service, SlotCall
from engine.rehearsal.http_server import Call, HttpServer, send_json
from engine.rehearsal.protocol import CHAT, OPENAI, AnswerFormat, ModelRequest, Usage, error

FORMAT_500 = "The model produced output that does not match the expected peg-native format"

# Answered before a slot is taken: status and sentence.
REFUSALS = {
    "http_500": (500, CRASHED),
    "busy": (503, BUSY),
    "loading": (503, "Loading model"),
    "unauthorized": (401, "Invalid API key"),
    "model_missing": (404, 'model "llama3.2:3b" not found, try pulling it first'),
    "too_long": (400, "input length exceeds the context length"),
    "format_500": (500, FORMAT_500),
    "no_route": (404, "Not Found"),
}
# Every way in which it can misbehave; `fault` holds one of them, or `script` one per call ("" = behave).
FAULTS = frozenset(REFUSALS) | frozenset(
    re.findall(
        r"\w+",
        "reset hang drip close_early not_http not_json cut done_false unfinished at_limit empty whitespace thinking_only stream_anyway stream_error "
        "huge_body many long strange tokens control ungrounded obey fenced wrapped other_names no_lists no_keywords list_only deep silent_cut",
    )
)
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_+.-]{3,}")
_fault: ContextVar[str] = ContextVar("fault", default="")  # of the call that this task answers


class StubLlm(SimulatedApi):
    """Settings may be changed while it runs.

    `refuses`: request fields answered with 400, as some hosted services do. `only`: "ollama" or "openai", the paths of the other API
    are not there. `close_idle_on_next_call`: "reset" or "end", as a keep-alive timeout that runs out while the call is on its way.
    """

    def __init__(
        self, *, slots: int = 4, latency_s: float = 0.0, queue: int = 512, load_s: float = 0.0, digest: str = DIGEST,
        thinking: bool = False, family: str = "llama", context: int = 131_072, fault: str = "", only: str = "",
        refuses: frozenset[str] = frozenset(), keep_requests: int = 1000,
    ) -> None:  # fmt: skip
        super().__init__(
            Service(slots=slots, queue=queue, latency_ms=latency_s * 1000, load_ms=load_s * 1000, spread=0.0)
        )
        self.service.digest, self.service.family, self.service.thinking = digest, family, thinking
        self.service.trained_context = context
        self.model = self.service.name
        self.fault = fault
        self.script: deque[str] = deque()
        self.only = only
        self.refuses = refuses
        self.close_idle_on_next_call = ""
        self.requests: deque[tuple[str, dict[str, Any]]] = deque(maxlen=keep_requests)
        self.arrivals: list[float] = []  # of calls that carried a document, on the loop's clock
        self.door = HttpServer(self)

    @property
    def url(self) -> str:
        return self.door.url

    @property
    def documents(self) -> list[dict[str, Any]]:
        """The bodies of the calls that carried a document."""
        return [
            body
            for path, body in self.requests
            if path in ("/api/chat", "/v1/chat/completions") and body.get("messages")
        ]

    @property
    def counters(self) -> Counters:
        return self.service.counters

    async def start(self) -> StubLlm:
        await self.door.open()
        return self

    async def stop(self) -> None:
        """Refuse new connections and cut those that are open, as a killed process does."""
        self.door.shut()
        await asyncio.sleep(0)

    async def __aenter__(self) -> StubLlm:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        self.door.close()
        await asyncio.sleep(0)

    # what it gets

    async def __call__(self, call: Call) -> None:
        if how := self.close_idle_on_next_call:
            self.close_idle_on_next_call = ""
            call.reset() if how == "reset" else call.close()
            return
        if self.requests.maxlen:
            self.requests.append((call.path, json.loads(call.body) if call.body else {}))
        if self.only and call.path.startswith("/api/" if self.only == "openai" else "/v1/"):
            call.send(404, error(OPENAI, "File Not Found", 404))
            return
        await super().__call__(call)

    async def aside(self, call: Call) -> None:
        match self.fault, call.path:
            case "hang", _:
                await asyncio.Event().wait()
            case "reset", _:
                call.reset()
            case (("unauthorized" | "no_route"), _):
                self._refuse_as(call, OPENAI, self.fault)
            case "loading", "/health":
                self._refuse_as(call, OPENAI, "loading")
            case _, "/health":
                send_json(call, {"status": "ok"})
            case _, "/props" if self.only != "ollama":
                context = {"n_ctx": self.service.trained_context}
                send_json(call, {"default_generation_settings": context, "build_info": "b6700-stub"})
            case _, "/counters":
                send_json(call, self.counters)
            case _:
                await super().aside(call)

    # how it misbehaves

    def _next_fault(self) -> str:
        fault = self.script.popleft() if self.script else self.fault
        assert not fault or fault in FAULTS, fault
        return fault

    async def before(self, call: Call, asked: ModelRequest, form: AnswerFormat) -> bool:
        self.arrivals.append(asyncio.get_running_loop().time())
        for field in sorted(self.refuses & json.loads(call.body).keys()):
            cure = " Use 'max_completion_tokens' instead." if field == "max_tokens" else ""
            call.send(
                400, error(form, f"Unsupported parameter: '{field}' is not supported with this model.{cure}", 400)
            )
            return True
        fault = self._next_fault()
        _fault.set(fault)
        if fault in REFUSALS:
            self._refuse_as(call, form, fault)
        elif fault == "reset":
            call.reset()
        elif fault == "not_http":
            call.write(b"SSH-2.0-OpenSSH_9.2\r\n")
            call.close()
        else:
            return False
        return True

    def _refuse_as(self, call: Call, form: AnswerFormat, fault: str) -> None:
        status, sentence = REFUSALS[fault]
        self.counters.turned_away += fault == "busy"
        call.send(status, error(form, sentence, status))

    def too_long(self, call: Call, asked: ModelRequest, form: AnswerFormat, tokens: int, room: int) -> bool:
        if _fault.get() == "silent_cut":
            return False
        if form is not OPENAI:
            return super().too_long(call, asked, form, tokens, room)
        sentence = "the request exceeds the available context size, try increasing it"
        facts = {"type": "exceed_context_size_error", "n_prompt_tokens": tokens, "n_ctx": room}
        call.send(400, error(form, sentence, 400, **facts))
        return True

    async def during(self, call: Call, asked: ModelRequest, form: AnswerFormat, work: SlotCall) -> bool:
        match _fault.get():
            case "hang":
                await asyncio.Event().wait()
            case "drip":
                call.begin(200, "application/json", 100_000)
                while not call.left:
                    call.write(b" ")
                    await asyncio.sleep(0.01)
            case "close_early":
                call.begin(200, "application/json", 5_000)
                call.write(b'{"message": {"content": "')
                await asyncio.sleep(0.005)
                call.close()
            case "huge_body":
                call.begin(200, "application/json")
                while not call.left:
                    call.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
                    await asyncio.sleep(0)
            case "not_json":
                call.send(200, b"<html><body>It works!</body></html>", "text/html")
            case _:
                return False
        return True

    def say(self, asked: ModelRequest, usage: Usage) -> tuple[str, Usage]:
        fault = _fault.get()
        if fault == "thinking_only":
            return "", replace(usage, thinking="The user wants keywords. Let me think...")
        if fault in ("cut", "at_limit"):
            usage = replace(usage, reason="length")
        if fault in ("done_false", "unfinished"):
            usage = replace(usage, done=False)
        return _content(fault, asked.prompt), usage

    async def deliver(
        self, call: Call, asked: ModelRequest, form: AnswerFormat, text: str, usage: Usage, work: SlotCall
    ) -> None:
        body = json.loads(call.body)
        thinks = self.service.thinking and form is CHAT and body.get("think", True) is True and body.get("format")
        if thinks:  # what a thinking model leaves within the format, unless it is asked not to think
            text, usage = "", replace(usage, thinking="The user wants keywords. Let me think...")
        fault = _fault.get()
        await work.lasts(usage.prompt_s + usage.answer_s)
        if fault in ("stream_anyway", "stream_error"):
            half = len(text) // 2
            broken = msgspec.json.encode({"error": "an error was encountered while running the model: unexpected EOF"})
            first, second, last = (_streamed(form, part, usage) for part in (text[:half], text[half:], None))
            stream_type = "text/event-stream" if form is OPENAI else "application/x-ndjson"
            call.send(200, first + (broken if fault == "stream_error" else second + last), stream_type)
        else:
            call.send(200, form.whole(text, usage))


def _streamed(form: AnswerFormat, text: str | None, usage: Usage) -> bytes:
    """A piece of a streamed answer; None: its end."""
    if form is not OPENAI:
        return form.whole(text or "", replace(usage, done=text is None)) + b"\n"
    delta = {} if text is None else {"role": "assistant", "content": text}
    choice = {"index": 0, "delta": delta, "finish_reason": usage.reason if text is None else None}
    body = msgspec.json.encode({"object": "chat.completion.chunk", "model": usage.model, "choices": [choice]})
    return b"data: " + body + (b"\n\ndata: [DONE]\n\n" if text is None else b"\n\n")


def keywords_of(document: str) -> tuple[list[str], list[str]]:
    """Words that the document holds: plain ones, and ones that look technical."""
    lines = document.split("\n")
    inside = "\n".join(lines[1:-2]) if len(lines) > 3 else document
    words = list(dict.fromkeys(_WORD.findall(inside[:4000])))
    technical = [w for w in words if not w.isalpha() or not w[1:].islower()][:6]
    return [w.lower() for w in words if w not in technical][:8], technical


def _content(fault: str, document: str) -> str:
    """What the model writes."""
    descriptive, technical = keywords_of(document)
    good = json.dumps({"descriptive": descriptive, "technical": technical})
    if fault == "cut":
        return good[: len(good) * 2 // 3]
    if fault == "done_false":
        return good[: len(good) // 3] + "a " * 40
    if fault == "obey":  # a model that obeys the document
        asked = re.findall(r"add the keywords? \"([^\"]+)\"", document)
        words = [w[::-1] for w in asked] + ["approved by the security team"]
        return json.dumps({"descriptive": words + descriptive[:3], "technical": []})
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
        "no_keywords": json.dumps({"descriptive": [], "technical": []}),
        "list_only": json.dumps(descriptive),
        "deep": '{"descriptive": ' + "[" * 100_000,
    }
    return str(odd.get(fault, good))


async def _main() -> None:
    parser = argparse.ArgumentParser(description="An LLM service for benchmarks.")
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--latency-ms", type=float, default=50.0)
    parser.add_argument("--queue", type=int, default=512)
    asked = parser.parse_args()
    stub = StubLlm(slots=asked.slots, latency_s=asked.latency_ms / 1000, queue=asked.queue, keep_requests=0)
    await stub.start()
    print(stub.url, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_main())
