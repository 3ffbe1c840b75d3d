"""The wire format of the simulated service: requests parsed leniently, answers in the formats of Ollama's API and
OpenAI's.
"""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from engine.decoding import UNREADABLE

DEFAULT_CONTEXT = 4096  # Ollama's, on a machine without a large GPU
DEFAULT_KEEP_S = 300.0
THERE_S = 0.001  # to see that the model is loaded; reported, not waited for

_KEEP = re.compile(r"^(-?\d+(?:\.\d+)?)(ms|s|m|h)?$")
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, None: 1.0}


class ModelRequest(Struct, frozen=True):
    """A request. `prompt`: the longest text of the user; "" = only load the model."""

    model: str
    texts: tuple[str, ...]
    prompt: str
    schema: dict[str, Any]
    context: int
    most_tokens: int
    truncate: bool
    keep_s: float


class Usage(Struct, frozen=True):
    """Counts and times of an answer; durations in seconds."""

    model: str
    prompt_tokens: int = 0
    answer_tokens: int = 0
    load_s: float = 0.0
    prompt_s: float = 0.0
    answer_s: float = 0.0
    reason: str = "stop"
    done: bool = True  # false: the server gave up midway
    thinking: str = ""


class AnswerFormat(Protocol):
    """The answer format of one API path."""

    def whole(self, text: str, usage: Usage) -> bytes: ...


class _Ollama:
    """The wire format of /api/chat."""

    def whole(self, text: str, usage: Usage) -> bytes:
        at = datetime.fromtimestamp(time.time(), UTC).isoformat().replace("+00:00", "Z")
        message = {"role": "assistant", "content": text}
        if usage.thinking:
            message["thinking"] = usage.thinking
        body: dict[str, Any] = {"model": usage.model, "created_at": at, "message": message, "done": usage.done}
        if usage.done:
            body["done_reason"] = usage.reason
        if usage.prompt_tokens:
            load, prompt, answer = (int(s * 1e9) for s in (usage.load_s or THERE_S, usage.prompt_s, usage.answer_s))
            body |= {
                "total_duration": load + prompt + answer + 1_500_000,
                "load_duration": load,
                "prompt_eval_count": usage.prompt_tokens,
                "prompt_eval_duration": prompt,
                "eval_count": usage.answer_tokens,
                "eval_duration": answer,
            }
        return msgspec.json.encode(body)


class _OpenAi:
    def whole(self, text: str, usage: Usage) -> bytes:
        message = {"role": "assistant", "content": text}
        if usage.thinking:
            message["reasoning_content"] = usage.thinking
        p, a, at = usage.prompt_tokens, usage.answer_tokens, time.time()
        body = {
            "id": f"chatcmpl-{int(at * 1000) % 1000}",
            "object": "chat.completion",
            "created": int(at),
            "model": usage.model,
            "choices": [{"index": 0, "message": message, "finish_reason": usage.reason}],
            "usage": {"prompt_tokens": p, "completion_tokens": a, "total_tokens": p + a},
        }
        return msgspec.json.encode(body)


CHAT: AnswerFormat = _Ollama()
OPENAI: AnswerFormat = _OpenAi()


_KINDS = {400: "invalid_request_error", 401: "authentication_error", 404: "not_found_error", 503: "overloaded_error"}


def error(form: AnswerFormat, sentence: str, status: int, **more: Any) -> bytes:
    """`more`: other fields of OpenAI's error object."""
    if form is OPENAI:
        kind = {"type": _KINDS.get(status, "api_error"), "param": None, "code": status}
        return msgspec.json.encode({"error": {"message": sentence, **kind, **more}})
    return msgspec.json.encode({"error": sentence})


def parse(body: bytes, form: AnswerFormat) -> ModelRequest:
    """The request. Raises ValueError, with a sentence, if it is malformed."""
    try:
        fields = msgspec.json.decode(body or b"{}")
    except UNREADABLE as wrong:
        raise ValueError(f"the request is not JSON: {wrong}") from None
    if not isinstance(fields, dict):
        raise ValueError("the request is not a JSON object")
    messages = [m for m in fields.get("messages") or () if isinstance(m, dict)]
    turns = [(m.get("role"), str(m.get("content") or "")) for m in messages]
    options = fields.get("options")
    options = options if isinstance(options, dict) else {}
    most = (
        fields.get("max_completion_tokens") or fields.get("max_tokens")
        if form is OPENAI
        else options.get("num_predict")
    )
    return ModelRequest(
        model=str(fields.get("model") or ""),
        texts=tuple(text for _, text in turns),
        prompt=max((text for role, text in turns if role == "user"), key=len, default=""),
        schema=_schema(fields),
        context=_whole_number(options.get("num_ctx"), DEFAULT_CONTEXT if form is not OPENAI else 1 << 30),
        most_tokens=_whole_number(most, 1 << 30),
        truncate=fields.get("truncate") is not False,
        keep_s=_keep_s(fields.get("keep_alive")),
    )


def _schema(fields: dict[str, Any]) -> dict[str, Any]:
    """The requested JSON schema, {} for none: Ollama's `format`, OpenAI's `response_format`."""
    asked = fields.get("format")
    if isinstance(fields.get("response_format"), dict):
        asked = fields["response_format"].get("json_schema")
        asked = asked.get("schema") if isinstance(asked, dict) else None
    return asked if isinstance(asked, dict) else {}


def _whole_number(value: Any, otherwise: int) -> int:
    return int(value) if isinstance(value, int | float) and value > 0 else otherwise


def _keep_s(value: Any) -> float:
    """Seconds to keep the model: a number, or Go's "30m"; negative means forever."""
    duration = _KEEP.match(str(value)) if isinstance(value, str | int | float) else None
    if duration is None:
        return DEFAULT_KEEP_S
    seconds = float(duration[1]) * _UNIT_S[duration[2]]
    return seconds if seconds >= 0 else float("inf")
