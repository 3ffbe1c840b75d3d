"""Questions with known answers: a document's own title and headings, or a file that people wrote.

A known-item query asks for what a heading says and counts the document that it heads as the answer. No one is needed, it
works on any corpus, and it is the same for both methods.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec
from msgspec import Struct

from engine.parsing import parse
from engine.quality.sample import draw
from engine.text import clean_line, normal

MOST_ANSWERS = 3  # a heading of more documents ("Introduction") says nothing about any of them
_PER_DOCUMENT = 5  # a long document is one document
_WORD = re.compile(r"[^\W_]+")


class SearchedDocument(Struct, frozen=True):
    """What search quality needs of a document: keywords of both methods, whichever is served."""

    id: str
    title: str
    text: str
    llm: tuple[str, ...]
    frequency: tuple[str, ...]


class Query(Struct, frozen=True):
    """`relevant`: ids of the documents that answer it, sorted."""

    text: str
    relevant: tuple[str, ...]
    source: Literal["title", "heading", "file"]


class _Line(Struct):
    query: str
    relevant_docs: list[str | int]


class _File(Struct):
    queries: list[_Line]


_file = msgspec.json.Decoder(list[_Line] | _File, strict=False)


def words(text: str) -> tuple[str, ...]:
    """Distinct words in lower case, at most 16: what a query may ask an index for."""
    return tuple(dict.fromkeys(_WORD.findall(normal(text).lower())))[:16]


def known_items(documents: Iterable[SearchedDocument], most: int = 2000, seed: int = 0) -> tuple[Query, ...]:
    """Queries from titles and headings, at most 5 a document, and of them `most` drawn by `seed`.

    Left out: what heads more than three documents, and what has no word of three letters.
    """
    asked: dict[tuple[str, ...], tuple[str, Literal["title", "heading"], set[str]]] = {}
    for document in documents:
        for place, line in enumerate(lines(document)):
            key = words(line)
            if not any(len(word) >= 3 or not word.isascii() for word in key):
                continue
            source: Literal["title", "heading"] = "heading" if place else "title"
            asked.setdefault(key, (line, source, set()))[2].add(document.id)
    queries = {
        " ".join(key): Query(line, tuple(sorted(ids)), source)
        for key, (line, source, ids) in asked.items()
        if len(ids) <= MOST_ANSWERS
    }
    return tuple(queries[key] for key in draw(queries, most, seed))


def lines(document: SearchedDocument) -> Sequence[str]:
    """The title first, then the headings in their order, whatever the document's format."""
    headings = parse(document.text, document.id).headings[: 4 * _PER_DOCUMENT]
    found = [line for line in (clean_line(line, 200) for line in (document.title, *headings)) if line]
    return list({words(line): line for line in reversed(found)}.values())[::-1][:_PER_DOCUMENT]


def read_queries(body: bytes, name: str) -> tuple[Query, ...]:
    """A JSON list of `{"query", "relevant_docs"}`, or an object with it under "queries". ValueError is a sentence."""
    try:
        parsed = _file.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ValueError(
            f'{name} is no file of queries ({error}); it holds a JSON list of {{"query": "...", "relevant_docs": ["id", ...]}}.'
        ) from None
    lines = parsed.queries if isinstance(parsed, _File) else parsed
    return tuple(
        Query(clean_line(line.query, 500), tuple(sorted({str(answer) for answer in line.relevant_docs})), "file")
        for line in lines
    )
