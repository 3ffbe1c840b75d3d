"""Reads the body of an answer leniently: JSON in any shape in use, or none. Nothing here raises."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

import msgspec

from engine.decoding import UNREADABLE
from engine.extraction.llm import listing
from engine.extraction.llm.http import HttpAnswer
from engine.text import clean_line

_TITLE = re.compile(rb"<(?:title|h1)[^>]{0,200}>\s*([^<]{1,200}?)\s*</(?:title|h1)>", re.IGNORECASE)
_HTML = re.compile(
    rb"^\s*(?:<!doctype html|<html|<head|<body|<\?xml[^>]{0,100}>\s*<!doctype html|<center>|<h1)", re.IGNORECASE
)
_TEXTS = (
    "response", "generated_text", "output_text", "completion", "content", "text", "output", "generation", "outputText",
    "text_output", "delta",
)  # fmt: skip
_CHOICES = ("choices", "candidates", "outputs", "generations", "results", "predictions")
_WRAPPERS = ("data", "result", "response", "output", "body", "completion")
_CUT = frozenset((
    "length", "max_tokens", "max_output_tokens", "max_new_tokens", "token_limit", "model_length",
    "model_context_window_exceeded", "limit", "abort", "aborted", "cancelled", "canceled", "error", "network_error",
    "insufficient_system_resource",
))  # fmt: skip
_FILTERED = frozenset((
    "content_filter", "content_filtered", "safety", "recitation", "blocklist", "prohibited_content", "spii",
    "refusal", "guardrail", "guardrail_intervened",
))  # fmt: skip


@dataclass(slots=True)
class Written:
    """What a model wrote, by its place in the answer. `thought` is kept apart. `finish`: why it ended, "" if
    unknown."""

    content: str = ""
    called: str = ""  # arguments of a tool call
    thought: str = ""
    refusal: str = ""
    finish: str = ""
    known: bool = False  # the answer has the shape of a completion
    usage: dict[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The answer: the content, else the arguments, else the thinking if it contains nothing but an answer."""
        if self.content.strip() and not (self.called.strip() and "{" not in self.content):
            return self.content
        return self.called if self.called.strip() else self._from_thought() or self.content

    @property
    def cut(self) -> bool:
        return self.finish.casefold() in _CUT

    @property
    def filtered(self) -> bool:
        return self.finish.casefold() in _FILTERED

    def _from_thought(self) -> str:
        """The JSON object with keywords at the end of the thinking, where some servers put the whole answer."""
        text = self.thought.strip().removesuffix("```").rstrip()
        if self.cut or not text.endswith(("}", "]")):
            return ""
        best = ""
        starts = [start.start() for start in re.finditer(r"[{\[]", text)]
        for at in starts[:-40:-1]:
            value, end = _raw(text, at)
            if end == len(text) and (isinstance(value, list) or _has_lists(value)):
                best = text[at:]
        return best


def body(answer: HttpAnswer) -> dict[str, Any]:
    """The JSON object of an answer of 200; {} if it has none."""
    parts = objects(answer.body) if 200 <= answer.status < 300 else []
    return parts[0] if parts else {}


def dicts(answer: dict[str, Any], key: str) -> list[dict[str, Any]]:
    items = answer.get(key)
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def objects(body: bytes) -> list[dict[str, Any]]:
    """The JSON object of an answer; those of a list; or those of a stream, one a line, with or without the marks of
    server-sent events. Any other line ends the stream."""
    try:
        return _objects_in(_json(body))
    except ValueError:
        pass
    parts: list[dict[str, Any]] = []
    for raw in body.splitlines():
        line = raw.strip().removeprefix(b"\xef\xbb\xbf")
        if line.startswith(b"data:"):
            line = line[5:].strip()
        elif line.startswith((b":", b"event:", b"id:", b"retry:")):
            continue
        if not line:
            continue
        try:
            part = _json(line)
        except ValueError:  # "[DONE]", or a broken line
            break
        if not isinstance(part, dict):
            break
        parts.append(part)
    return parts


