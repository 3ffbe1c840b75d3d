"""From what a model wrote to two lists of strings, whatever it wrote; nothing here trusts the schema that was asked for."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

MOST_ITEMS = 200  # of one list; what comes after is not looked at
MOST_CHARS = 200_000

_NAMES = {
    "descriptive": ("descriptive", "descriptive_keywords", "keywords", "topics"),
    "technical": ("technical", "technical_keywords", "technical_terms"),
}
_DECODER = json.JSONDecoder(strict=False)
_LIST = re.compile(r'"(\w{1,40})"\s*:\s*\[')
_STRING = re.compile(r'\s*("(?:[^"\\]|\\.){0,5000}")\s*([,\]])', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Proposal:
    """What the model proposes, unchecked. `flaw` "" = it is the asked JSON; `strange` counts items that are no strings."""

    descriptive: tuple[str, ...] = ()
    technical: tuple[str, ...] = ()
    flaw: str = ""
    strange: int = 0

    @property
    def count(self) -> int:
        return len(self.descriptive) + len(self.technical)


def parse(text: str) -> Proposal:
    """The JSON object (or list) in the text, with or without a Markdown fence or words around it; else its complete items."""
    text = text[:MOST_CHARS]
    if not text.strip():
        return Proposal(flaw="the answer is empty")
    start = text.find("{")
    bare = text.find("[")
    # inside an object a list is a part of it, and an object that is cut is not whole
    if start < 0 or 0 <= bare < start:
        start = bare
    if start >= 0:
        try:
            value, _ = _DECODER.raw_decode(text, start)
        except (ValueError, RecursionError):
            return _salvage(text)
        found, strange = _lists({"descriptive": value} if isinstance(value, list) else value)
        if found:
            return Proposal(found.get("descriptive", ()), found.get("technical", ()), "", strange)
    return _salvage(text)


def _lists(value: dict[str, Any]) -> tuple[dict[str, tuple[str, ...]], int]:
    """The lists of keywords under any of their names, and how many of their items are no strings."""
    found: dict[str, tuple[str, ...]] = {}
    strange = 0
    for name, spellings in _NAMES.items():
        items = next((value[s] for s in spellings if isinstance(value.get(s), list)), None)
        if items is not None:
            strings = tuple(item for item in items[:MOST_ITEMS] if isinstance(item, str))
            strange += min(len(items), MOST_ITEMS) - len(strings)
            found[name] = strings
    return found, strange


def _salvage(text: str) -> Proposal:
    """The complete strings of the two lists in JSON that is cut or broken."""
    lists: dict[str, list[str]] = {"descriptive": [], "technical": []}
    for opening in _LIST.finditer(text):
        name = next((n for n, spellings in _NAMES.items() if opening[1] in spellings), None)
        at = opening.end()
        while name and len(lists[name]) < MOST_ITEMS and (item := _STRING.match(text, at)):
            lists[name].append(_unquoted(item[1]))
            at = item.end()
            if item[2] == "]":
                break
    return Proposal(tuple(lists["descriptive"]), tuple(lists["technical"]), "the answer's JSON is cut or broken")


def _unquoted(literal: str) -> str:
    try:
        value: Any = json.loads(literal, strict=False)
    except ValueError:
        return ""
    return value if isinstance(value, str) else ""
