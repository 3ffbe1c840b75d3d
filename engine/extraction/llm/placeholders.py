"""Recognises text that a model repeats from the prompt in place of keywords: "keyword1", "...", "<keyword>",
"string".

Pure. A document may contain such words, and then supports them, but they do not describe it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_OURS = r"(?:key[ _-]?words?|key[ _-]?phrases?|phrases?|terms?|topics?|concepts?)"  # what the prompt asks for
_ANY = (
    r"(?:key[ _-]?words?|key[ _-]?phrases?|phrases?|terms?|topics?|concepts?|tags?|items?|words?|names?|labels?|entries"
    r"|entry|values?|elements?|strings?)"
)
_KIND = (
    r"(?:descriptive|technical|technology|tech|another|other|first|second|third|next|last|final|some|your|more|actual"
    r"|relevant|main)"
)
_PLACEHOLDER = re.compile(
    rf"(?:(?:{_KIND}[ _-]+){{1,3}}(?:{_OURS}|{_ANY}[ _-]*(?:\d{{1,3}}|here|goes here))"
    r"(?:[ _-]*(?:\d{1,3}|[a-zn]|here))?"
    rf"|{_ANY}[ _-]*\d{{1,3}}|{_OURS}[ _-]*(?:n|[a-c])|{_ANY}[ _-]+(?:here|goes here)"
    r"|(?:insert|add|put|enter|list|fill in|extract)(?:ed)?[ _-]+"
    rf"(?:(?:the|your|a|any|more|{_KIND})[ _-]+){{0,2}}{_OURS}(?:[ _-]+here)?"
    rf"|(?:array|list|lists) of {_OURS}|(?:descriptive|technical)[ _-]*\d{{1,3}}"
    r"|example ?\d{1,2}|lorem ipsum.{0,40}|xxx+)",
    re.IGNORECASE,
)
_A_NAME = re.compile(r"Word \d")  # a product's name
_BRACKETED = re.compile(r"(?:<([^<>]{1,60})>|\[([^\[\]]{1,60})\]|\{+([^{}]{1,60})\}+|\$\{?(\w{1,40})\}?|%(\w{1,40})%?)")
_ALWAYS = re.compile(r"(?:…|\.{2,}|_{2,}|-{2,}|\?+)")
# A document may be about these; if both lists hold nothing else, they are an answer's empty form.
_ALONE = frozenset(
    (
        "string", "strings", "str", "text", "foo", "bar", "baz", "abc", "etc", "todo", "tbd", "placeholder",
        "placeholders", "example",
        "array of strings", "list of strings", "keyword", "keywords", "phrase", "term", "topic", "value",
    )
)  # fmt: skip
_DOTS = re.compile(r"\[\s*[\"']?(?:\.\.\.|…)[\"']?\s*,?\s*\]")
_EDGES = " \t\"'`“”‘’*,;:."


def is_placeholder(item: str) -> bool:
    """Whether an item sits in a keyword's place and names nothing. Words that may be the document's own do not
    count."""
    bare = item.strip()
    if _ALWAYS.fullmatch(bare):
        return True
    bracketed = _BRACKETED.fullmatch(bare)
    inner = next((part for part in bracketed.groups() if part), "") if bracketed else bare
    inner = inner.strip(_EDGES) or inner
    if bracketed:
        return inner.casefold() in _ALONE or _PLACEHOLDER.fullmatch(inner) is not None or _names_the_place(inner)
    return inner.casefold() not in _ALONE and _PLACEHOLDER.fullmatch(inner) is not None and not _A_NAME.match(inner)


def without(items: Iterable[str]) -> tuple[str, ...]:
    return tuple(item for item in items if not is_placeholder(item))


def all_of(items: Iterable[str]) -> bool:
    """Whether there are items, and all of them are placeholders or words used as one: "string", "foo"."""
    kept = [item.strip(_EDGES) or item for item in items]
    return bool(kept) and all(is_placeholder(item) or item.casefold() in _ALONE for item in kept)


def is_form(text: str) -> bool:
    """Whether a text is the prompt's own example: {"descriptive": [...], "technical": [...]}."""
    return len(text) < 4000 and _DOTS.search(text) is not None


def _names_the_place(inner: str) -> bool:
    return re.search(rf"\b{_OURS}\b", inner, re.IGNORECASE) is not None and len(inner.split()) <= 6
