"""The two wire formats, Ollama's own and OpenAI's, as pure functions: what to send, and what an answer means.

Nothing a server says is trusted: an answer of 200 may be an error (inside a stream), cut (done:false, "length"), empty
(a thinking model) or about another prompt (its head dropped to fit). Sources: the API documents and code of Ollama 0.30 to 0.33,
llama.cpp's server, vLLM.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import msgspec

from engine.extraction.llm import responses, server_info
from engine.extraction.llm.failure import ErrorKind, Fault, Retry
from engine.extraction.llm.http import Answer
from engine.extraction.llm.prompt import ANSWER_TOKENS, Prompt
from engine.extraction.llm.server_info import Thinking
from engine.plan.model import Llm
from engine.text import clean_line

KEEP_ALIVE_S = 1800  # how long an idle model stays loaded; Ollama's own 5m makes every quiet hour end cold


@dataclass(frozen=True, slots=True)
class Dialect:
    """How this server and model must be spoken to; learnt from what the server says about itself or refuses."""

    think: Thinking = None
    structured: Literal["schema", "object", "none"] = "schema"
    token_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    temperature: bool = True


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model wrote. `flaw` says why it cannot be taken as whole ("" = it can); times in ms."""

    text: str
    flaw: str = ""
    thought: bool = False
    prompt_tokens: int | None = None
    answer_tokens: int | None = None
    load_ms: float = 0.0


class Wire(Protocol):
    ask_path: str
    health_path: str

    def ask(self, config: Llm, prompt: Prompt, *, seed: int, dialect: Dialect) -> bytes:
        """The body of the request."""

    def read(self, answer: Answer, config: Llm) -> Reply:
        """What the model wrote. Raises Fault."""

    def digest(self, health: Answer, config: Llm) -> str:
        """The model's digest in the answer of `health_path`, "" where it is not told."""


def wire(config: Llm) -> Wire:
    return Ollama() if config.api == "ollama" else OpenAi()


class Ollama:
    """/api/chat. Every default that bites is set: stream, think, truncate, shift, num_ctx, num_predict."""

    ask_path = "/api/chat"
    health_path = "/api/tags"

    def digest(self, health: Answer, config: Llm) -> str:
        return clean_line(str(server_info.entry(config.model, responses.body(health)).get("digest") or ""), 80)

    def ask(self, config: Llm, prompt: Prompt, *, seed: int, dialect: Dialect) -> bytes:
        body: dict[str, Any] = {
            "model": config.model,
            "messages": [{"role": "system", "content": prompt.system}, {"role": "user", "content": prompt.user}],
            "stream": False,
            "truncate": False,
            "shift": False,
            "keep_alive": f"{KEEP_ALIVE_S}s",
            "options": {**self.options(config, prompt.tokens), "temperature": config.temperature, "seed": seed},
        }
        if dialect.structured != "none":
            body["format"] = prompt.schema if dialect.structured == "schema" else "json"
        if dialect.think is not None:
            body["think"] = dialect.think
        return msgspec.json.encode(body)

    @staticmethod
    def options(config: Llm, tokens: int = ANSWER_TOKENS) -> dict[str, Any]:
        """num_ctx is the same in every request: another makes the server load the model again."""
        return {"num_ctx": config.num_ctx, "num_predict": tokens}

    def preload(self, config: Llm) -> bytes:
        """No messages: the server loads the model and answers done_reason "load"."""
        return msgspec.json.encode(
            {
                "model": config.model,
                "messages": [],
                "stream": False,
                "keep_alive": f"{KEEP_ALIVE_S}s",
                "options": self.options(config),
            }
        )

    def read(self, answer: Answer, config: Llm) -> Reply:
        if answer.status != 200:
            raise fault(answer, config)
        parts = responses.objects(answer.body)
        if not parts:
            raise Fault(
                ErrorKind.invalid, f"the server answered 200 with {responses.what(answer.body)}, not Ollama's JSON"
            )
        text: list[str] = []
        thought = False
        for part in parts:
            if part.get("error"):
                raise fault(Answer(500, msgspec.json.encode(part)), config)
            message = part.get("message")
            said = message.get("content") if isinstance(message, dict) else part.get("response")
            text.append(said if isinstance(said, str) else "")
            thought = thought or bool(isinstance(message, dict) and message.get("thinking"))
        last = parts[-1]
        flaw = ""
        if last.get("done") is not True:
            flaw = "the server gave up in the middle of the answer (done:false, Ollama's sign of a repetition loop)"
        elif last.get("done_reason") not in ("stop", None):
            flaw = f"the answer was cut (done_reason {clean_line(str(last.get('done_reason')), 40)!r})"
        return Reply(
            "".join(text),
            flaw,
            thought,
            responses.count(last.get("prompt_eval_count")),
            responses.count(last.get("eval_count")),
            (responses.count(last.get("load_duration")) or 0) / 1e6,
        )


