"""Reads a document: its title, what both methods read, and its keywords by frequency. Pure.

The parsers and the ranking are imported with the first document, because compiling their patterns takes a quarter of an
engine's start. `prepare` does it, in a thread where a loop must not wait.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from engine.extraction.keywords import Budget, Keywords
from engine.text import clean_line

TITLE_LIMIT = 300

MethodAsked = Literal["auto", "llm", "frequency"]
UnreadDocument = tuple[str, str, str]  # id, text, title; the text is clean


class ReadDocument(Struct, frozen=True, array_like=True):
    """A document's text and title, its frequency keywords, and how long counting took."""

    text: str  # clean, as it came
    title: str
    other: str  # what both methods read, "" if that is the text
    plain: Keywords
    ms: float

    @property
    def content(self) -> str:
        """What both methods read."""
        return self.other or self.text


class BulkDocument(Struct, frozen=True):
    """One document of a batch, admitted and read."""

    id: str
    method: MethodAsked
    read: ReadDocument


_prepared = False


def is_prepared() -> bool:
    return _prepared


def prepare() -> None:
    """What `read` needs is ready after this."""
    global _prepared
    read("", "", "", Budget())
    _prepared = True


def read(name: str, text: str, title: str, budget: Budget) -> ReadDocument:
    """Read a document. Its title is the one sent with it, else the one in its text."""
    from engine.extraction import frequency
    from engine.parsing import parse

    began = time.perf_counter()
    document = parse(text, name)
    sent = bool(title)
    title = title or clean_line(document.title, TITLE_LIMIT)
    document = replace(document, title=title, named_by_file=document.named_by_file and not sent)
    plain = frequency.extract(document, budget=budget)
    content = document.content
    other = "" if content == text else content
    return ReadDocument(text, title, other, plain, (time.perf_counter() - began) * 1000)


def read_all(documents: Sequence[UnreadDocument], budget: Budget) -> list[ReadDocument]:
    return [read(name, text, title, budget) for name, text, title in documents]
