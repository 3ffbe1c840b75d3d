"""Reads a document: its title, what both methods read, and its keywords by frequency. Pure.

The parsers and the ranking are imported with the first document, because compiling their patterns takes a quarter of an
engine's start. `prepare` does it, in a thread where a loop must not wait.
"""

from __future__ import annotations

import re
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from engine.extraction.keywords import Budget, Keywords
from engine.text import clean_line

TITLE_LIMIT = 300

_LONG_WORD = re.compile(r"[^\W\d_]{6,60}")

MethodAsked = Literal["auto", "llm", "frequency"]
UnreadDocument = tuple[str, str, str]  # id, text, title; the text is clean


class ReadDocument(Struct, frozen=True, array_like=True):
    """A document's text and title, its frequency keywords, and how long counting took."""

    text: str  # clean, as it came
    title: str
    other: str  # what both methods read, "" if that is the text
    plain: Keywords
    ms: float
    fault: str = ""  # an internal one, in a line; the keywords are then the most frequent long words

    @property
    def content(self) -> str:
        """What both methods read."""
        return self.other or self.text


class AskedDocument(Struct, frozen=True):
    """A document as it is sent. `bulk`: no client is waiting for it. It yields to those with a waiting client, and its
    queue time is not part of its latency."""

    id: str
    text: str
    title: str = ""
    method: MethodAsked = "auto"
    bulk: bool = False


class BulkDocument(Struct, frozen=True):
    """One document of a batch, admitted and read."""

    id: str
    method: MethodAsked
    read: ReadDocument

    @property
    def asked(self) -> AskedDocument:
        return AskedDocument(self.id, self.read.text, self.read.title, self.method, bulk=True)


class ReadingFault(Exception):
    """A document could not be parsed or ranked; its keywords are the most frequent words."""


_prepared = False


def is_prepared() -> bool:
    return _prepared


def prepare() -> None:
    """What `read` needs is ready after this."""
    global _prepared
    read("", "", "", Budget())
    _prepared = True


def read(name: str, text: str, title: str, budget: Budget) -> ReadDocument:
    """Read a document. Its title is the one sent with it, else the one in its text. An internal fault costs it better
    keywords, not its place: every document gets some."""
    began = time.perf_counter()
    fault = ""
    try:
        title, content, plain = _parsed(name, text, title, budget)
    except Exception as error:
        content, plain, fault = text, _most_frequent(text, budget), _line_of(error)
    other = "" if content == text else content
    return ReadDocument(text, title, other, plain, (time.perf_counter() - began) * 1000, fault)


def _parsed(name: str, text: str, title: str, budget: Budget) -> tuple[str, str, Keywords]:
    """Title, what both methods read, keywords by frequency."""
    from engine.extraction import frequency
    from engine.parsing import parse

    document = parse(text, name)
    sent = bool(title)
    title = title or clean_line(document.title, TITLE_LIMIT)
    document = replace(document, title=title, named_by_file=document.named_by_file and not sent)
    return title, document.content, frequency.extract(document, budget=budget)


def _most_frequent(text: str, budget: Budget) -> Keywords:
    times = Counter(_LONG_WORD.findall(text.lower()))
    return Keywords(tuple(word for word, _ in times.most_common(min(budget.total, budget.descriptive))))


def _line_of(error: Exception) -> str:
    """The error and where it was raised. Not its message, which may quote the document."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {last.name}, line {last.lineno} of {last.filename.rpartition('/')[2]}"


def read_all(documents: Sequence[UnreadDocument], budget: Budget) -> list[ReadDocument]:
    return [read(name, text, title, budget) for name, text, title in documents]