def _json(body: bytes) -> Any:
    """Parse leniently: a byte-order mark, NaN, a byte that is not UTF-8, half of a surrogate pair. ValueError."""
    try:
        return msgspec.json.decode(body)
    except UNREADABLE:
        pass
    if body.startswith(b")]}'"):  # a prefix that keeps browsers from running it as a script
        return _json(body[4:].lstrip(b", \r\n"))
    if body[:1] in (b"d", b":", b"e", b"<", b""):  # a stream, a web page, or an empty body
        raise ValueError("not JSON")
    encoding = json.detect_encoding(body)
    text = body.decode("utf-8-sig" if encoding == "utf-8" else encoding, "replace")
    try:
        return json.loads(text, strict=False)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _objects_in(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):  # JSON within a JSON string
        return _objects_in(_json(value.encode("utf-8", "replace")))
    if isinstance(value, list):
        return [item for item in value if isinstance(item, dict)]
    return [value] if isinstance(value, dict) else []


def _raw(text: str, at: int) -> tuple[Any, int]:
    try:
        return json.JSONDecoder(strict=False).raw_decode(text, at)
    except (ValueError, RecursionError):
        return None, -1


# -- what the model wrote ----------------------------------------------------------------------------------------------


def written(parts: list[dict[str, Any]]) -> Written:
    """What the model wrote in an answer, or in the parts of a stream, in the shapes of Ollama's, OpenAI's and the
    other common APIs."""
    whole = Written()
    for part in parts:
        _add(part, whole, 0)
    return whole


def _add(part: dict[str, Any], whole: Written, depth: int) -> None:
    usage = part.get("usage") or part.get("usageMetadata")
    whole.usage = usage if isinstance(usage, dict) else whole.usage
    for name in _CHOICES:
        choices = dicts(part, name)
        if choices and (name in _CHOICES[:3] or any(key in choices[0] for key in _TEXTS)):
            _add_first(choices, whole)
            return
    turns = [one for one in dicts(part, "messages") if one.get("role") == "assistant"]
    if turns:
        _add_choice(turns[-1], whole)
        return
    if isinstance(part.get("message"), dict) or isinstance(part.get("delta"), dict):
        _add_choice(part, whole)
        return
    for name in _TEXTS:
        if name in part and (sentence := _text(part[name], whole)):
            whole.known = True
            whole.content += sentence
            _finish(part, whole)
            return
    if _has_lists(part):  # the keywords themselves, if a gateway has unpacked them
        whole.known = True
        whole.content += json.dumps(part)
        return
    if isinstance(part.get("predictions"), list) and (sentence := _text(part["predictions"], whole)):
        whole.known = True
        whole.content += sentence
        return
    inner = next(filter(None, (_inner(part.get(name)) for name in _WRAPPERS)), None)
    if inner is not None and depth < 3:
        _add(inner, whole, depth + 1)
    elif isinstance(part.get("response"), str) or isinstance(part.get("content"), str | list):
        whole.known = True
        _finish(part, whole)


def _inner(value: Any) -> dict[str, Any] | None:
    """An answer within an answer, as an object or encoded in a string."""
    if isinstance(value, str) and value.lstrip()[:1] == "{":
        try:
            value = _json(value.encode("utf-8", "replace"))
        except ValueError:
            return None
    return value if isinstance(value, dict) else None


def _add_first(choices: list[dict[str, Any]], whole: Written) -> None:
    """Take the first choice in which the model wrote something."""
    before = len(whole.content) + len(whole.called) + len(whole.refusal)
    for choice in choices:
        _add_choice(choice, whole)
        if len(whole.content) + len(whole.called) + len(whole.refusal) > before:
            break


def _add_choice(choice: dict[str, Any], whole: Written) -> None:
    whole.known = True
    message = choice.get("message") or choice.get("delta")
    message = message if isinstance(message, dict) else choice
    for name in ("content", "text", "parts", "generated_text", "outputText", "data"):
        sentence = _text(message.get(name), whole) or _text(choice.get(name), whole)
        if sentence:
            whole.content += sentence
            break
    parsed = message.get("parsed")
    if not whole.content and isinstance(parsed, dict | list):
        whole.content = json.dumps(parsed)
    calls = [call.get("function", call) for call in dicts(message, "tool_calls")] + [message.get("function_call")]
    for call in calls:
        arguments = (call.get("arguments") or call.get("input")) if isinstance(call, dict) else None
        whole.called += arguments if isinstance(arguments, str) else json.dumps(arguments) if arguments else ""
    for name in ("reasoning_content", "reasoning", "thinking"):
        thought = message.get(name)
        whole.thought += thought if isinstance(thought, str) else ""
    refusal = message.get("refusal")
    whole.refusal += refusal if isinstance(refusal, str) else ""
    _finish(choice, whole)


