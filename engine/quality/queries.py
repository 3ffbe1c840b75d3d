"""Search queries with known answers: from documents' titles and headings, or from a file written by people.

A known-item query is a heading; its answer is the document under it. This needs no reviewers, works on any corpus, and
is the same for both methods.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal

from msgspec import Struct

from engine.decoding import UNREADABLE, json_decoder
from engine.quality.sample import draw
from engine.text import clean_line, normal

MOST_ANSWERS = 3  # a heading of more documents ("Introduction") identifies none
_PER_DOCUMENT = 5  # so that long documents do not dominate
_WORD = re.compile(r"[^\W_]+")


class SearchedDocument(Struct, frozen=True):
    """A document for search quality: keywords of both methods, whichever is served."""

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


_file = json_decoder(list[_Line] | _File, strict=False)


def words(text: str) -> tuple[str, ...]:
    """Distinct words in lower case, at most 16: a query's search terms."""
    return tuple(dict.fromkeys(_WORD.findall(normal(text).lower())))[:16]


def known_items(documents: Iterable[SearchedDocument], most: int = 2000, seed: int = 0) -> tuple[Query, ...]:
    """Queries from titles and headings, at most 5 a document; `most` of them, drawn with `seed`.

    Skips headings of more than three documents, and those without a word of three letters.
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
    """The title, then the headings in order, for any document format."""
    from engine.parsing import parse  # 0.1 s, and the engine reads queries only while an A/B test scores its search

    headings = parse(document.text, document.id).headings[: 4 * _PER_DOCUMENT]
    headings_first = [line for line in (clean_line(line, 200) for line in (document.title, *headings)) if line]
    return list({words(line): line for line in reversed(headings_first)}.values())[::-1][:_PER_DOCUMENT]


def read_queries(body: bytes, name: str) -> tuple[Query, ...]:
    """A JSON list of `{"query", "relevant_docs"}`, or an object with it under "queries". ValueError is a sentence."""
    try:
        parsed = _file.decode(body)
    except UNREADABLE as error:
        raise ValueError(
            f"{name} is not a file of queries ({error}); it needs a JSON list of "
            '{"query": "...", "relevant_docs": ["id", ...]}.'
        ) from None
    lines = parsed.queries if isinstance(parsed, _File) else parsed
    return tuple(
        Query(clean_line(line.query, 500), tuple(sorted({str(answer) for answer in line.relevant_docs})), "file")
        for line in lines
    )
