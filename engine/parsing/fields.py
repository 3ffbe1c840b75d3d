"""Texts under a header of fields: a PEP, a package's metadata, a ticket. The title and the description are content; the
other fields are only known of the document."""

from __future__ import annotations

from typing import NamedTuple

from engine.parsing.inline import heading
from engine.parsing.lists import lists
from engine.patterns import pattern

_LISTS = lists("fields")
_KNOWN = frozenset(_LISTS["known"])
SURE = tuple(_LISTS["sure"])
_FIELD = pattern(r"([A-Z][\w-]{1,40}(?: [a-z]\w{0,20}){0,2}):(?:[ \t]+(.*))?")
MOST = 60  # lines after which a header is sure
LEAST = 3  # fields of a header, and of them at least two known ones


class Header(NamedTuple):
    title: str
    body: str
    markup: str  # the media type of the body, if the header shows it


def is_header(head: str) -> bool:
    """Whether a text begins with such fields, and with nothing else up to the first empty line."""
    names: list[str] = []
    for line in head.lstrip().split("\n", MOST)[:MOST]:
        if not line:
            break
        if (field := _FIELD.fullmatch(line)) is not None:
            names.append(field[1].lower())
        elif line[0] not in " \t" or not names:
            return False
    return len(names) >= LEAST and len(_KNOWN.intersection(names)) >= 2


def read(text: str) -> Header:
    """The title, and the description and text below the header."""
    lines = text.lstrip().split("\n")
    values, end = _fields(lines)
    first = {name: " ".join(value[0].split()) for name, value in values.items()}
    title, named = _first_of(first, "titles"), _first_of(first, "names")
    synopsis, *described = values.get("description", [""])
    if named and (title or described):
        title, synopsis = title or synopsis, ""
        title = title if title.lower().startswith(named.lower()) else f"{named} - {title}"
    number = next((f"{name.upper()} {first[name]}" for name in _LISTS["numbered"] if first.get(name, "").isdigit()), "")
    parts = [number, synopsis, "\n".join("" if line == "." else line for line in described), "\n".join(lines[end:])]
    markup = "text/x-rst" if number else first.get("description-content-type", "")
    return Header(heading(title), "\n\n".join(part for part in parts if part.strip()), markup)


def _fields(lines: list[str]) -> tuple[dict[str, list[str]], int]:
    """The lines of each field of the header, and the index of the line after it."""
    values: dict[str, list[str]] = {}
    name = ""
    for at, line in enumerate(lines):
        if (field := _FIELD.fullmatch(line)) is not None:
            name = field[1].lower()
            values[name] = [field[2] or ""]
        elif line[:1] in (" ", "\t") and name:
            values[name].append(line.strip().removeprefix("|"))
        else:
            return values, at
    return values, len(lines)


def _first_of(values: dict[str, str], names: str) -> str:
    """The first field that is not empty, of those that a list names."""
    return next((values[name] for name in _LISTS[names] if values.get(name)), "")