def _finish(part: dict[str, Any], whole: Written) -> None:
    reason = next(
        (part[name] for name in ("finish_reason", "finishReason", "done_reason", "stop_reason") if part.get(name)), ""
    )
    whole.finish = clean_line(str(reason), 40) or whole.finish


def _text(value: Any, whole: Written, depth: int = 0) -> str:
    """The text of content in any shape: a string, parts, an object. Thinking is collected in `thought`."""
    if isinstance(value, str):
        return value
    if depth > 4:
        return ""
    if isinstance(value, list):
        if value and all(isinstance(item, str) for item in value):
            joined = "".join(value)  # of a model's tokens
            return joined if len(value) == 1 or _raw(joined, 0)[1] > 0 else json.dumps(value)
        return "".join(_text(item, whole, depth + 1) for item in value)
    if not isinstance(value, dict):
        return ""
    kind = str(value.get("type", ""))
    if kind in ("thinking", "reasoning", "redacted_thinking"):
        whole.thought += " ".join(
            str(value.get(name) or "") for name in ("thinking", "text", "summary", "reasoning")
        ).strip()
        return ""
    if kind in ("tool_use", "function_call") and isinstance(value.get("input", value.get("arguments")), dict | str):
        called = value.get("input", value.get("arguments"))
        whole.called += called if isinstance(called, str) else json.dumps(called)
        return ""
    if _has_lists(value):
        return json.dumps(value)
    for name in ("text", "content", "value", "parts", "output_text", "json"):
        if name in value and (sentence := _text(value[name], whole, depth + 1)):
            return sentence
    return ""


def _has_lists(value: Any, depth: int = 0) -> bool:
    """Whether an object has a place for keywords under an explicit name."""
    if not isinstance(value, dict) or depth > 2:
        return False
    return any(
        (listing.group_of(key) and isinstance(part, list | dict)) or _has_lists(part, depth + 1)
        for key, part in value.items()
    )


# -- errors ------------------------------------------------------------------------------------------------------------


def error(body: bytes) -> dict[str, Any]:
    """{"message", ...} of an error in any shape in use."""
    if is_page(body):
        return {"message": page_title(body)}
    parts = objects(body)
    if not parts:
        return {"message": body[:600].decode("utf-8", "replace")}
    last = parts[-1]
    if isinstance(inner := last.get("message"), dict):
        last = {**last, **inner}
    error = last.get("error") or last.get("detail") or last.get("errors")
    if isinstance(error, list) and error:
        error = error[0] if len(error) == 1 else "; ".join(_sentence(one) for one in error)
    if isinstance(error, dict):
        return {**error, "message": _sentence(error)}
    if isinstance(error, str):
        return {**last, "message": error if not isinstance(last.get("message"), str) else f"{error}: {last['message']}"}
    return {**last, "message": _sentence(last)}


def _sentence(error: Any) -> str:
    """An error's text: FastAPI's {"loc", "msg"}, {"message"}, or the whole error."""
    if isinstance(error, dict):
        sentence = next(
            (
                error[name]
                for name in ("message", "msg", "error", "detail", "title", "Message", "error_msg", "errorMessage")
                if isinstance(error.get(name), str)
            ),
            None,
        )
        place = error.get("loc") or error.get("param")
        where = ".".join(map(str, place)) if isinstance(place, list) else place if isinstance(place, str) else ""
        if sentence is not None:
            return f"{sentence} ({where})" if where and where not in sentence else sentence
    return error if isinstance(error, str) else json.dumps(error)[:600]


def is_page(body: bytes) -> bool:
    return bool(_HTML.match(body[:400]))


def page_title(body: bytes) -> str:
    """A web page's title; "" if it has none."""
    title = _TITLE.search(body[:20_000])
    return clean_line(title[1].decode("utf-8", "replace"), 80) if title else ""


def count(value: Any) -> int | None:
    ok = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e15
    return int(value) if ok else None


def what(body: bytes) -> str:
    """A description, for people, of a body that is not an answer."""
    if not body.strip():
        return "an empty body"
    if is_page(body):
        title = page_title(body)
        return f'a web page titled "{title}"' if title else "a web page without a title"
    return '"' + clean_line(body[:200].decode("utf-8", "replace"), 60).replace('"', "'") + '"'
