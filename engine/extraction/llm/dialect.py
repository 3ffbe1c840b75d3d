"""How to talk to one server: a request leaves out the parameters the server refuses.

Servers of one API accept different parameters. Some name the parameter they refuse, some reply only "bad request". A
named one is left out; otherwise each is left out in turn, and the one that helped is remembered.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from engine.extraction.llm import responses
from engine.extraction.llm.http import HttpAnswer
from engine.extraction.llm.server_info import Thinking

NEEDED = frozenset({"model", "messages"})

# Words for the answer's format in a refusal; in a 500, only words about generating it.
_FORMAT = re.compile(
    r"response_?format|json_?schema|json schema|json_object|json mode|structured[ _]outputs?|guided|grammar"
    r"|xgrammar|outlines|llguidance"
    r"|\bschema\b|invalid format|\bformat\b.{0,40}(?:not supported|unsupported|unknown|unexpected|invalid)"
    r"|(?:unsupported|unknown|unexpected|extra).{0,60}\bformat\b",
    re.IGNORECASE,
)
_MAKING = re.compile(
    r"grammar|json_?schema|json schema|response_?format|guided|xgrammar|outlines|llguidance"
    r"|structured[ _]output|\bschema\b",
    re.IGNORECASE,
)
_UNKNOWN = re.compile(
    r"unsupported|not support|unrecogni[sz]ed|unknown|unexpected|extra (?:inputs?|fields?)"
    r"|not (?:permitted|allowed|accepted|implemented)|invalid (?:parameter|field|argument|option)"
    r"|got an unexpected keyword|only .{0,40}(?:supported|allowed)|additional propert",
    re.IGNORECASE,
)
_MATCHES_NOT = re.compile(
    r"output.{0,40}(?:does not match|failed to parse)", re.IGNORECASE
)  # about the model's output, not the request
_THINK = re.compile(r"\bthink(?:ing)?\b|reasoning", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Dialect:
    """What to send. `dropped`: fields that are left out, Ollama's options included."""

    think: Thinking = None
    structured: Literal["schema", "object", "none"] = "schema"
    token_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    dropped: frozenset[str] = frozenset()

    def trimmed(self, body: dict[str, Any]) -> dict[str, Any]:
        """The request without what the server refuses."""
        if not self.dropped:
            return body
        kept = {name: value for name, value in body.items() if name not in self.dropped}
        if isinstance(kept.get("options"), dict):
            kept["options"] = {name: value for name, value in kept["options"].items() if name not in self.dropped}
        return kept

    def without(self, name: str) -> Dialect:
        return replace(self, dropped=self.dropped | {name})

    @property
    def plain(self) -> str:
        """What is left out of the usual request, for people: "without response_format and seed"; "" if nothing is."""
        left = sorted(self.dropped)
        if self.structured == "none":
            left.insert(0, "a JSON schema")
        listed = " and ".join(filter(None, (", ".join(left[:-1]), left[-1]))) if left else ""
        instead = ["any JSON instead of a JSON schema"] if self.structured == "object" else []
        if self.token_field == "max_completion_tokens":
            instead.append("max_completion_tokens instead of max_tokens")
        parts = [f"without {listed}"] if listed else []
        return ", ".join([*parts, f"with {' and '.join(instead)}"] if instead else parts)


def named(dialect: Dialect, answer: HttpAnswer, sent: dict[str, Any]) -> Dialect | None:
    """The dialect without the parameter that a refusal names; None when it names none."""
    if answer.status not in (400, 404, 422, 500, 501):
        return None
    error = responses.error(answer.body)
    sentence = f"{error.get('message') or ''} {error.get('param') or ''} {error.get('code') or ''}"
    if _MATCHES_NOT.search(sentence):
        return None
    if answer.status in (404, 500, 501) and not (_MAKING.search(sentence) or _UNKNOWN.search(sentence)):
        return None
    if "max_completion_tokens" in sentence and dialect.token_field == "max_tokens":
        return replace(dialect, token_field="max_completion_tokens")
    for name in _fields(sent):
        if (
            name not in dialect.dropped
            and name not in ("format", "response_format", "think")
            and _names(sentence, name)
        ):
            return (
                replace(dialect, token_field="max_completion_tokens")
                if _renames_tokens(dialect, name)
                else dialect.without(name)
            )
    if dialect.think is not None and _THINK.search(sentence):
        return replace(dialect, think=None)
    if dialect.structured != "none" and _FORMAT.search(sentence) and (answer.status != 404):
        return looser(dialect)
    return None


def guesses(dialect: Dialect, answer: HttpAnswer, sent: dict[str, Any]) -> Iterator[Dialect]:
    """What an unnamed refusal may mean, likeliest first: dialects without one parameter each, then one without all of
    them."""
    if answer.status not in (400, 422):
        return
    if dialect.structured == "schema":
        yield replace(dialect, structured="object")
    if dialect.structured != "none":
        yield replace(dialect, structured="none")
    fields = [
        name
        for name in ("seed", "think", "temperature", "truncate", "shift", "keep_alive", "stream")
        if name in _fields(sent)
    ]
    for name in fields:
        yield replace(dialect, think=None) if name == "think" else dialect.without(name)
    if dialect.token_field in sent and dialect.token_field == "max_tokens":
        yield replace(dialect, token_field="max_completion_tokens")
    yield replace(
        dialect,
        structured="none",
        think=None,
        dropped=dialect.dropped | (frozenset(fields) - {"think"}) | {dialect.token_field},
    )


def looser(dialect: Dialect) -> Dialect:
    """The dialect with a weaker schema: any JSON, then words only."""
    return replace(dialect, structured="object" if dialect.structured == "schema" else "none")


def _fields(sent: dict[str, Any]) -> tuple[str, ...]:
    """The parameters of a request that can be left out, Ollama's options included; longest name first."""
    options = sent.get("options")
    inner = tuple(options) if isinstance(options, dict) else ()
    return tuple(sorted({*sent, *inner} - NEEDED, key=len, reverse=True))


def _names(sentence: str, field: str) -> bool:
    return bool(re.search(rf"(?<![\w-]){re.escape(field)}(?![\w-])", sentence, re.IGNORECASE)) and (
        field not in ("options", "stream") or bool(_UNKNOWN.search(sentence))
    )


def _renames_tokens(dialect: Dialect, name: str) -> bool:
    return name == "max_tokens" and dialect.token_field == "max_tokens"