class OpenAi:
    """/v1/chat/completions of llama.cpp's server, vLLM, LM Studio, Ollama or a hosted service."""

    ask_path = "/v1/chat/completions"
    health_path = "/health"

    def digest(self, health: Answer, config: Llm) -> str:
        return ""

    def ask(self, config: Llm, prompt: Prompt, *, seed: int, dialect: Dialect) -> bytes:
        body: dict[str, Any] = {
            "model": config.model,
            "messages": [{"role": "system", "content": prompt.system}, {"role": "user", "content": prompt.user}],
            "stream": False,
            "seed": seed,
            dialect.token_field: prompt.tokens,
        }
        if dialect.temperature:
            body["temperature"] = config.temperature
        if dialect.structured == "schema":
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "keywords", "schema": prompt.schema},
            }
        elif dialect.structured == "object":
            body["response_format"] = {"type": "json_object"}
        return msgspec.json.encode(body)

    def read(self, answer: Answer, config: Llm) -> Reply:
        if answer.status != 200:
            raise fault(answer, config)
        parts = responses.objects(answer.body)
        whole = parts[0] if parts else {}
        if whole.get("error"):
            raise fault(Answer(500, answer.body), config)
        choices = whole.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else None
        if choice is None:
            raise Fault(
                ErrorKind.invalid, f"the server answered 200 with {responses.what(answer.body)}, not a chat completion"
            )
        message = choice.get("message")
        message = message if isinstance(message, dict) else {}
        said = message.get("content")
        finish = choice.get("finish_reason")
        usage = whole.get("usage")
        usage = usage if isinstance(usage, dict) else {}
        return Reply(
            said if isinstance(said, str) else "",
            "" if finish in ("stop", None) else f"the answer was cut (finish_reason {clean_line(str(finish), 40)!r})",
            bool(message.get("reasoning_content") or message.get("reasoning")),
            responses.count(usage.get("prompt_tokens")),
            responses.count(usage.get("completion_tokens")),
        )


_MODEL = re.compile(r"model\b.*\b(?:not found|does not exist|not exist|no such)|pull", re.IGNORECASE | re.DOTALL)
_LONG = re.compile(
    r"exceed_context_size|exceeds? the (?:available |maximum )?context|context (?:length|size|window)"
    r"|(?:input|prompt)\b.{0,40}\b(?:too long|too large|exceeds)|maximum (?:input|prompt) length",
    re.IGNORECASE,
)
_BUSY = re.compile(r"busy|pending requests|queue|overloaded|rate limit|too many requests|capacity", re.IGNORECASE)
_LOADING = re.compile(r"loading|starting up|warming", re.IGNORECASE)
_FORMAT = re.compile(r"does not match the expected|failed to parse (?:the )?(?:output|input at pos)", re.IGNORECASE)


def fault(answer: Answer, config: Llm) -> Fault:
    """The meaning of an HTTP answer that is not 200."""
    status = answer.status
    error = responses.error(answer.body)
    said = clean_line(str(error.get("message") or ""), 300)
    tail = f": {said}" if said else ""
    after = responses.seconds(answer.retry_after)
    kind, text = ErrorKind.http, f"the server answered {status}{tail}"
    retry: Retry | None = None
    code = f"{error.get('type', '')} {error.get('code', '')}"
    if status == 413 or (400 <= status <= 500 and _LONG.search(f"{code} {said}")):
        kind, text = ErrorKind.too_long, f"the text does not fit the model's context ({status}{tail})"
    elif status in (400, 404) and ("model_not_found" in code or _MODEL.search(said)):
        kind, text = ErrorKind.model_missing, missing(config, said)
    elif status == 429 or (status in (500, 503) and _BUSY.search(said)):
        kind, text = ErrorKind.busy, f"the server's queue is full ({status}{tail})"
    elif status == 503 and _LOADING.search(said):
        kind, text = ErrorKind.loading, f"the server is loading the model ({status}{tail})"
    elif status == 500 and _FORMAT.search(said):
        kind, text = ErrorKind.invalid, f"the model's output did not fit the format ({status}{tail})"
    elif status in (401, 403):
        retry, text = (
            "never",
            f"the server refuses the key ({status}{tail}); check the variable that api_key_env names",
        )
    elif status == 404:
        retry, text = (
            "never",
            f"the server has no {config.api} API at this address (404{tail}); check [llm] url and api",
        )
    elif status < 500 and status != 408:
        retry = "never"
    return Fault(kind, text, retry=retry, after_s=after, context=responses.count(error.get("n_ctx")) or 0)


def missing(config: Llm, said: str = "") -> str:
    name = clean_line(config.model, 100)
    cure = f"run: ollama pull {name}" if config.api == "ollama" else "check [llm] model"
    return f"the server does not have the model {name}; {cure}" + (f" ({said})" if said else "")


def adapted(dialect: Dialect, answer: Answer) -> Dialect | None:
    """Another way to ask that this refusal calls for; None when it is no matter of dialect."""
    if answer.status not in (400, 422):
        return None
    said = str(responses.error(answer.body).get("message") or "").lower()
    if "max_completion_tokens" in said and dialect.token_field == "max_tokens":
        return replace(dialect, token_field="max_completion_tokens")
    if "temperature" in said and dialect.temperature:
        return replace(dialect, temperature=False)
    if "think" in said and dialect.think is not None:
        return replace(dialect, think=None)
    if ("response_format" in said or "json_schema" in said or "invalid format" in said) and (
        dialect.structured != "none"
    ):
        return replace(dialect, structured="object" if dialect.structured == "schema" else "none")
    return None
