"""The two wire formats, Ollama's own and OpenAI's, as pure functions: what to send, and what an answer means.

Trusts no server: an answer of 200 may hold an error (inside a stream), be cut (done:false, "length"), be empty (a
thinking model) or answer another prompt (its head dropped to fit). Sources: the API documents and code of Ollama 0.30
to 0.33, llama.cpp's server, vLLM.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
from msgspec.structs import replace

from engine.extraction.llm import refusals, responses, server_info
from engine.extraction.llm.answer import first_words
from engine.extraction.llm.dialect import Dialect
from engine.extraction.llm.failure import ErrorKind, Fault
from engine.extraction.llm.http import HttpAnswer
from engine.extraction.llm.prompt import ANSWER_TOKENS, Prompt
from engine.plan.model import Llm
from engine.text import clean_line

_NO_PATH = re.compile(r"unexpected endpoint|no such (?:endpoint|route)|unknown (?:endpoint|route)", re.IGNORECASE)
# how long an idle model stays loaded; Ollama's default of 5m means a cold start after every quiet hour
KEEP_ALIVE_S = 1800


@dataclass(frozen=True, slots=True)
class ModelReply:
    """What the model wrote. `kind` and `flaw` say why it may be incomplete (None and "" if it is complete); times
    in ms."""

    text: str
    flaw: str = ""
    kind: ErrorKind | None = None
    thought: bool = False
    prompt_tokens: int | None = None
    answer_tokens: int | None = None
    load_ms: float = 0.0


class Wire(Protocol):
    ask_path: str
    models_path: str  # the list of models: the cheapest request that proves the server answers
    loading_path: str  # answers 503 while a model is loaded

    def ask(self, config: Llm, prompt: Prompt, *, seed: int, dialect: Dialect) -> dict[str, Any]:
        """The request's body."""

    def read(self, answer: HttpAnswer, config: Llm) -> ModelReply:
        """What the model wrote, from an answer. Raises Fault."""

    def digest(self, models: HttpAnswer, config: Llm) -> str:
        """The model's digest from an answer of `models_path`; "" if it has none."""


def wire(config: Llm) -> Wire:
    return Ollama() if config.api == "ollama" else OpenAi()


class Ollama:
    """/api/chat. Sets every option whose default is risky: stream, think, truncate, shift, num_ctx, num_predict."""

    ask_path = "/api/chat"
    models_path = loading_path = "/api/tags"

    def digest(self, models: HttpAnswer, config: Llm) -> str:
        return clean_line(str(server_info.entry(config.model, responses.body(models)).get("digest") or ""), 80)

    def ask(self, config: Llm, prompt: Prompt, *, seed: int, dialect: Dialect) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": config.model,
            "messages": [{"role": "system", "content": prompt.system}, {"role": "user", "content": prompt.user}],
            "stream": False,
            "truncate": False,
            "shift": False,
            "keep_alive": f"{KEEP_ALIVE_S}s",
            "options": {**self.options(config, prompt.tokens), "temperature": config.temperature},
        }
        if config.seed:
            body["options"]["seed"] = seed
        if dialect.structured != "none":
            body["format"] = prompt.schema if dialect.structured == "schema" else "json"
        if dialect.think is not None:
            body["think"] = dialect.think
        return dialect.trimmed(body)

    @staticmethod
    def options(config: Llm, tokens: int = ANSWER_TOKENS) -> dict[str, Any]:
        """Ollama's options. num_ctx is the same in every request: a different one makes the server reload the model."""
        return {"num_ctx": config.num_ctx, "num_predict": tokens}

    def preload(self, config: Llm) -> bytes:
        """A request without messages: the server loads the model and answers done_reason "load"."""
        return msgspec.json.encode(
            {
                "model": config.model,
                "messages": [],
                "stream": False,
                "keep_alive": f"{KEEP_ALIVE_S}s",
                "options": self.options(config),
            }
        )

    def read(self, answer: HttpAnswer, config: Llm) -> ModelReply:
        parts, written = _written(answer, config, "Ollama's answer")
        last = parts[-1]
        flaw, kind = _end(written)
        if last.get("done") is False and len(parts) == 1:
            kind, flaw = (
                ErrorKind.loop,
                "the server gave up in the middle of the answer (done:false, a repetition loop)",
            )
        elif len(parts) > 1 and last.get("done") is False:
            kind, flaw = ErrorKind.cut, "the stream ends in the middle of the answer"
        return ModelReply(
            written.text,
            flaw,
            kind,
            bool(written.thought),
            responses.count(last.get("prompt_eval_count")),
            responses.count(last.get("eval_count")),
            (responses.count(last.get("load_duration")) or 0) / 1e6,
        )


