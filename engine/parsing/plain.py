"""Text without a markup language: its paragraphs, with the first meaningful line as its title."""

from __future__ import annotations

import re

from engine.parsing.boilerplate import is_licence
from engine.parsing.inline import heading
from engine.parsing.model import Block, Format, Raw

_EMPTY = re.compile(r"\n[ \t]*\n\s*")
_DECORATION = re.compile(r"^\W+$")
LOOKED_AT = 4000  # characters searched for a title
LINE = 400  # characters of a line that may be a title


def parse(text: str) -> Raw:
    blocks = [Block("text", part.strip("\n")) for part in _EMPTY.split(text) if part.strip()]
    return Raw(Format.PLAIN, blocks, title(text))


def title(text: str) -> str:
    """The first meaningful line. A licence or copyright line does not count."""
    other = ""
    for line in text[:LOOKED_AT].split("\n"):
        if not line.strip() or _DECORATION.match(line):
            continue
        words = heading(line[:LINE])
        if not words:
            continue
        if not other:
            other = words
        if not is_licence(words):
            return words
    return other
