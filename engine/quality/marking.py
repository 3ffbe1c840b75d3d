"""Marking gold keywords: a document's proposals, those that a person keeps, and phrases of their own. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from engine.extraction.keywords import stem_phrase
from engine.quality.gold import GoldRow, read_rows
from engine.text import clean_line

LONGEST = 200  # characters of a keyword


class Marked(Struct, frozen=True):
    """`kept` is in the order in which it was chosen. `done`: the person moved on to the next document."""

    id: str
    proposals: tuple[str, ...]
    kept: tuple[str, ...] = ()
    done: bool = False
    others: Mapping[str, Any] = field(default_factory=dict[str, Any])  # fields of the gold file that are not ours


def started(draft: bytes, draft_name: str, gold: bytes, gold_name: str) -> tuple[Marked, ...]:
    """The draft's documents with what the gold file holds of them; b"": no gold file yet.

    Raises ValueError with file and line; also for a gold file that has documents which the draft has not, because they
    would be lost.
    """
    known = {row.id: row for row in read_rows(gold, gold_name)}
    rows = list(read_rows(draft, draft_name))
    if not rows:
        raise ValueError(f"{draft_name} has no documents.")
    if strange := known.keys() - {row.id for row in rows}:
        raise ValueError(
            f"{gold_name} has documents that are not in {draft_name}, such as {clean_line(min(strange), 80)!r}: "
            "choose another gold file."
        )
    return tuple(_marked(row.id, row.keywords, known.get(row.id)) for row in rows)


def _marked(name: str, proposals: Sequence[str], known: GoldRow | None) -> Marked:
    kept = tuple(dict.fromkeys(known.keywords)) if known is not None else ()
    proposals = tuple(dict.fromkeys((*proposals, *kept)))
    return Marked(name, proposals, kept, known.done, known.others) if known is not None else Marked(name, proposals)


def toggled(document: Marked, keyword: str) -> Marked:
    """The document with this keyword kept, or no longer kept."""
    kept = document.kept
    return replace(document, kept=tuple(k for k in kept if k != keyword) if keyword in kept else (*kept, keyword))


def added(document: Marked, phrase: str) -> Marked:
    """Keep a phrase of the person's own; "" changes nothing, and one that is proposed already is kept."""
    phrase = " ".join(clean_line(phrase, LONGEST).split())
    if not phrase:
        return document
    same = next((known for known in document.proposals if known.casefold() == phrase.casefold()), phrase)
    proposals = document.proposals if same in document.proposals else (*document.proposals, same)
    kept = document.kept if same in document.kept else (*document.kept, same)
    return replace(document, proposals=proposals, kept=kept)


def in_text(phrase: str, text: str) -> bool:
    """Whether a keyword of this document can be this phrase: compared by stems, as the figures are."""
    return f" {stem_phrase(phrase)} " in f" {stem_phrase(text)} "


def gold_lines(documents: Sequence[Marked]) -> str:
    """The gold file: a JSON line for each document that is done or started (its line has which)."""
    begun = {"done": False}
    rows = (
        {"id": d.id, "keywords": list(d.kept), **d.others, **({} if d.done else begun)}
        for d in documents
        if d.done or d.kept or d.others
    )
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def first_open(documents: Sequence[Marked]) -> int:
    """The first that is not done; the last when all are."""
    return next((n for n, d in enumerate(documents) if not d.done), len(documents) - 1)
