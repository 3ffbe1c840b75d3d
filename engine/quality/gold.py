"""Keywords against a gold file: precision, recall and F1 by the literature's protocol, with intervals.

A gold file has a JSON line a document: {"id": ..., "keywords": [...]}. Protocol: lower case, Porter stems, exact match
of the whole phrase, each once, the first k of a document; micro: counts pooled over the documents, against all gold
keywords. Intervals are 95 % of a bootstrap over documents with a fixed seed, so the same files give the same figures.
Pure.
"""

from __future__ import annotations

import json
import random
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from engine.extraction.keywords import stem_phrase
from engine.text import clean_line, counted

CUTS = (5, 10, 15)
OURS = frozenset(("id", "keywords", "gold", "done"))  # fields of a line
DRAWS = 1_000
SEED = 7
FEW_DOCUMENTS = 30  # with fewer, an interval is uninformative


class Gold(NamedTuple):
    id: str
    keywords: frozenset[str]  # stemmed


class Bounds(NamedTuple):
    """The ends of a 95 % interval."""

    low: float
    high: float


class KeywordCounts(NamedTuple):
    """How many keywords of one document, or of several together, are right, were given, and are wanted."""

    right: int
    given: int
    wanted: int


class CutFigure(NamedTuple):
    """Shares from 0 to 1; `interval` is of F1, None with one document."""

    k: int
    precision: float
    recall: float
    f1: float
    interval: Bounds | None


class MethodQuality(NamedTuple):
    method: str
    documents: int
    keywords_per_document: float
    figures: tuple[CutFigure, ...]


class GoldRow(NamedTuple):
    """A line of a gold file. A document that a person has only started to mark has `"done": false`."""

    id: str
    keywords: tuple[str, ...]
    done: bool
    others: Mapping[str, Any]  # fields that are not ours


def read_rows(body: bytes, name: str) -> Iterator[GoldRow]:
    """Each line as written. Raises ValueError with file and line."""
    seen: set[str] = set()
    for number, line in enumerate(body.removeprefix(BOM_UTF8).split(b"\n"), 1):
        if not line.strip():
            continue
        where = f"{name}, line {number}"
        try:
            row = json.loads(line.decode())
        except UnicodeDecodeError:
            raise ValueError(f"{where}: not UTF-8. Save the file as UTF-8.") from None
        except (ValueError, RecursionError):
            raise ValueError(f'{where}: not JSON. A line is {{"id": "...", "keywords": ["...", ...]}}.') from None
        listed = row.get("keywords", row.get("gold")) if isinstance(row, dict) else None
        if listed is None or not isinstance(row.get("id"), (str, int)):
            raise ValueError(f'{where}: a line needs "id" and "keywords".')
        if not isinstance(listed, list) or not all(isinstance(keyword, str) for keyword in listed):
            raise ValueError(f'{where}: "keywords" must be a list of strings.')
        key = str(row["id"])
        if key in seen:
            raise ValueError(f"{where}: the document {clean_line(key, 80)!r} is in the file twice; keep one line.")
        seen.add(key)
        others = {field: value for field, value in row.items() if field not in OURS}
        yield GoldRow(key, tuple(listed), row.get("done", True) is not False, others)


class GoldFile(NamedTuple):
    """A gold file: the documents to measure, and the ids of those that are left out."""

    rows: tuple[Gold, ...]
    without_keywords: tuple[str, ...]
    not_done: tuple[str, ...]


def read_gold(body: bytes, name: str) -> GoldFile:
    """Raises ValueError with file and line, or if no document is done and has keywords."""
    rows, empty, unfinished = list[Gold](), list[str](), list[str]()
    for row in read_rows(body, name):
        if not row.done:
            unfinished.append(row.id)
        elif keywords := frozenset(distinct(row.keywords)):
            rows.append(Gold(row.id, keywords))
        else:
            empty.append(row.id)
    if not rows:
        raise ValueError(f"{name} has no document with keywords. Add them, one document a line.")
    return GoldFile(tuple(rows), tuple(empty), tuple(unfinished))


def distinct(phrases: Iterable[str]) -> list[str]:
    """Stemmed, in order, each once."""
    return list(dict.fromkeys(stem for stem in map(stem_phrase, phrases) if stem))


