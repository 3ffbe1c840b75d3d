"""Writes rollout.toml: the first one for a service, and later one value at a time, preserving what a person wrote."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tomli_w

from engine.plan.load import default_plan_text
from engine.plan.positions import Path, Places, dotted, find_places, key_text, parts
from engine.text import clean_line

Value = str | int | float | bool | Sequence[Any]
"""What a key can be set to, as written in the file: a duration is "2d", a percentage 12.5."""


@dataclass(frozen=True)
class Answers:
    """The answers to `rollout init`. None keeps the value of the plan that ships with the product.

    `contacts` maps a role of that plan to any of name, phone, email.
    """

    service: str | None = None
    environment: str | None = None
    llm_url: str | None = None
    llm_model: str | None = None
    llm_api: str | None = None
    http_port: int | None = None
    contacts: Mapping[str, Mapping[str, str]] | None = None


def initial_plan(answers: Answers) -> str:
    """The commented plan for this service. The answers are not validated here: `parse_plan` does that."""
    text = default_plan_text()
    asked: dict[str, Value | None] = {
        "service": answers.service,
        "environment": answers.environment,
        "llm.url": answers.llm_url,
        "llm.model": answers.llm_model,
        "llm.api": answers.llm_api,
        "http.port": answers.http_port,
    }
    for path, value in asked.items():
        if value is not None:
            text = set_value(text, path, clean_line(value) if isinstance(value, str) else value)
    if answers.http_port is not None:
        text = text.replace("http://localhost:8080/", f"http://localhost:{answers.http_port}/")
    roles = [contact["role"] for contact in tomllib.loads(text)["contacts"]]
    for role, details in (answers.contacts or {}).items():
        for key, detail in details.items():
            text = set_value(text, f"contacts[{roles.index(role)}].{key}", clean_line(detail))
    return text


def set_value(text: str, dotted_path: str, value: Value) -> str:
    """`text` with one key changed or added; everything else stays as it was, comments and order included.

    The path is like "llm.model", "stages[2].percent" or, by id, "triggers[error_critical].for". A key that is
    commented out with its default (`# retries = 2`) is uncommented. A missing table of the file is added; one
    within a table and a list element are not. KeyError: no such place (the message is a sentence). ValueError: the text
    is not valid TOML, or TOML cannot express the value.
    """
    before = tomllib.loads(text)
    places = find_places(text)
    path = _by_index(parts(dotted_path), before)
    wanted = _with(before, path, value)
    for change in (_replaced, _uncommented, _added):
        changed = change(text, places, path, _toml(value))
        if changed is not None and _reads(changed, wanted):
            return changed
    raise KeyError(f"{dotted(path)} cannot be changed in place; edit the file")


def _toml(value: Value) -> str:
    lines = isinstance(value, str) and "\n" in value and "\r" not in value
    try:
        written = tomli_w.dumps({"x": value}, multiline_strings=lines)
    except TypeError:
        raise ValueError(f"TOML cannot express {value!r}") from None
    if not written.startswith("x = ") or (isinstance(value, float) and value != value):
        raise ValueError(f"{value!r} is not a single value; set its keys one at a time")
    written.encode("utf-8")
    return written.removeprefix("x = ").removesuffix("\n")


def _reads(text: str, wanted: dict[str, Any]) -> bool:
    try:
        return tomllib.loads(text) == wanted
    except tomllib.TOMLDecodeError:
        return False


def _by_index(path: Path, data: Any) -> Path:
    """The path with ids in brackets turned into positions. KeyError if a list has no such element."""
    resolved: list[str | int] = []
    for part in path:
        if isinstance(data, list):
            at = part if isinstance(part, int) else _position(data, part)
            if at is None or at >= len(data):
                raise KeyError(f"{dotted(tuple(resolved))} has no element {part}; it has {len(data)}, counted from 0")
            resolved.append(at)
            data = data[at]
        elif isinstance(data, dict) and isinstance(part, str):
            resolved.append(part)
            data = data.get(part, {})
        else:
            raise KeyError(f"{dotted(tuple(resolved))} is a single value; it has no {part}")
    return tuple(resolved)


def _position(elements: list[Any], name: str) -> int | None:
    for index, element in enumerate(elements):
        if isinstance(element, dict) and element.get("id") == name:
            return index
    return None


def _with(data: Any, path: Path, value: Any) -> Any:
    """A copy of `data` with `value` at `path`."""
    if not path:
        return list(value) if isinstance(value, tuple) else value
    first, rest = path[0], path[1:]
    if isinstance(data, list) and isinstance(first, int):
        return [_with(element, rest, value) if at == first else element for at, element in enumerate(data)]
    return {**data, first: _with(data.get(first, {}), rest, value)}


def _replaced(text: str, places: Places, path: Path, written: str) -> str | None:
    span = places.values.get(path)
    if span is None or span.end <= span.start:
        return None
    return _splice(text, span.start, span.end, written)


def _uncommented(text: str, places: Places, path: Path, written: str) -> str | None:
    section, key = places.sections.get(path[:-1]), path[-1]
    if section is None or not isinstance(key, str):
        return None
    following = [other.start for other in places.sections.values() if other.start > section.start]
    end = min(following, default=len(text))
    hidden = re.compile(
        rf"^(?P<indent>[ \t]*)# (?P<key>{re.escape(key_text(key))} = )(?P<old>[^#\n]*?)(?=[ \t]*(?:#|\r?$))", re.M
    )
    header = re.compile(r"^[ \t]*#[ \t]*\[", re.M).search(text, section.end, end)
    line = hidden.search(text, section.end, header.start() if header else end)
    if line is None:
        return None
    return _splice(text, line.start(), line.end("old"), line["indent"] + line["key"] + written)


def _added(text: str, places: Places, path: Path, written: str) -> str | None:
    table, line = path[:-1], f"{key_text(str(path[-1]))} = {written}\n"
    if table in places.sections:
        end = places.sections[table].end
    elif len(table) == 1:
        end, line = len(text), f"\n[{key_text(str(table[0]))}]\n{line}"
    else:
        return None
    lead = "\n" if end and text[end - 1] != "\n" else ""
    return f"{text[:end]}{lead}{line}{text[end:]}"


def _splice(text: str, start: int, end: int, new: str) -> str:
    """Replaces a part with `new`; a trailing comment keeps its column where there is room."""
    gap = re.compile(r"[ \t]+(?=#)").match(text, end)
    if gap is None or "\n" in new or "\n" in text[start:end]:
        return text[:start] + new + text[end:]
    width = max(2, gap.end() - start - len(new))
    return text[:start] + new + " " * width + text[gap.end() :]
