"""Text without a markup language: its paragraphs, with the first meaningful line as its title."""

from __future__ import annotations

import re

from engine.parsing.boilerplate import is_licence
from engine.parsing.inline import heading
from engine.parsing.labels import at_lines
from engine.parsing.model import Block, Format, Raw
from engine.patterns import pattern

_EMPTY = pattern(r"\n[ \t]*\n\s*")
_DECORATION = pattern(r"^\W+$")
LOOKED_AT = 4000  # characters searched for a title
LINE = 400  # characters of a line that may be a title
LONG = 120  # characters of a line that is a whole paragraph: its title is its first sentence
_SENTENCE = pattern(r".{20,}?[.!?。！？](?=\s+[\"“'(]?[^\W_a-z]|\s*[\u3040-\u9fff])")
_TRACE = pattern(r"\s*Traceback \(most recent call last\):\n(?:[ \t][^\n]*\n|\n){1,400}(\S[^\n]{1,300})")


def parse(text: str) -> Raw:
    labels = at_lines(text)
    parts = _EMPTY.split(text)
    if labels:  # each speaks in lines of its own
        spoken = re.compile(rf"\n(?=(?:{'|'.join(map(re.escape, sorted(labels)))}): )")
        parts = [line for part in parts for line in spoken.split(part)]
    blocks = [Block("text", part.strip("\n")) for part in parts if part.strip()]
    named = title(text)
    label, _, rest = named.partition(": ")
    return Raw(Format.PLAIN, blocks, rest if label in labels else named)


def title(text: str) -> str:
    """The first meaningful line, of a paragraph in one line its first sentence; the error of a traceback. A licence or
    copyright line does not count."""
    if "Traceback" in text[:200] and (trace := _TRACE.match(text[: 10 * LOOKED_AT])):
        return heading(trace[1])
    other = ""
    for line in text[:LOOKED_AT].split("\n"):
        if not line.strip() or _DECORATION.match(line):
            continue
        words = heading(line[:LINE])
        if not words:
            continue
        if not other:
            other = words
        if not is_licence(words) and line.lstrip()[0] != "|":  # no table's row
            sentence = _SENTENCE.match(words) if len(words) > LONG else None
            return sentence[0] if sentence else words
    return other
