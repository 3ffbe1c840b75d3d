"""Search quality from the store: the paired measurement of both methods, and the A/B test's scores, document by
document.

Both read a bounded number of the latest documents, so their cost doesn't grow with the store. Both take seconds: run
them in a thread with its own connection.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from engine.decoding import json_decoder
from engine.experiment.moments import Moments
from engine.experiment.pairs import PairedReport, analyse_pairs
from engine.extraction.keywords import stem_phrase
from engine.plan.model import Plan
from engine.quality import queries, search
from engine.quality.queries import Query
from engine.quality.sample import draw
from engine.store import documents
from engine.store.documents import Document
from engine.trial import ledger
from engine.trial.ledger import Scored, Trial
from engine.triggers.measurement import Ok

SEARCHED = 1500  # documents in an index: the latest
A_ROUND = 500  # documents of the A/B test that are scored in one round, drawn from those that joined since the last
QUERIES = "queries.json"  # beside rollout.toml: queries that people wrote

_pairs_of = json_decoder(tuple[PairedReport, ...])

Progress = Callable[[float], None]  # receives the share of the work done, 0..1


class Measured(Struct, frozen=True):
    """`pairs`: LLM minus frequency on documents that have both, served or in shadow. `at`: UTC epoch seconds."""

    at: float
    quality: search.SearchQuality
    pairs: tuple[PairedReport, ...]
    trouble: str = ""  # what is wrong with the file of queries

    @property
    def sample(self) -> Ok | None:
        """The relative change of MRR as a sample for the gate, its variance from the interval; None without a
        comparison."""
        change = self.quality.improvement.mrr
        if change is None:
            return None
        n = self.quality.queries
        variance = None
        if change.low is not None and change.high is not None and n > 1:
            variance = n * ((change.high - change.low) / (2 * 1.96)) ** 2
        return Ok(change.estimate, n, None, variance)


def written_queries(plan: Plan) -> tuple[tuple[Query, ...], str]:
    """The queries in the file beside the plan, and a sentence when it is unusable; () and "" without a file."""
    path = Path(plan.source).resolve().parent / QUERIES if plan.source else None
    if path is None or not path.is_file():
        return (), ""
    try:
        return queries.read_queries(path.read_bytes(), str(path)), ""
    except OSError as error:
        return (), f"{path} cannot be read: {error.strerror}."
    except ValueError as error:
        return (), str(error)


class Last:
    """The last measurement. It takes seconds, so it is not made again while documents and queries are the same."""

    def __init__(self) -> None:
        self.of = b""  # digest of what was measured
        self.result: tuple[search.SearchQuality, tuple[PairedReport, ...]] | None = None


def measure(
    conn: sqlite3.Connection,
    at: float,
    written: Sequence[Query] = (),
    trouble: str = "",
    seed: int = 0,
    progress: Progress = lambda _: None,
    last: Last | None = None,
) -> Measured:
    """Ask the same queries of both methods' keywords, on the latest documents that have both."""
    last = last or Last()
    paired = documents.paired(conn, SEARCHED)
    progress(0.1)
    both = [queries.SearchedDocument(d.id, d.title, d.text, d.llm or d.shadow or (), d.frequency) for d in paired]
    of = hashlib.sha256(msgspec.msgpack.encode((both, written, seed))).digest()
    if last.result is None or last.of != of:
        asked = (*written, *queries.known_items(both, seed=seed))
        quality = search.search_quality(both, asked, seed=seed, progress=lambda done: progress(0.1 + 0.9 * done))
        last.of, last.result = of, (quality, _pairs(both, quality))
    quality, pairs = last.result
    return Measured(at, quality, pairs, trouble)


def _pairs(both: Sequence[queries.SearchedDocument], quality: search.SearchQuality) -> tuple[PairedReport, ...]:
    shared = [alike for d in both if (alike := _overlap(d.llm, d.frequency)) is not None]
    relevances = [
        (_relevance(words, d.llm), _relevance(words, d.frequency)) for d in both for words in [_title_words(d)]
    ]
    differences = {
        "search_quality": Moments.of(quality.differences),
        "keywords": Moments.of(len(d.llm) - len(d.frequency) for d in both),
        "relevance": Moments.of(a - b for a, b in relevances if a is not None and b is not None),
        "overlap": Moments.of(shared),
    }
    return analyse_pairs(differences, expected_n=SEARCHED)


def _stems(keywords: Sequence[str]) -> set[str]:
    return {stem_phrase(keyword) or keyword for keyword in keywords}


def _overlap(llm: Sequence[str], frequency: Sequence[str]) -> float | None:
    a, b = _stems(llm), _stems(frequency)
    return len(a & b) / len(a | b) if a | b else None


def _title_words(document: queries.SearchedDocument) -> set[str]:
    """The words of the title and the headings, stemmed."""
    return {stem_phrase(word) for line in queries.lines(document) for word in queries.words(line)}


def _relevance(words: set[str], keywords: Sequence[str]) -> float | None:
    """The share of keywords that share a word with `words`; None without either."""
    if not words or not keywords:
        return None
    return sum(bool(words & set(stem_phrase(keyword).split())) for keyword in keywords) / len(keywords)


def score(
    conn: sqlite3.Connection,
    trial: Trial,
    now: float,
    written: Sequence[Query] = (),
    progress: Progress = lambda _: None,
) -> list[Scored]:
    """Scores of the documents that joined since the last round, at most A_ROUND of them, drawn.

    They are searched for among the latest documents of the store with the keywords that are served: both arms compete
    in one index, as they do for users.
    """
    chosen = draw(ledger.joined(conn, trial.id, trial.scored_until, now), A_ROUND, trial.id)
    if not chosen:
        return []
    around = {d.id: d for d in documents.recent(conn, limit=SEARCHED, text=True)}
    targets = {name: d for name in chosen if (d := around.get(name) or documents.get(conn, name)) is not None}
    progress(0.2)
    pool = {**around, **targets}
    asked = (*written, *queries.known_items([_asked_about(d) for d in pool.values()], most=1_000_000))
    about = [query for query in asked if targets.keys() & set(query.relevant)]
    scores = search.served_scores({d.id: d.keywords for d in pool.values()}, about)
    progress(0.9)
    return [
        Scored(name, scores.get(name), _relevance(_title_words(_asked_about(d)), d.keywords))
        for name, d in targets.items()
    ]


def _asked_about(d: Document) -> queries.SearchedDocument:
    return queries.SearchedDocument(d.id, d.title, d.text, d.llm or (), d.frequency)


def last_pairs(conn: sqlite3.Connection) -> tuple[PairedReport, ...]:
    """The paired comparison of the last measurement; () before the first."""
    row = conn.execute("SELECT body FROM measure WHERE kind = 'search_pairs' ORDER BY at DESC LIMIT 1").fetchone()
    return _pairs_of.decode(row[0]) if row else ()
