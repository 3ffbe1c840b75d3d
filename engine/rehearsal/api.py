"""The simulated service's answers on the paths of Ollama's and OpenAI's APIs that the engine asks, using a `Service`
with slots and a model. Answers come whole, as the engine asks for them.

It misbehaves in three hooks: before a slot is taken, in the slot, and in the model's text. The rehearsal's faults are
shares of texts (`faults`); a test's server overrides the hooks.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from msgspec.structs import replace

from engine.rehearsal import model
from engine.rehearsal.capacity import Full, Service, SlotCall
from engine.rehearsal.http_server import Call, send_json
from engine.rehearsal.protocol import CHAT, OPENAI, AnswerFormat, ModelRequest, Usage, error, parse

VERSION = "0.33.0"
SIZE = 2_019_393_189
BUSY = "server busy, please try again.  maximum pending requests exceeded"
USED_UP = "You exceeded your current quota, please check your plan and billing details."
CRASHED = "llama runner process has terminated: exit status 2"
PROMPT_PART = 0.25  # of the time goes into reading the prompt
DRIP_S = 0.1  # between two bytes

FORMS: dict[str, AnswerFormat] = {"/api/chat": CHAT, "/v1/chat/completions": OPENAI}


class SimulatedApi:
    """The handler of an `HttpServer`."""

    def __init__(self, service: Service) -> None:
        self.service = service

    async def __call__(self, call: Call) -> None:
        form = FORMS.get(call.path) if call.method == "POST" else None
        if form is None:
            await self.aside(call)
            return
        try:
            asked = parse(call.body, form)
        except ValueError as wrong:
            call.send(400, error(form, str(wrong), 400))
            return
        try:
            await self._answer(call, asked, form)
        except asyncio.CancelledError:
            self.service.counters.gone += 1
            raise

    # -- the model is asked --------------------------------------------------------------------------------------------

    async def _answer(self, call: Call, asked: ModelRequest, form: AnswerFormat) -> None:
        service = self.service
        if not service.knows(asked.model):
            self.refuse(call, form, 404, f"model '{asked.model[:100]}' not found")
            return
        if not asked.prompt:
            took = await service.load(asked.context, asked.keep_s)
            reason = "load" if asked.keep_s > 0 else "unload"
            call.send(200, form.whole("", Usage(asked.model, reason=reason, load_s=took)))
            return
        service.counters.calls += 1
        if await self.before(call, asked, form):
            return
        tokens = model.tokens(asked.texts)
        room = min(asked.context, service.trained_context)
        if tokens > room:
            if self.too_long(call, asked, form, tokens, room):
                return
            tokens = room // 2  # like the real one: silently drops the head
        try:
            async with service.slot() as work:
                began = time.monotonic()
                load_s = await service.load(asked.context, asked.keep_s)
                work.due += time.monotonic() - began  # another call's load, too
                if await self.during(call, asked, form, work):
                    return
                seconds = service.seconds(tokens)
                usage = Usage(asked.model, tokens, 0, load_s, seconds * PROMPT_PART, seconds * (1 - PROMPT_PART))
                text, usage = self.say(asked, usage)
                usage = replace(usage, answer_tokens=max(1, len(text) // 4))
                await self.deliver(call, asked, form, text, usage, work)
                service.counters.served += 1
        except Full:
            self.turn_away(call, form)

    async def before(self, call: Call, asked: ModelRequest, form: AnswerFormat) -> bool:
        """Whether the call was answered (badly) before it got a slot."""
        if self.service.faults.quota:
            self.service.counters.turned_away += 1
            call.send(429, error(form, USED_UP, 429))
            return True
        if self.service.feels_busy():
            self.turn_away(call, form)
            return True
        return False

    def too_long(self, call: Call, asked: ModelRequest, form: AnswerFormat, tokens: int, room: int) -> bool:
        """Whether a prompt that does not fit was refused."""
        if not asked.truncate:
            self.refuse(call, form, 400, "input length exceeds the context length")
        return not asked.truncate

    async def during(self, call: Call, asked: ModelRequest, form: AnswerFormat, work: SlotCall) -> bool:
        """Whether the call was answered (badly), or not at all, in its slot."""
        faults, reading = self.service.faults, self.service.read(asked.prompt)
        if reading.meets("hang", faults.hang):
            await asyncio.Event().wait()
        if reading.meets("error_rate", faults.error_rate):
            await work.lasts(self.service.seconds(model.tokens(asked.texts)) * PROMPT_PART)
            self.refuse(call, form, 500, CRASHED)
            return True
        return False

    def say(self, asked: ModelRequest, usage: Usage) -> tuple[str, Usage]:
        """What the model writes, and how that is accounted for."""
        faults, reading = self.service.faults, self.service.read(asked.prompt)
        if reading.meets("empty_rate", faults.empty_rate):
            return "", usage
        text = model.answer(reading, asked.schema, faults.hallucinate)
        if reading.meets("invalid_rate", faults.invalid_rate):
            text = text[
                : text.find("[") + 4
            ]  # within the first keyword: a client that salvages complete items gets none
        if len(text) > 4 * asked.most_tokens:
            return text[: 4 * asked.most_tokens], replace(usage, reason="length")
        return text, usage

    async def deliver(
        self, call: Call, asked: ModelRequest, form: AnswerFormat, text: str, usage: Usage, work: SlotCall
    ) -> None:
        await work.lasts(usage.prompt_s + usage.answer_s)
        body = form.whole(text, usage)
        if not self.service.read(asked.prompt).meets("drip", self.service.faults.drip):
            call.send(200, body)
            return
        call.begin(200, "application/json", len(body))
        for i in range(len(body)):
            call.write(body[i : i + 1])
            await work.lasts(DRIP_S)

    def turn_away(self, call: Call, form: AnswerFormat) -> None:
        self.service.counters.turned_away += 1
        call.send(503, error(form, BUSY, 503))

    def refuse(self, call: Call, form: AnswerFormat, status: int, sentence: str) -> None:
        self.service.counters.failed += 1
        call.send(status, error(form, sentence, status))

    # -- questions about the server ------------------------------------------------------------------------------------

    async def aside(self, call: Call) -> None:
        service = self.service
        gone = service.faults.not_found
        details = {
            "format": "gguf",
            "family": service.family,
            "families": [service.family],
            "parameter_size": "3.2B",
            "quantization_level": "Q4_K_M",
        }
        entry = {
            "name": service.name,
            "model": service.name,
            "size": SIZE,
            "digest": service.digest,
            "details": details,
        }
        running = {**entry, "context_length": min(service.loaded, service.trained_context), "size_vram": SIZE}
        match call.method, call.path:
            case "GET", "/":
                call.send(200, b"Ollama is running", "text/plain; charset=utf-8")
            case "GET", "/api/version":
                send_json(call, {"version": VERSION})
            case "GET", "/api/tags":
                send_json(call, {"models": [] if gone else [entry]})
            case "GET", "/api/ps":
                send_json(call, {"models": [running] if service.loaded and not gone else []})
            case "GET", "/v1/models":
                known = [] if gone else [{"id": service.name, "object": "model", "owned_by": "library"}]
                send_json(call, {"object": "list", "data": known})
            case "POST", "/api/show":
                self._show(call, details)
            case _:
                call.send(404, b"404 page not found", "text/plain")

    def _show(self, call: Call, details: Mapping[str, object]) -> None:
        service = self.service
        try:
            asked = parse(call.body, CHAT).model
        except ValueError as wrong:
            send_json(call, {"error": str(wrong)}, 400)
            return
        if not service.knows(asked):
            send_json(call, {"error": f"model '{asked[:100]}' not found"}, 404)
            return
        info = {"general.architecture": service.family, f"{service.family}.context_length": service.trained_context}
        can = ["completion", "tools", *(["thinking"] if service.thinking else [])]
        send_json(call, {"capabilities": can, "model_info": info, "details": details})