class OpenAi:
    """/v1/chat/completions of llama.cpp's server, vLLM, LM Studio, Ollama or a hosted service."""

    ask_path = "/v1/chat/completions"
    models_path = "/v1/models"
    loading_path = "/health"  # llama.cpp's path; a gateway queries all of its models for it, which takes long

    def digest(self, models: HttpAnswer, config: Llm) -> str:
        return ""

    def ask(self, config: Llm, prompt: Prompt, *, seed: int, dialect: Dialect) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": config.model,
            "messages": [{"role": "system", "content": prompt.system}, {"role": "user", "content": prompt.user}],
            "stream": False,
            "temperature": config.temperature,
            dialect.token_field: prompt.tokens,
        }
        if config.seed:
            body["seed"] = seed
        if dialect.structured == "schema":
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "keywords", "schema": prompt.schema},
            }
        elif dialect.structured == "object":
            body["response_format"] = {"type": "json_object"}
        return dialect.trimmed(body)

    def read(self, answer: HttpAnswer, config: Llm) -> ModelReply:
        _, written = _written(answer, config, "a chat completion")
        flaw, kind = _end(written)
        return ModelReply(
            written.text,
            flaw,
            kind,
            bool(written.thought),
            responses.count(written.usage.get("prompt_tokens")),
            responses.count(written.usage.get("completion_tokens")),
        )


def _written(answer: HttpAnswer, config: Llm, wanted: str) -> tuple[list[dict[str, Any]], responses.Written]:
    """What the model wrote in an answer of 200. Raises Fault if the answer is an error or has another shape."""
    if not 200 <= answer.status < 300:
        raise refusals.fault(answer, config)
    parts = responses.objects(answer.body)
    written = responses.written(parts)
    failed = next((part for part in parts if part.get("error")), None)
    if failed is not None:  # in place of an answer, or in the middle of a stream
        raise _inside(answer, failed, config)
    if not written.known:
        raise Fault(
            ErrorKind.not_chat, f"the server answered {answer.status} with {responses.what(answer.body)}, not {wanted}"
        )
    if not written.text.strip() and written.refusal:
        raise Fault(ErrorKind.refused, f"the model refuses; it begins {first_words(written.refusal)}")
    return parts, written


def _inside(answer: HttpAnswer, failed: dict[str, Any], config: Llm) -> Fault:
    """The fault that an error inside an answer of 200 means."""
    status = _status_in(failed)
    named = f"error {status}" if status else "an error"
    error = HttpAnswer(status or 500, msgspec.json.encode(failed), answer.retry_after)
    if not status and _NO_PATH.search(str(failed["error"])):
        error = replace(error, status=404)
    return refusals.fault(error, config, f"{answer.status} with {named}")


def _status_in(failed: dict[str, Any]) -> int:
    """The status that an error inside an answer of 200 names; 0 if none."""
    error = failed["error"]
    code = responses.count(error.get("code") or error.get("status")) if isinstance(error, dict) else None
    return code if code and 400 <= code <= 599 else 0


def _end(written: responses.Written) -> tuple[str, ErrorKind | None]:
    """Why the answer ended early. Most servers send "stop", others "eos_token", "end_turn", "STOP" or nothing."""
    if written.filtered:
        return f"a content filter held the answer back (finish_reason {written.finish!r})", ErrorKind.filtered
    if written.cut:
        return f"the answer was cut (finish_reason {written.finish!r})", ErrorKind.cut
    return "", None