def counts(gold: frozenset[str], ranked: Sequence[str], k: int) -> KeywordCounts:
    """`ranked`: stemmed, best first."""
    return KeywordCounts(sum(phrase in gold for phrase in ranked[:k]), len(ranked[:k]), len(gold))


def f1(of: Sequence[KeywordCounts]) -> float:
    right, given, wanted = (sum(column) for column in zip(*of, strict=True)) if of else (0, 0, 0)
    return 2 * right / (given + wanted) if given + wanted else 0.0


def resampled(of: Sequence[KeywordCounts], other: Sequence[KeywordCounts] | None = None) -> Bounds:
    """95 % of F1 over redrawn documents, or of its difference to `other` on the same documents. One document alone
    shows nothing of others."""
    draw, values = random.Random(SEED), []
    size = len(of)
    for _ in range(DRAWS):
        chosen = draw.choices(range(size), k=size)
        value = f1([of[n] for n in chosen])
        values.append(value - f1([other[n] for n in chosen]) if other is not None else value)
    values.sort()
    return Bounds(values[int(0.025 * DRAWS)], values[int(0.975 * DRAWS)])


def measured(method: str, gold: Sequence[Gold], keywords: Mapping[str, Sequence[str]]) -> MethodQuality:
    """The quality of `keywords` (by id, best first) on the gold documents in it; one without keywords counts with
    none."""
    rows = [(row.keywords, distinct(keywords[row.id])) for row in gold if row.id in keywords]
    figures = []
    for k in CUTS if rows else ():
        counted = [counts(wanted, ranked, k) for wanted, ranked in rows]
        right, given, wanted = (sum(column) for column in zip(*counted, strict=True))
        interval = resampled(counted) if len(counted) > 1 else None
        figures.append(CutFigure(k, right / given if given else 0.0, right / wanted, f1(counted), interval))
    mean = sum(len(ranked) for _, ranked in rows) / len(rows) if rows else 0.0
    return MethodQuality(method, len(rows), mean, tuple(figures))


def difference(
    gold: Sequence[Gold], first: Mapping[str, Sequence[str]], second: Mapping[str, Sequence[str]], k: int = 10
) -> Bounds | None:
    """F1@k of the first less that of the second, on the documents that both have; None with less than two."""
    shared = [row for row in gold if row.id in first and row.id in second]
    if len(shared) < 2:
        return None
    one, other = ([counts(row.keywords, distinct(of[row.id]), k) for row in shared] for of in (first, second))
    return resampled(one, other)


def as_json(quality: MethodQuality) -> dict[str, Any]:
    """For programs; rates 0..1 with four decimals."""
    return {
        "method": quality.method,
        "documents": quality.documents,
        "keywords_per_document": round(quality.keywords_per_document, 2),
        "at": {
            str(f.k): {
                "precision": round(f.precision, 4),
                "recall": round(f.recall, 4),
                "f1": round(f.f1, 4),
                "f1_low": round(f.interval.low, 4) if f.interval else None,
                "f1_high": round(f.interval.high, 4) if f.interval else None,
            }
            for f in quality.figures
        },
    }


def sentence(quality: MethodQuality) -> str:
    """F1 at each k in percent, with its interval."""
    if not quality.figures:
        return f"{quality.method}: no gold document has keywords by this method."
    figures = ", ".join(
        f"F1@{f.k} {100 * f.f1:.1f} %"
        + (f" [{100 * f.interval.low:.1f}, {100 * f.interval.high:.1f}]" if f.interval else "")
        for f in quality.figures
    )
    return (
        f"{quality.method}: {figures}; {counted(quality.documents, 'document')}, "
        f"{quality.keywords_per_document:.1f} keywords each."
    )


def draft(lists: Iterable[Sequence[str]], seed: str) -> list[str]:
    """Proposals for a person to choose from: of all methods, each once, in an order that favours none."""
    proposals: dict[str, str] = {}
    for keywords in lists:
        for keyword in keywords:
            proposals.setdefault(stem_phrase(keyword), keyword)
    proposed = sorted(proposals.values())
    random.Random(seed).shuffle(proposed)
    return proposed
