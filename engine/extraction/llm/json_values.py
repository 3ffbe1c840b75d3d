"""Keywords in a JSON value of any shape."""

from __future__ import annotations

import json
import re
from typing import Any

from engine.extraction.llm import listing
from engine.extraction.llm.proposal import KeywordLists
from engine.extraction.llm.surface import MOST_ITEMS

DEEPEST = 6

_DECODER = json.JSONDecoder(strict=False)
_NUMBERED = re.compile(r"\w{0,12}?_?\d{1,3}|primary|secondary|main|first|second|third")
_OF_SCHEMA = {"properties", "items", "maxItems", "maxLength", "description", "minItems", "uniqueItems"}
_IN_SCHEMA = ("items", "enum", "examples", "default", "const", "value")


def decoded(text: str, at: int) -> tuple[Any, int]:
    """The value that begins there, and where it ends: `at` if it is broken, -1 if the text ends within it."""
    try:
        return _DECODER.raw_decode(text, at)
    except json.JSONDecodeError as error:
        end = len(text.rstrip())
        within_escape = error.msg.startswith("Invalid \\") and error.pos + 6 >= end
        ended = within_escape or error.pos >= end or error.msg.startswith("Unterminated string")
        return None, -1 if ended else at
    except (ValueError, RecursionError):
        return None, -1


def merge(lists: KeywordLists, value: Any, group: str) -> None:
    """A later object replaces an earlier one's list: models correct themselves, or write one object per list or
    keyword."""
    fresh = KeywordLists()
    if isinstance(value, dict) and (named := listing.item_in(value, strict=True)):
        lists.add(listing.group_of(_kind(value)), named)
        return
    if isinstance(value, list) and not group and lists.descriptive and not lists.technical:
        group = "technical"  # two lists, in the requested order
    collect(value, group, fresh, 0)
    lists.seen = lists.seen or fresh.seen
    lists.strange += fresh.strange
    lists.descriptive = fresh.descriptive or lists.descriptive
    lists.technical = fresh.technical or lists.technical


def collect(value: Any, group: str, lists: KeywordLists, depth: int) -> None:
    """The keywords in a JSON value. `group`: the group they belong to, "" outside any known name."""
    if depth > DEEPEST:
        return
    if isinstance(value, str):
        _collect_text(value, group, lists, depth)
    elif isinstance(value, list):
        lists.seen = True
        scored = _scored(value)
        for item in value[:MOST_ITEMS]:
            if isinstance(item, str):
                lists.add(group, item)
            elif scored:
                lists.add(group, next(iter(item)))
            elif isinstance(item, dict) and (named := listing.item_in(item)):
                lists.add(listing.group_of(_kind(item)) or group, named)
            elif isinstance(item, dict | list):
                collect(item, group, lists, depth + 1)
            else:
                lists.strange += 1
    elif isinstance(value, dict):
        _collect_dict(value, group, lists, depth)
    elif group:
        lists.strange += value is not None


def _scored(items: list[Any]) -> bool:
    """Whether each item is an object of one keyword and its score: [{"connection pool": 0.9}, ...]."""
    return len(items) >= 3 and all(
        isinstance(item, dict) and len(item) == 1 and _is_number(next(iter(item.values()))) for item in items
    )


def _collect_text(value: str, group: str, lists: KeywordLists, depth: int) -> None:
    if value.lstrip()[:1] in ("{", "["):
        inner, end = decoded(value, len(value) - len(value.lstrip()))
        if end > 0:
            collect(inner, group, lists, depth + 1)
            return
    if group:
        lists.seen = True
        for item in listing.items_of(value):
            lists.add(group, item)


def _collect_dict(value: dict[str, Any], group: str, lists: KeywordLists, depth: int) -> None:
    if value.get("type") in ("object", "array", "string") and _OF_SCHEMA & value.keys():
        _collect_schema(value, group, lists, depth)
        return
    names = {key: listing.group_of(key) for key in value}
    known = [key for key in value if names[key]]
    if known:
        for key in known:
            collect(value[key], names[key] if names[key] != "any" else group or "descriptive", lists, depth + 1)
        return
    if group:
        _collect_named(value, group, lists, depth)
    elif any(map(_holds_more, value.values())):  # under an unknown name: {"result": {...}}, {"Schlüsselwörter": [...]}
        for key, part in value.items():
            if _holds_more(part) and not listing.is_aside(key):
                collect(part, "", lists, depth + 1)
    else:
        _collect_flat(value, lists, depth)


def _collect_flat(value: dict[str, Any], lists: KeywordLists, depth: int) -> None:
    """Keywords of an object without a known name or a list: its keys, or its values."""
    if len(value) >= 3 and all(isinstance(part, str) and listing.group_of(part) for part in value.values()):
        for key, part in value.items():  # {"connection pool": "descriptive", ...}
            lists.add(listing.group_of(part), key)
    elif len(value) >= 3 and all(_is_number(part) for part in value.values()):  # {"connection pool": 0.9, ...}
        for key in value:
            lists.add("", key)
    elif value and all(_NUMBERED.fullmatch(key) and isinstance(part, str) for key, part in value.items()):
        _collect_named(value, "descriptive", lists, depth)


def _collect_schema(value: dict[str, Any], group: str, lists: KeywordLists, depth: int) -> None:
    """The lists of models that write their answer into the schema."""
    for name in _IN_SCHEMA:
        if group and isinstance(value.get(name), list):
            collect(value[name], group, lists, depth + 1)
            return
    properties = value.get("properties")
    for key, part in properties.items() if isinstance(properties, dict) else ():
        if isinstance(part, list) or (isinstance(part, dict) and "type" in part):
            collect(part, listing.group_of(key), lists, depth + 1)


def _collect_named(value: dict[str, Any], group: str, lists: KeywordLists, depth: int) -> None:
    """Keywords of an object in place of a list: its values if they are lists or its keys are numbers, otherwise its
    keys."""
    lists.seen = True
    for key, part in list(value.items())[:MOST_ITEMS]:
        if isinstance(part, list):
            collect(part, group, lists, depth + 1)
        elif isinstance(part, str) and _NUMBERED.fullmatch(key):
            lists.add(group, part)
        else:
            lists.add(group, key)


def _kind(item: dict[str, Any]) -> str:
    return " ".join(str(item[key]) for key in item if key.lower() in ("type", "category", "kind", "class", "group"))


def _holds_more(part: Any) -> bool:
    """Whether a value is a list, an object, or a string that encodes one."""
    return isinstance(part, list | dict) or (isinstance(part, str) and part.lstrip()[:2] in ('{"', '["', "{\n", "[\n"))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
